"""The size of what is deployed."""

import io
import zipfile

from support.artifact import ARTIFACT


def zip_megabytes() -> float:
    """The size of the archive that `sam deploy` uploads, for the built artifact."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for file in sorted(ARTIFACT.rglob("*")):
            zipped.write(file, file.relative_to(ARTIFACT))
    return archive.tell() / 1e6
