"""The published contamination study, on any classifier and data."""
