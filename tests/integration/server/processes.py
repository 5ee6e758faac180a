"""Real servers as a user starts them: a process, a port, a data folder."""

import base64
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import httpx
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from app.cli.__main__ import app
from app.telemetry import logs

ROOT = Path(__file__).parents[3]
COMMAND = (sys.executable, "-P", "-m", "app.cli")
START = 180.0  # seconds; generous, for a machine that has much else to do


def environment(**settings: str) -> dict[str, str]:
    """The environment of the tests without their settings, with `settings` as FACERECO_…."""
    inherited = {
        name: value
        for name, value in os.environ.items()  # noqa: TID251 - a child's environment, no setting
        if not name.startswith("FACERECO_") or name.startswith("FACERECO_MODEL")
    }
    given = {f"FACERECO_{name.upper()}": value for name, value in settings.items()}
    return {**inherited, "PYTHONPATH": str(ROOT), **given}


def command(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run `facereco ARGUMENTS` to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=START,
        check=False,
    )


def command_here(*arguments: str, **settings: str) -> Result:
    """The same within this process, for tests of what it does: starting one takes longer.

    The log of this process stays as it is: what a command set up would end with the command.
    """
    given = {f"FACERECO_{name.upper()}": value for name, value in settings.items()}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(logs, "configure", lambda _level: None)
        return CliRunner().invoke(app, arguments, env=given)


@dataclass
class ServerProcess:
    """`facereco serve` on a free port; what it prints lands in two files beside its data."""

    data: Path
    settings: dict[str, str] = field(default_factory=dict)
    log: str = "server"
    program: tuple[str, ...] = COMMAND

    def start(self) -> Self:
        with self._file("out").open("w") as out, self._file("err").open("a") as err:
            self.process = subprocess.Popen(
                [*self.program, "serve", "--port", "0", "--data", str(self.data)],
                env=environment(**self.settings),
                stdout=out,
                stderr=err,
            )
        self.base = self._wait()
        return self

    def _file(self, stream: str) -> Path:
        return self.data.with_name(f"{self.data.name}.{self.log}.{stream}")

    def _wait(self) -> str:
        deadline = time.monotonic() + START
        while time.monotonic() < deadline:
            if found := re.search(r"ready on (http://\S+)", self.output):
                return found[1]
            if self._ended():
                break
            time.sleep(0.02)
        raise AssertionError(f"the server did not start: {self.output}{self.errors}")

    def _ended(self) -> bool:
        return self.process.poll() is not None

    @property
    def output(self) -> str:
        """What this start printed."""
        return self._file("out").read_text(encoding="utf-8")

    @property
    def errors(self) -> str:
        """The log of all starts."""
        return self._file("err").read_text(encoding="utf-8")

    @property
    def app_key(self) -> str:
        return self._printed("appKey")

    @property
    def secret_key(self) -> str:
        return self._printed("secretKey")

    def _printed(self, name: str) -> str:
        found = re.search(rf"{name}\s+(\S+)", self.output)
        assert found is not None
        return found[1]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(START)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(START)


@contextlib.contextmanager
def running(data: Path, **settings: str) -> Iterator[ServerProcess]:
    server = ServerProcess(data, settings).start()
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


class Client:
    """What a client of the cloud service does, on another base URL."""

    def __init__(self, base: str, app_key: str, headers: Mapping[str, str] | None = None) -> None:
        self._http = httpx.Client(
            base_url=f"{base}/nhn-face-reco/v1.0/appkeys/{app_key}",
            headers=headers,
            timeout=60,
            trust_env=False,
        )

    def close(self) -> None:
        self._http.close()

    def call(self, method: str, path: str, body: object = None, **query: object) -> dict[str, Any]:
        """The whole answer."""
        given = {name.replace("_", "-"): str(value) for name, value in query.items()}
        response = self._http.request(method, path, json=body, params=given)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def ask(self, method: str, path: str, body: object = None, **query: object) -> dict[str, Any]:
        """The data of an answer that must be a success."""
        answer = self.call(method, path, body, **query)
        assert answer["header"]["resultCode"] == 0, answer["header"]
        data: dict[str, Any] = answer.get("data", {})
        return data

    def code(self, method: str, path: str, body: object = None, **query: object) -> int:
        return int(self.call(method, path, body, **query)["header"]["resultCode"])


def image(picture: np.ndarray | Path, *, format: str = "JPEG", quality: int = 90) -> dict[str, str]:
    """A picture as a request carries it."""
    if isinstance(picture, Path):
        data = picture.read_bytes()
    else:
        buffer = BytesIO()
        Image.fromarray(picture).save(buffer, format, quality=quality)
        data = buffer.getvalue()
    return {"bytes": base64.b64encode(data).decode()}
