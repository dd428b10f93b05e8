"""Looking up who acts."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Now

from accounts.actor import Actor, ActorKind
from accounts.auth import api_key
from accounts.choices import Role
from accounts.errors import InvalidApiKey, OrganizationNotChosen
from accounts.models import ApiKey, Environment, Membership, User
from accounts.permissions.roles import PERMISSIONS, Permission

# A key's last use is written at most this often, so that a busy key is not a busy row.
LAST_USED_PRECISION = datetime.timedelta(minutes=1)


def get_actor_of_key(key: str) -> Actor:
    """Return the actor of an API key. Raises `InvalidApiKey`."""
    prefix = api_key.prefix_of(key)
    found = (
        ApiKey.objects.filter(
            Q(expires_at=None) | Q(expires_at__gt=Now()), prefix=prefix, revoked_at=None, user__is_active=True
        ).first()
        if prefix
        else None
    )
    if found is None or not api_key.is_same_hash(found.hashed_secret, api_key.hash_api_key(key)):
        raise InvalidApiKey
    membership = Membership.objects.filter(organization_id=found.organization_id, user_id=found.user_id).first()
    if membership is None:
        raise InvalidApiKey
    permissions = PERMISSIONS[Role(membership.role)]
    if found.scopes:
        permissions &= {Permission(scope) for scope in found.scopes if scope in set(Permission)}
    return Actor(
        kind=ActorKind.API_KEY,
        user_id=found.user_id,
        organization_id=found.organization_id,
        environment_id=found.environment_id,
        permissions=permissions,
        api_key_id=found.id,
    )


def get_actor_of_user(user: User, *, organization_slug: str | None) -> Actor:
    """Return the actor of a signed-in user, in the named or the only organization. Raises `OrganizationNotChosen`."""
    memberships = list(
        Membership.objects.filter(user=user).select_related("organization").order_by("organization__slug")
    )
    chosen = [one for one in memberships if organization_slug in (None, one.organization.slug)]
    if len(chosen) != 1:
        raise OrganizationNotChosen(tuple(one.organization.slug for one in memberships))
    membership = chosen[0]
    environment = Environment.objects.get(organization=membership.organization, name="production")
    return Actor(
        kind=ActorKind.USER,
        user_id=user.id,
        organization_id=membership.organization_id,
        environment_id=environment.id,
        permissions=PERMISSIONS[Role(membership.role)],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Who an actor is to others in the organization."""

    email: str
    """The address of the user who acts, or whose key acts."""
    role: Role | None
    """The user's role there; None for somebody who is no member."""


def get_member(*, actor: Actor) -> Member:
    """Return who acts, as others in the organization know them."""
    if actor.user_id is None:
        return Member(email="", role=None)
    user = User.objects.filter(id=actor.user_id).first()
    membership = Membership.objects.filter(organization_id=actor.organization_id, user_id=actor.user_id).first()
    return Member(email=user.email if user else "", role=Role(membership.role) if membership else None)


def get_permissions_by_organization(user: User) -> Mapping[UUID, frozenset[Permission]]:
    """Return what a user may do in each organization they are a member of."""
    memberships = Membership.objects.filter(user=user).values_list("organization_id", "role")
    return {organization_id: PERMISSIONS[Role(role)] for organization_id, role in memberships}


def get_actor_in_organization(user: User, *, organization_id: UUID) -> Actor:
    """Return the actor of a signed-in user in one organization: as a member, or as an owner where a superuser is none.

    Raises `OrganizationNotChosen` for anybody else.
    """
    permissions = get_permissions_by_organization(user).get(organization_id)
    if permissions is None and not user.is_superuser:
        raise OrganizationNotChosen(())
    environment = Environment.objects.get(organization_id=organization_id, name="production")
    return Actor(
        kind=ActorKind.USER,
        user_id=user.id,
        organization_id=organization_id,
        environment_id=environment.id,
        permissions=PERMISSIONS[Role.OWNER] if user.is_superuser else permissions or frozenset(),
    )
