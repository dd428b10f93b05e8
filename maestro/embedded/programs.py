"""Maestro's own programs in the embedded stack and the environment that joins them to its servers."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping

from maestro.embedded import celery_ping, postgres, valkey
from maestro.embedded.home import Home, Secrets
from maestro.embedded.options import StackOptions
from maestro.embedded.ports import HOST
from maestro.embedded.program import Program, StopStep
from maestro.embedded.record import Ports, urls_of

PROBE_TIMEOUT_SECONDS = 5.0
EXIT_SECONDS = 10.0
"""What a worker may take beyond the time its tasks have to finish."""
# Django's system checks load the whole API; one of the three Celery processes doing so at each start is enough.
CHECKED_BY_WORKER = {"CELERY_SKIP_CHECKS": "true"}


def environment(home: Home, ports: Ports, secrets: Secrets, *, component: str) -> Mapping[str, str]:
    """Return the environment of one of Maestro's processes: ours, with the stack's servers and secrets."""
    owner = postgres.url("maestro", secrets.maestro_password, ports.postgres)
    return {
        **os.environ,
        "DATABASE_URL": owner,
        "DATABASE_DIRECT_URL": owner,
        "API_DATABASE_URL": postgres.url("maestro_api", secrets.maestro_api_password, ports.postgres),
        "BROKER_URL": valkey.url(ports.valkey, secrets),
        "MAESTRO_SECRET_KEY": secrets.django_secret_key.get_secret_value(),
        "MAESTRO_HOME": str(home.path),
        "MAESTRO_MODE": "embedded",
        "MAESTRO_PUBLIC_URL": urls_of(ports).api,
        "MAESTRO_COMPONENT": component,
        "DJANGO_SETTINGS_MODULE": "maestro.settings",
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(home.tmp),
    }


def prepare(home: Home, ports: Ports, secrets: Secrets) -> Program:
    """Return the program that migrates the database and makes the first organization."""
    return Program(
        name="prepare",
        command=(sys.executable, "-m", "maestro.embedded.prepare"),
        environment=environment(home, ports, secrets, component="command"),
    )


def api(home: Home, ports: Ports, secrets: Secrets) -> Program:
    """Return the API server."""

    async def is_ready() -> bool:
        return await answers_health(ports.api)

    return Program(
        name="api",
        command=(
            *(sys.executable, "-m", "uvicorn", "maestro.asgi:application", "--host", HOST, "--port", str(ports.api)),
            # A browser that keeps a stream open must not hold up the stop.
            *("--no-access-log", "--lifespan", "off", "--timeout-graceful-shutdown", "3"),
        ),
        environment=environment(home, ports, secrets, component="api"),
        is_ready=is_ready,
    )


def worker(number: int, options: StackOptions, home: Home, ports: Ports, secrets: Secrets) -> Program:
    """Return a stock Celery worker; the first has the number 1."""
    broker = valkey.url(ports.valkey, secrets)
    node = f"executor{'' if number == 1 else f'-{number}'}@{socket.gethostname()}"

    async def is_ready() -> bool:
        return await celery_ping.worker_answers(broker, node)

    return Program(
        name=worker_name(number),
        command=_celery(
            *("worker", *_slots(options), "-n", node),
            # The others know nothing that it needs: asking costs a second of each start, and a traceback when the
            # broker is lost.
            *("--without-mingle", "--without-gossip"),
        ),
        environment={
            **environment(home, ports, secrets, component="worker"),
            "PYTHONWARNINGS": _warnings(),
            "MAESTRO_DRAIN_SECONDS": str(options.drain_seconds),
        },
        is_ready=is_ready,
        # The first drains it; the second, for who is in a hurry, gives back at once what runs.
        stop_steps=(
            StopStep(signal=signal.SIGTERM, seconds=options.drain_seconds + EXIT_SECONDS),
            StopStep(signal=signal.SIGQUIT, seconds=5),
        ),
        # Its broker dies too, and without one even a cold shutdown waits for ever. Its children die with it.
        death_signal=signal.SIGKILL,
    )


def worker_name(number: int) -> str:
    """Return the name under which the stack's log and its record list a worker."""
    return "worker" if number == 1 else f"worker-{number}"


def beat(home: Home, ports: Ports, secrets: Secrets) -> Program:
    """Return Celery beat."""
    return Program(
        name="beat",
        command=_celery("beat", "-s", str(home.beat_schedule), "--pidfile="),
        environment={**environment(home, ports, secrets, component="beat"), **CHECKED_BY_WORKER},
        ready_text="LocalTime ->",
    )


def flower(home: Home, ports: Ports, secrets: Secrets) -> Program:
    """Return Flower; it asks for the administrator's password, which `prepare` has written."""

    async def is_ready() -> bool:
        return await listens(ports.flower)

    password = home.admin_password.read_text().strip()
    return Program(
        name="flower",
        command=(sys.executable, "-m", "maestro.embedded.flower", f"--address={HOST}", f"--port={ports.flower}"),
        environment={
            **environment(home, ports, secrets, component="flower"),
            **CHECKED_BY_WORKER,
            "FLOWER_BASIC_AUTH": f"admin:{password}",
            "FLOWER_PERSISTENT": "false",
        },
        is_ready=is_ready,
        stop_steps=(StopStep(signal=signal.SIGTERM, seconds=2),),
    )


async def listens(port: int) -> bool:
    """Tell whether something accepts connections on the port."""
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True


async def answers_health(port: int) -> bool:
    """Tell whether `GET /health` on the port answers 200."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(f"GET /health HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n".encode())
                return (await reader.readline()).split()[1:2] == [b"200"]
            finally:
                writer.close()
    except OSError:  # TimeoutError too
        return False


def _slots(options: StackOptions) -> tuple[str, ...]:
    """Return the worker's options that say how many tasks it runs at a time."""
    if options.autoscale is None:
        return ("--concurrency", str(options.concurrency))
    most, least = options.autoscale
    return (f"--autoscale={most},{least}",)


def _warnings() -> str:
    """Return our PYTHONWARNINGS with Celery's about root hidden: who starts a stack on a machine of their own knows."""
    return ",".join(filter(None, (os.environ.get("PYTHONWARNINGS"), "ignore::UserWarning:celery.platforms")))


def _celery(*arguments: str) -> tuple[str, ...]:
    """Return a Celery command line."""
    return (sys.executable, "-m", "celery", "-A", "maestro", *arguments)
