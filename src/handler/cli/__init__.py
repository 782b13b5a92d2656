"""The `tollgate` command, one module per group of commands."""
