"""Events that name the schema they were written with."""
