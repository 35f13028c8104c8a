"""Format ``avro``: events written by clients of a schema registry."""
