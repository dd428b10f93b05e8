"""Who is acting: the first argument of every service and selector."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from accounts.errors import PermissionMissing
from accounts.permissions.roles import Permission


class ActorKind(StrEnum):
    """How the actor was recognised."""

    USER = "user"
    API_KEY = "api_key"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Somebody, within one organization and environment, with what they may do there."""

    kind: ActorKind
    """How the actor was recognised."""
    user_id: UUID | None
    """The user who acts, or whose key acts; None for the platform itself."""
    organization_id: UUID
    """The tenant everything is scoped to."""
    environment_id: UUID
    """The environment new runs belong to."""
    permissions: frozenset[Permission]
    """What the role, narrowed by the key's scopes, allows."""
    api_key_id: UUID | None = None
    """The key used, if any."""

    def require(self, permission: Permission) -> None:
        """Refuse unless the actor has the permission. Raises `PermissionMissing`."""
        if permission not in self.permissions:
            raise PermissionMissing(permission)
