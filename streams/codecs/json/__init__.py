"""Format ``json``: one event a record."""
