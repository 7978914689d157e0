"""The commands: one module per group, imported when it is called."""
