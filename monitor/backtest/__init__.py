"""Backtests: what a config would have done with events of the past, in the worker's own pipeline."""
