"""Decoding one batch ahead, in a process of its own beside the worker's."""
