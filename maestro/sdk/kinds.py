"""Tasks of other kinds in a workflow function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maestro.sdk.building import Timeout, make_settings, require_building
from maestro.sdk.errors import DefinitionError


def uses(
    kind: str,
    options: Mapping[str, object] | None = None,
    *,
    key: str | None = None,
    after: object = (),
    run_if: str | None = None,
    if_: Any = None,
    on_worker_lost: str | None = None,
    retry: Mapping[str, Any] | None = None,
    timeout: Timeout | None = None,
    continue_on_error: bool | None = None,
    output: Mapping[str, Any] | None = None,
    description: str | None = None,
) -> Any:
    """Add a task of any kind, with its options as a definition has them under `with:`; return its output's reference.

    `maestro kinds` lists the kinds and their options.
    """
    building = require_building(f"uses({kind!r})")
    settings = make_settings(
        key=key,
        after=after,
        run_if=run_if,
        if_=if_,
        retry=retry,
        timeout=timeout,
        continue_on_error=continue_on_error,
        output=output,
        on_worker_lost=on_worker_lost,
        description=description,
    )
    try:
        return building.add(kind, options or {}, settings, default_key=kind)
    except DefinitionError as error:
        raise DefinitionError(f"task {key or kind}: {error}") from error


def shell(
    command: str,
    *,
    env: Mapping[str, object] | None = None,
    cwd: str | None = None,
    key: str | None = None,
    after: object = (),
    run_if: str | None = None,
    if_: Any = None,
    on_worker_lost: str | None = None,
    retry: Mapping[str, Any] | None = None,
    timeout: Timeout | None = None,
    continue_on_error: bool | None = None,
    output: Mapping[str, Any] | None = None,
    description: str | None = None,
) -> Any:
    """Add a task that runs a command with `/bin/sh`. Pass values by `env` and quote them: `"$NAME"`."""
    options = {"command": command, "env": env, "cwd": cwd}
    given = {name: value for name, value in options.items() if value is not None}
    return uses(
        "shell",
        given,
        key=key,
        after=after,
        run_if=run_if,
        if_=if_,
        retry=retry,
        timeout=timeout,
        continue_on_error=continue_on_error,
        output=output,
        on_worker_lost=on_worker_lost,
        description=description,
    )
