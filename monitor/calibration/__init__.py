"""Measuring what a monitor promises: false alarms on clean data, delay on drifted data."""
