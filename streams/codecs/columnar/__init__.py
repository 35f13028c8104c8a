"""Reading binary events field by field: each field of all events at once, without an object for a number."""
