"""Schema registries: where producers leave the schemas of what they send."""
