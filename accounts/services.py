"""Creating organizations and credentials."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from accounts.actor import Actor
from accounts.auth import api_key
from accounts.choices import Role
from accounts.models import ApiKey, Environment, Membership, Organization, User
from accounts.selectors import LAST_USED_PRECISION


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


def record_key_use(*, actor: Actor) -> None:
    """Remember when the actor's API key was used last, to the minute."""
    if actor.api_key_id is not None:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=Now() - LAST_USED_PRECISION)
        ApiKey.objects.filter(stale, id=actor.api_key_id).update(last_used_at=Now())
