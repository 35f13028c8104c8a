"""A codec, a preprocessor and a window test for drift-monitor."""
