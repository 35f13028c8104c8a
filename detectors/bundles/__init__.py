"""Detectors as directories on disk, safe to read from strangers."""
