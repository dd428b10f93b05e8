"""Kinds for tests: models of options as a kind's author would write them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Options(BaseModel):
    """What the options of every kind are built on."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Shell(Options):
    """Text, a mapping, a default, a bound."""

    command: str = Field(min_length=1, pattern=r"^\S", description="The command.")
    env: dict[str, str] = {}
    cwd: str | None = None
    retries: int = Field(default=0, ge=0, le=9)
    shell: Literal["sh", "bash"] = "sh"


class Step(Options):
    """An inner model that holds itself."""

    run: str
    after: Step | None = None


class Text(Options):
    """An alternative."""

    text: str


class Number(Options):
    """Another alternative."""

    number: int
    unit: str


class Batch(Options):
    """Lists, inner models, alternatives, an alias, and a rule over two options."""

    steps: tuple[Step, ...] = Field(default=(), min_length=1)
    value: Text | Number | None = None
    kind_of: str | None = Field(default=None, alias="kind")
    anything: object = None
    this: int | None = None
    that: int | None = None

    @model_validator(mode="after")
    def _check_one(self) -> Batch:
        if self.this is not None and self.that is not None and self.this == self.that:
            raise ValueError("this and that must differ")
        return self


class Noop(Options):
    """Nothing required."""

    duration: float = 0


KINDS: dict[str, type[BaseModel]] = {"batch": Batch, "noop": Noop, "shell": Shell}
