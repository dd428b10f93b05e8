"""The installed executor kinds, found by entry point. No Django: the command line uses it too."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping
from importlib import metadata
from types import MappingProxyType
from typing import Any

from executors.base import Executor, Options
from executors.kinds.errors import BrokenKind, UnknownKind

ENTRY_POINT_GROUP = "maestro.executors"


@functools.cache
def installed_kinds() -> Mapping[str, Executor[Any]]:
    """Return one executor per installed kind, by name.

    Raises `BrokenKind`, naming the distribution, when a package's kind cannot be loaded or two packages offer the same.
    """
    found: dict[str, metadata.EntryPoint] = {}
    for entry_point in metadata.entry_points(group=ENTRY_POINT_GROUP):
        name = entry_point.name
        if name in found:
            owners = " and ".join(sorted(_distribution(offer) for offer in (found[name], entry_point)))
            raise BrokenKind(f"The kind {name!r} is offered by both {owners}: uninstall one of them.")
        found[name] = entry_point
    return MappingProxyType({name: _load(found[name]) for name in sorted(found)})


def options_models() -> Mapping[str, type[Options]]:
    """Return the model of each installed kind's options, by the kind's name; raises `BrokenKind`."""
    return {name: executor.Options for name, executor in installed_kinds().items()}


def get_kind(name: str) -> Executor[Any]:
    """Return the executor of a kind; raises `UnknownKind`, or `BrokenKind`."""
    kinds = installed_kinds()
    if name not in kinds:
        near = difflib.get_close_matches(name, kinds, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Installed are: {', '.join(kinds) or 'none'}."
        raise UnknownKind(f"No executor kind {name!r} is installed. {hint}")
    return kinds[name]


def _load(entry_point: metadata.EntryPoint) -> Executor[Any]:
    source = f"The kind {entry_point.name!r} of {_distribution(entry_point)} ({entry_point.value})"
    try:
        executor: Executor[Any] = entry_point.load()()
    except Exception as error:
        raise BrokenKind(f"{source} cannot be loaded: {type(error).__name__}: {error}") from error
    flaw = _flaw(executor, entry_point.name)
    if flaw:
        raise BrokenKind(f"{source} {flaw}.")
    return executor


def _flaw(executor: object, name: str) -> str | None:
    """Name what keeps an object from being the executor of this kind."""
    model = getattr(executor, "Options", None)
    if getattr(executor, "kind", None) != name:
        return f"calls itself {getattr(executor, 'kind', None)!r}; its `kind` must be its entry point's name"
    if not isinstance(getattr(executor, "summary", None), str):
        return "has no `summary`"
    if not (isinstance(model, type) and issubclass(model, Options)):
        return "has no `Options` class derived from executors.base.Options"
    if not callable(getattr(executor, "execute", None)):
        return "has no `execute` method"
    return None


def _distribution(entry_point: metadata.EntryPoint) -> str:
    distribution = entry_point.dist
    return f"{distribution.name} {distribution.version}" if distribution else "an unnamed distribution"
