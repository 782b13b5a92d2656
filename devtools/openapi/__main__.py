"""`python -m devtools.openapi`: write both files. `make docs` runs it, and a test compares them with what it writes."""

import json
from pathlib import Path

from devtools.openapi.document import document
from devtools.openapi.page import page

SRC = Path(__file__).parents[2] / "src"


def files() -> dict[Path, str]:
    """What is written: the text of each file."""
    described = document()
    text = json.dumps(described, indent=1, ensure_ascii=True) + "\n"
    return {SRC / "openapi.json": text, SRC / "openapi.html": page(described)}


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text)
