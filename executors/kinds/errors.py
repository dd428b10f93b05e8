"""What may be wrong with an executor kind itself; failures of a task are `executors.base.TaskError`s."""

from __future__ import annotations

from maestro.core.errors import Category, MaestroError


class UnknownKind(MaestroError):
    """No installed package offers this kind."""

    code = "unknown_kind"


class BrokenKind(MaestroError):
    """An installed package announces a kind that cannot be used; the operator repairs or removes the package."""

    code = "broken_kind"
    category = Category.UNAVAILABLE
