"""One script of each official client over every endpoint: on the local server, the streaming function's artifact, and
the other function through events of API Gateway."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from anthropic import Anthropic
from openai import BadRequestError, OpenAI

from support.answering_provider import AUDIO, answering_provider
from support.api_gateway import api_gateway
from support.artifact import local_settings
from support.node import NODE, node_folder
from support.running_gateway import run_gateway

JS = Path(__file__).parent / "js"
TEXT = "Four score"
MESSAGES: Any = [{"role": "user", "content": TEXT}]


@dataclass(frozen=True)
class Door:
    """Where clients reach a gateway: its base URL without `/v1`, and a key."""

    url: str
    key: str


@pytest.fixture(scope="module", params=["server", "function", "api gateway"])
def door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("door")
    with answering_provider() as provider:
        rows = f'[providers.openai]\nbase_url = "{provider}"\nauth = "none"\n'
        if request.param != "api gateway":
            with run_gateway(request.param, folder, rows, {"TOLLGATE_ECHO": "on"}) as running:
                yield Door(running.base_url.removesuffix("/v1"), running.api_key)
            return
        (folder / "rows.toml").write_text(rows)
        settings = {**local_settings(folder), "TOLLGATE_CATALOG": str(folder / "rows.toml"), "TOLLGATE_ECHO": "on"}
        with api_gateway({"PATH": os.environ["PATH"], **settings}) as url:
            yield Door(url, settings["TOLLGATE_DEV_KEY"])


def test_python_client(door: Door) -> None:
    client = OpenAI(api_key=door.key, base_url=f"{door.url}/v1")
    chat = client.chat.completions.create(model="echo", messages=MESSAGES)
    assert chat.choices[0].message.content == TEXT
    chunks = client.chat.completions.create(model="echo", messages=MESSAGES, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TEXT
    assert client.responses.create(model="echo", input=TEXT).output_text == TEXT
    with client.responses.stream(model="echo", input=TEXT) as stream:
        assert stream.get_final_response().output_text == TEXT
    assert client.completions.create(model="echo", prompt=TEXT).choices[0].text == TEXT
    assert len(client.embeddings.create(model="text-embedding-3-small", input=["a", "b"]).data) == 2
    assert client.moderations.create(model="omni-moderation-latest", input="a").results[0].flagged is False
    assert len(client.images.generate(model="gpt-image-2", prompt="A gate", n=2).data or ()) == 2
    image: Any = ("a.png", b"\x89PNG\r\n\x1a\n\xff\x00", "image/png")
    assert client.images.edit(model="gpt-image-2", prompt="Snow", image=[image, image]).data
    audio: Any = ("speech.mp3", b"\xff\xfb\x00\x80", "audio/mpeg")
    assert client.audio.transcriptions.create(model="whisper-1", file=audio).text == TEXT
    translations: Any = client.audio.translations
    with pytest.warns(DeprecationWarning, match="deprecated"):  # by the client; compatible servers have it
        assert translations.create(model="whisper-1", file=audio).text == TEXT
    assert client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT).content == AUDIO
    assert "echo" in {model.id for model in client.models.list()}
    assert client.models.retrieve("echo").id == "echo"
    with pytest.raises(BadRequestError) as raised:
        client.chat.completions.create(model="echo", messages=[])
    assert raised.value.param == "messages"


def test_anthropic_client(door: Door) -> None:
    client = Anthropic(api_key=door.key, base_url=door.url)
    whole = client.messages.create(model="echo", max_tokens=100, messages=MESSAGES)
    assert [block.text for block in whole.content if block.type == "text"] == [TEXT]
    with client.messages.stream(model="echo", max_tokens=100, messages=MESSAGES) as stream:
        assert stream.get_final_text() == TEXT
    assert client.messages.count_tokens(model="echo", messages=MESSAGES).input_tokens > 0
    assert "echo" in {model.id for model in client.models.list(limit=1000)}


def test_javascript_client(door: Door) -> None:
    if not NODE:
        pytest.skip("no Node.js with npm on this machine: the JavaScript client was not tested")
    env = {**os.environ, "TOLLGATE_BASE_URL": f"{door.url}/v1", "TOLLGATE_API_KEY": door.key}
    command = ["node", "endpoints.mjs"]
    ended = subprocess.run(command, cwd=node_folder(JS, "ci"), env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == "ok"
