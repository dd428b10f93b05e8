"""The whole product, started as a user would start it; tests drive it from outside."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from maestro.embedded.ports import find_free
from tests.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
MAESTRO = Path(sys.executable).with_name("maestro")
# What the suite sets for itself must not leak into the product under test.
OWN_VARIABLES = ("DATABASE_URL", "API_DATABASE_URL", "BROKER_URL", "DJANGO_SETTINGS_MODULE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A running `maestro up`."""

    home: Path
    url: str
    flower_url: str
    key: str = field(repr=False)

    @property
    def log(self) -> str:
        """What it has printed so far."""
        return (self.home.parent / "log").read_text()

    @property
    def environment(self) -> dict[str, str]:
        """What a user's shell would have, with this home."""
        return outside_environment() | {"MAESTRO_HOME": str(self.home)}

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a `maestro` command."""
        defaults: dict[str, Any] = {
            "capture_output": True,
            "timeout": PATIENCE_SECONDS,
            "cwd": ROOT,
            "env": self.environment,
        }
        return subprocess.run([str(MAESTRO), *arguments], text=True, **(defaults | options))

    def request(self, method: str, path: str, *, key: str | None = None, **options: Any) -> requests.Response:
        """Call the REST API with the administrator's key, or another."""
        headers = {"Authorization": f"Bearer {key or self.key}"} | options.pop("headers", {})
        return requests.request(
            method, f"{self.url}/api/v1{path}", headers=headers, timeout=PATIENCE_SECONDS, **options
        )

    def tasks_of(self, run_id: str) -> list[dict[str, Any]]:
        """Return the task executions of a run."""
        tasks: list[dict[str, Any]] = self.request("GET", f"/workflow-runs/{run_id}/task-executions").json()["results"]
        return tasks


def outside_environment() -> dict[str, str]:
    """The environment without what the suite set for itself."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in OWN_VARIABLES and not name.startswith(("MAESTRO_", "PYTEST_"))
    }


@contextlib.contextmanager
def running_stack(directory: Path) -> Iterator[Stack]:
    """Run `maestro up` with its home in a directory."""
    home = directory / "a home"
    # As root, PostgreSQL runs as another user; the suite's directories are closed to it otherwise.
    for above in (directory, *directory.parents[:2]):
        above.chmod(0o711)
    port, flower_port = find_free(2)
    command = [str(MAESTRO), "up", "--home", str(home), "--port", str(port), "--flower-port", str(flower_port)]
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT, env=outside_environment())
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while b"Maestro is ready" not in log.read_bytes():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The stack did not start:\n{log.read_text()}")
            time.sleep(0.1)
        record = json.loads((home / "state.json").read_text())
        key = (home / "api-key").read_text().strip()
        yield Stack(home=home, url=record["urls"]["api"], flower_url=record["urls"]["flower"], key=key)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_SECONDS)


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    """One stack for every test that only uses it."""
    with running_stack(tmp_path_factory.mktemp("stack")) as started:
        yield started
