"""The product: configuration, pipeline, verdicts and alerts, the worker and the command line."""
