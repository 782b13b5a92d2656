"""`python -m tollgate`: the same as the command `tollgate`."""

from tollgate.handler.cli.app import main

main()
