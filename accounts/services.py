"""Creating organizations and credentials."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import InternalError, connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from accounts.actor import Actor
from accounts.auth import api_key
from accounts.auth.api_key import NewApiKey
from accounts.choices import Role
from accounts.errors import ApiKeyExists, ApiKeyUserNotMember, EnvironmentNotOfOrganization
from accounts.models import ApiKey, Environment, Membership, Organization, User
from accounts.permissions.roles import Permission
from accounts.selectors import LAST_USED_PRECISION
from maestro.core import sql

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstOrganization:
    """What the first start made."""

    email: str
    """The administrator's login."""
    key: str
    """An API key of the administrator, known only now."""


def create_first_organization(*, slug: str, email: str, password: str) -> FirstOrganization | None:
    """Create an organization with its administrator and an API key, unless any organization exists.

    Needs no actor: it makes the first one. Two starts at once make one organization.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE organizations IN SHARE ROW EXCLUSIVE MODE")
        if Organization.objects.exists():
            return None
        organization = Organization.objects.create(name=slug.title(), slug=slug)
        environment = Environment.objects.create(organization=organization, name="production")
        user = User.objects.create_superuser(email, password)
        Membership.objects.create(organization=organization, user=user, role=Role.OWNER)
        new = api_key.make_api_key()
        ApiKey.objects.create(
            organization=organization,
            environment=environment,
            user=user,
            name="first key",
            prefix=new.prefix,
            hashed_secret=new.hashed_secret,
        )
        return FirstOrganization(email=user.email, key=new.key)


def create_api_key(
    *,
    key_id: UUID,
    user: User,
    environment: Environment,
    organization_id: UUID,
    name: str,
    scopes: Sequence[Permission] = (),
    expires_at: datetime.datetime | None = None,
) -> NewApiKey:
    """Create an API key of a member and return it at the only moment when it is known.

    Needs no actor: the admin, its only caller, decides who may make keys for whom. The caller chooses the id, so that
    the same request made twice makes one key. Raises `ApiKeyUserNotMember`, `EnvironmentNotOfOrganization`, and
    `ApiKeyExists` the second time.
    """
    if environment.organization_id != organization_id:
        raise EnvironmentNotOfOrganization
    new = api_key.make_api_key()
    with transaction.atomic():
        # Locked, so that a membership that ends meanwhile leaves no key behind its back.
        if not Membership.objects.select_for_update().filter(user=user, organization_id=organization_id).exists():
            raise ApiKeyUserNotMember(user.email)
        row = ApiKey(
            id=key_id,
            organization_id=organization_id,
            environment=environment,
            user=user,
            name=name,
            prefix=new.prefix,
            hashed_secret=new.hashed_secret,
            scopes=[scope.value for scope in scopes],
            expires_at=expires_at,
        )
        ApiKey.objects.bulk_create([row], ignore_conflicts=True)
        if not ApiKey.objects.filter(id=key_id, prefix=new.prefix).exists():
            raise ApiKeyExists
    return new


def revoke_api_key(*, key_id: UUID) -> bool:
    """Revoke an API key for good; tells whether it was not revoked before. Needs no actor, as `create_api_key`."""
    return bool(ApiKey.objects.filter(id=key_id, revoked_at=None).update(revoked_at=Now()))


def record_key_use(*, actor: Actor) -> None:
    """Remember when the actor's API key was used last, to the minute, unless the database is read-only for a while:
    then what only reads goes on.
    """
    if actor.api_key_id is None:
        return
    stale = Q(last_used_at=None) | Q(last_used_at__lt=Now() - LAST_USED_PRECISION)
    try:
        ApiKey.objects.filter(stale, id=actor.api_key_id).update(last_used_at=Now())
    except InternalError as error:
        if not sql.is_unavailable(error):
            raise
        logger.warning("The last use of an API key was not recorded: %s", error)
