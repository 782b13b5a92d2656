"""What a process imports before its first call: every module costs time of a cold start."""

import subprocess
import sys


def test_httpx_is_not_imported_before_the_first_image() -> None:
    code = (
        "import sys\n"
        "import tollgate.upstream.client, tollgate.upstream.images\n"
        "slow = {'httpx', 'httpcore', 'h11', 'anyio', 'certifi', 'http.client', 'urllib.request', 'botocore'}\n"
        "print(sorted(slow & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
