"""The statistics: distilled-model scoring and two-sample tests. Needs no broker and no Redis."""
