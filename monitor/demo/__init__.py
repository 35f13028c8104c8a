"""The main job in one process tree: embedded broker, embedded Redis, the real worker, real digits."""
