"""The home directory of an embedded stack: paths, lock, generated secrets. What runs in it: `record`."""

from __future__ import annotations

import fcntl
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import pydantic

from maestro.embedded.errors import HomeUnusable, StackAlreadyRunning


@dataclass(frozen=True, slots=True)
class Home:
    """One embedded stack's directory. Two stacks with two homes do not meet."""

    path: Path
    """Absolute path."""

    @property
    def postgres(self) -> Path:
        """PostgreSQL's data directory."""
        return self.path / "postgres"

    @property
    def valkey(self) -> Path:
        """Valkey's data directory; its configuration with the password too."""
        return self.path / "valkey"

    @property
    def secrets(self) -> Path:
        """Generated passwords and Django's secret key, mode 0600."""
        return self.path / "secrets.json"

    @property
    def record(self) -> Path:
        """What runs here: see `record.StackRecord`. No secrets."""
        return self.path / "state.json"

    @property
    def lock(self) -> Path:
        """Held by the supervisor as long as it lives."""
        return self.path / "lock"

    @property
    def log(self) -> Path:
        """The log of a detached stack."""
        return self.path / "maestro.log"

    @property
    def api_key(self) -> Path:
        """The first administrator's API key, mode 0600."""
        return self.path / "api-key"

    @property
    def admin_password(self) -> Path:
        """The first administrator's password, mode 0600; Flower's too."""
        return self.path / "admin-password"

    @property
    def beat_schedule(self) -> Path:
        """Celery beat's own bookkeeping."""
        return self.path / "beat-schedule"

    @property
    def tmp(self) -> Path:
        """Temporary files of Maestro's processes and of the tasks; emptied at every start."""
        return self.path / "tmp"

    def create(self) -> None:
        """Make the directory, closed to others. Raises HomeUnusable."""
        # As root, PostgreSQL runs as another user and must pass through, but never list, this directory.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        try:
            self.path.mkdir(mode=mode, parents=True, exist_ok=True)
            if self.path.stat().st_uid == os.geteuid():
                self.path.chmod(mode)
        except FileExistsError as error:
            raise _no_directory(self.path) from error
        except OSError as error:
            raise HomeUnusable(
                f"{self.path} cannot be made: {error.strerror}. Choose another home by --home."
            ) from error
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise HomeUnusable(f"{self.path} belongs to another user. Choose another home by --home.")


class HomeLock:
    """The lock of a home: whoever holds it is its supervisor."""

    def __init__(self, home: Home) -> None:
        self._path = home.lock
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock for the life of this process. Raises StackAlreadyRunning, HomeUnusable."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise HomeUnusable(f"{self._path} cannot be opened: {error.strerror}. Choose another by --home.") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise StackAlreadyRunning(
                f"A stack already runs in {self._path.parent}. Stop it by `maestro down`, or choose another --home."
            ) from error
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def is_held(self) -> bool:
        """Tell whether some process holds the lock now."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        except NotADirectoryError as error:
            raise _no_directory(self._path.parent) from error
        except OSError as error:
            raise HomeUnusable(f"{self._path} cannot be read: {error.strerror}. Is it another user's stack?") from error
        try:
            # A shared lock: two who merely look do not hinder one another.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False


class Secrets(pydantic.BaseModel):
    """What is generated once per home and never leaves it but by the environment of the stack's processes."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    postgres_password: pydantic.SecretStr
    maestro_password: pydantic.SecretStr
    maestro_api_password: pydantic.SecretStr
    valkey_password: pydantic.SecretStr
    django_secret_key: pydantic.SecretStr


def load_or_create_secrets(home: Home) -> Secrets:
    """Return the home's secrets, generating them at the first start. Raises HomeUnusable."""
    try:
        return Secrets.model_validate_json(home.secrets.read_bytes())
    except FileNotFoundError:
        if home.postgres.exists():
            raise HomeUnusable(
                f"{home.secrets} is missing, and without it the data in {home.postgres} cannot be opened. "
                "Put the file back from a backup, or move the home away to start anew."
            ) from None
    except OSError as error:
        raise HomeUnusable(f"{home.secrets} cannot be read: {error.strerror}.") from error
    except pydantic.ValidationError:
        raise HomeUnusable(f"{home.secrets} is damaged. Put it back from a backup.") from None
    generated = {name: secrets.token_urlsafe(32) for name in Secrets.model_fields}
    write_private(home.secrets, pydantic.TypeAdapter(dict[str, str]).dump_json(generated, indent=2))
    return Secrets.model_validate(generated)


def write_private(path: Path, content: bytes) -> None:
    """Replace a file at once, readable by its owner only: no reader sees half of it, a crash leaves the old one."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    partial.replace(path)


def _no_directory(path: Path) -> HomeUnusable:
    """Return the refusal of a home that is a file, or lies below one."""
    return HomeUnusable(f"{path} is no directory. Choose another home by --home.")
