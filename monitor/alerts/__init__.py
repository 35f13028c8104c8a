"""When an alert is raised, what it says, and how it is read."""
