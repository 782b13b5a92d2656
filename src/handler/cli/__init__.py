"""The command line: `tollgate serve`, `tollgate keys` and `tollgate usage`."""
