"""Where the monitors of a pipeline keep their state: in Redis, or in memory for events of the past."""
