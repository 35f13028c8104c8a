"""The ``drift-monitor`` command: one module a subcommand."""
