"""Format ``pairs``: requests and responses that are records of their own."""
