"""The one reader of the environment: every variable the product understands, typed, with its default and meaning."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from executors.outgoing.addresses import AllowedHosts
from executors.outgoing.urls import Url


class Component(StrEnum):
    """Which part of the product this process is; it decides the database role."""

    API = "api"
    WORKER = "worker"
    BEAT = "beat"
    FLOWER = "flower"
    COMMAND = "command"


class Mode(StrEnum):
    """Who runs the servers."""

    EMBEDDED = "embedded"
    DEPLOYED = "deployed"


class Environment(BaseSettings):
    """Values read from environment variables; a wrong one stops the start and is named."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    database_url: SecretStr = Field(
        default=SecretStr("postgresql://maestro@127.0.0.1:5432/maestro"),
        description="PostgreSQL as role `maestro`, which owns the tables: workers, beat and commands.",
    )
    api_database_url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL as role `maestro_api`, for API processes. Default: DATABASE_URL.",
    )
    database_direct_url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL without a pooler in between, for migrations. Default: DATABASE_URL.",
    )
    broker_url: SecretStr = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"),
        description="Redis or Valkey with `noeviction`: Celery's messages and chord counters.",
    )
    secret_key: SecretStr = Field(
        default=SecretStr(""),
        alias="MAESTRO_SECRET_KEY",
        description="Django's signing key; at least 32 random characters.",
    )
    component: Component = Field(
        default=Component.COMMAND,
        alias="MAESTRO_COMPONENT",
        description="Which part this process is: api, worker, beat, flower or command.",
    )
    mode: Mode = Field(
        default=Mode.DEPLOYED,
        alias="MAESTRO_MODE",
        description="`embedded` where `maestro up` runs all servers on one machine, which sets it; else `deployed`.",
    )
    public_url: str = Field(
        default="http://127.0.0.1:3000",
        alias="MAESTRO_PUBLIC_URL",
        description="The address people and clients reach the API under; `platform.url` in expressions.",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("localhost", "127.0.0.1", "[::1]"),
        alias="MAESTRO_ALLOWED_HOSTS",
        description="Host names the API answers to, separated by commas.",
    )
    task_modules: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("examples",),
        alias="MAESTRO_TASK_MODULES",
        description="Python modules, with all below them, that `uses: python` may call, separated by commas. The same "
        "for API and workers: others are refused when a definition is applied, and again when a task runs.",
    )

    http_allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        alias="MAESTRO_HTTP_ALLOWED_HOSTS",
        description="What `uses: http` may reach beside public addresses, separated by commas: `host`, `host:port` or "
        "a network such as `10.1.0.0/16`.",
    )

    celery_imports: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("examples.celery_tasks",),
        alias="MAESTRO_CELERY_IMPORTS",
        description="Python modules with Celery tasks of your own that Maestro's workers import and run, separated by "
        "commas. `uses: celery` may also call tasks of other workers on the same broker.",
    )

    max_lost_attempts: int = Field(
        default=3,
        ge=1,
        alias="MAESTRO_MAX_LOST_ATTEMPTS",
        description="Attempts of one task that may be lost, because its worker or process died, before the task is "
        "quarantined: it fails and is not tried again. The same for workers and beat.",
    )

    drain_seconds: int = Field(
        default=20,
        ge=0,
        alias="MAESTRO_DRAIN_SECONDS",
        description="How long a worker that is told to stop lets running tasks finish before it gives them back. What "
        "stops it must wait for 10 seconds more.",
    )

    autoscale_wait_seconds: float = Field(
        default=1.0,
        ge=0,
        alias="MAESTRO_AUTOSCALE_WAIT_SECONDS",
        description="A worker started with `--autoscale` makes more processes when a task has waited for longer.",
    )
    autoscale_quiet_seconds: float = Field(
        default=30.0,
        ge=0,
        alias="MAESTRO_AUTOSCALE_QUIET_SECONDS",
        description="A worker started with `--autoscale` ends a process whenever it has had one too many for so long.",
    )

    max_tasks_per_child: int | None = Field(
        default=None,
        ge=1,
        alias="MAESTRO_MAX_TASKS_PER_CHILD",
        description="After so many tasks a worker replaces a process by a new one. Default: never.",
    )
    max_memory_per_child: int | None = Field(
        default=None,
        ge=256,
        alias="MAESTRO_MAX_MEMORY_PER_CHILD",
        description="Once a process of a worker has taken more memory than this, in MiB and at least 256, it is "
        "replaced by a new one after its task. Default: never.",
    )

    @field_validator("allowed_hosts", "celery_imports", "http_allowed_hosts", "task_modules", mode="before")
    @classmethod
    def split_commas(cls, value: object) -> object:
        """Read a list written as `a,b,c`."""
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("public_url")
    @classmethod
    def check_url(cls, value: str) -> str:
        """Refuse what is no URL; `${{ platform.url }}/health` needs it without a slash at its end."""
        Url.parse(value)
        return value.rstrip("/")

    @field_validator("http_allowed_hosts")
    @classmethod
    def check_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse an entry that can be read as nothing."""
        AllowedHosts.parse(value)
        return value

    def database_url_of_component(self) -> str:
        """Return the URL this process connects with: the bound role for the API, the owner for everything else."""
        chosen = (
            self.api_database_url if self.component is Component.API and self.api_database_url else self.database_url
        )
        return chosen.get_secret_value()
