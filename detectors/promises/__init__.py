"""Thresholds that keep a promise over a whole stream, not for one window alone."""
