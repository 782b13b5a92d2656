"""The script that starts the runtime: by its path, because ``-m`` would import runpy and cost milliseconds."""

import sys

# The folder of a script is on sys.path, where the modules `events` and `log` would shadow modules of the app.
if not __package__:
    sys.path[0] = sys.path[0].rpartition("/")[0]

from streaming_runtime.main import main

if __name__ == "__main__":
    main()
