"""Facts that keep the embedded stack from starting or stopping; every message says what to do."""

from __future__ import annotations

from typing import ClassVar

from maestro.core import errors


class StackError(errors.MaestroError):
    """The embedded stack cannot do what it was asked."""

    code: ClassVar[str] = "stack_error"
    category: ClassVar[errors.Category] = errors.Category.UNAVAILABLE


class StackAlreadyRunning(StackError):
    """Another supervisor holds this home."""

    code: ClassVar[str] = "stack_already_running"
    category: ClassVar[errors.Category] = errors.Category.CONFLICT


class PortTaken(StackError):
    """A fixed port cannot be listened on."""

    code: ClassVar[str] = "port_taken"
    category: ClassVar[errors.Category] = errors.Category.CONFLICT


class HomeUnusable(StackError):
    """The home directory cannot be used as it is."""

    code: ClassVar[str] = "home_unusable"
    category: ClassVar[errors.Category] = errors.Category.INVALID


class NoUnprivilegedUser(StackError):
    """PostgreSQL refuses to run as root and no other user can run it."""

    code: ClassVar[str] = "no_unprivileged_user"


class StartFailed(StackError):
    """A process of the stack did not come up."""

    code: ClassVar[str] = "start_failed"


class StopFailed(StackError):
    """A running stack did not go away."""

    code: ClassVar[str] = "stop_failed"
