"""Format ``msgpack``: events as MessagePack maps."""
