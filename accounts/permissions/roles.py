"""Every permission of the product and which role has it. The only place where a permission string is spelled."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from accounts.choices import Role


class Permission(StrEnum):
    """One thing an actor may do."""

    READ_WORKFLOWS = "workflows.read"
    WRITE_WORKFLOWS = "workflows.write"
    READ_RUNS = "runs.read"
    START_RUNS = "runs.start"
    CANCEL_RUNS = "runs.cancel"
    PAUSE_RUNS = "runs.pause"
    SIGNAL_RUNS = "runs.signal"
    DECIDE_APPROVALS = "approvals.decide"


_READ = frozenset({Permission.READ_WORKFLOWS, Permission.READ_RUNS})
# Each approval says who may decide it; somebody who else only reads may be among them.
_VIEW = _READ | {Permission.DECIDE_APPROVALS}
_OPERATE = _VIEW | {
    Permission.START_RUNS,
    Permission.CANCEL_RUNS,
    Permission.PAUSE_RUNS,
    Permission.SIGNAL_RUNS,
}
_DEVELOP = _OPERATE | {Permission.WRITE_WORKFLOWS}

PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.OWNER: _DEVELOP,
    Role.ADMIN: _DEVELOP,
    Role.DEVELOPER: _DEVELOP,
    Role.OPERATOR: _OPERATE,
    Role.VIEWER: _VIEW,
    Role.BILLING: frozenset(),
}
