"""What runs in a home, as its `state.json` says: written by the supervisor, read by everybody else. No secrets."""

from __future__ import annotations

import datetime
from enum import StrEnum

import pydantic

from maestro.embedded.errors import HomeUnusable
from maestro.embedded.home import Home, write_private


class StackStatus(StrEnum):
    """Where the stack as a whole is."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"


class ProcessStatus(StrEnum):
    """Where one process of the stack is."""

    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    STOPPED = "stopped"


class Ports(pydantic.BaseModel):
    """The ports of one stack, all on 127.0.0.1."""

    model_config = pydantic.ConfigDict(frozen=True)

    api: int
    flower: int
    postgres: int
    valkey: int


class Urls(pydantic.BaseModel):
    """Where a browser or a client goes."""

    model_config = pydantic.ConfigDict(frozen=True)

    api: str
    docs: str
    admin: str
    flower: str


class ProcessRecord(pydantic.BaseModel):
    """One process of the stack."""

    model_config = pydantic.ConfigDict(frozen=True)

    name: str
    status: ProcessStatus
    pid: int | None
    born_at: float | None
    """The kernel's start time of the pid: a recycled pid has another."""
    started_at: datetime.datetime | None
    restarts: int


class StackRecord(pydantic.BaseModel):
    """The stack of a home."""

    model_config = pydantic.ConfigDict(frozen=True)

    status: StackStatus
    pid: int
    """The supervisor."""
    born_at: float | None
    """The kernel's start time of the supervisor."""
    guard_pid: int | None = None
    """The process above the supervisor, the last of the stack to end."""
    started_at: datetime.datetime
    ports: Ports
    urls: Urls
    admin_email: str
    ready_after_seconds: float | None = None
    drain_seconds: int = 0
    """How long running tasks have to finish when the stack is stopped."""
    processes: tuple[ProcessRecord, ...] = ()

    @property
    def is_running(self) -> bool:
        """Tell whether a supervisor stands behind this record."""
        return self.status is not StackStatus.STOPPED

    @property
    def is_whole(self) -> bool:
        """Tell whether the stack is ready and all of its processes run."""
        return self.status is StackStatus.READY and all(
            process.status is ProcessStatus.RUNNING for process in self.processes
        )


def urls_of(ports: Ports) -> Urls:
    """Return the addresses that belong to the ports."""
    api = f"http://127.0.0.1:{ports.api}"
    return Urls(api=api, docs=f"{api}/api/docs/", admin=f"{api}/admin/", flower=f"http://127.0.0.1:{ports.flower}")


def read_record(home: Home) -> StackRecord | None:
    """Return what the home's last supervisor wrote; None before the first start. Raises HomeUnusable."""
    try:
        return StackRecord.model_validate_json(home.record.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HomeUnusable(f"{home.record} cannot be read: {error.strerror}. Is it another user's stack?") from error
    except pydantic.ValidationError:
        raise HomeUnusable(f"{home.record} is damaged. When no stack runs there, remove that one file.") from None


def write_record(home: Home, record: StackRecord) -> None:
    """Publish what runs."""
    write_private(home.record, record.model_dump_json(indent=2).encode() + b"\n")
