"""What every list and page of the admin is made of: who sees which rows, how many are counted, what cannot be changed.

Whoever may sign in to the admin sees the rows of the organizations they are a member of, as far as their role there
allows. A superuser sees everything and acts as an owner everywhere. Django's own permission tables are not used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.views import ChangeList

from accounts import selectors
from accounts.admin.paginator import CappedPaginator
from accounts.models import User
from accounts.permissions.roles import Permission
from maestro.core.errors import MaestroError

PER_PAGE = 50


def user_of(request: HttpRequest) -> User:
    """Return who is signed in. Raises `PermissionDenied` for a stranger."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def permissions_of(request: HttpRequest) -> Mapping[UUID, frozenset[Permission]]:
    """Return what the signed-in person may do in each organization they are a member of; read once a request."""
    kept: dict[str, Any] = vars(request)
    if "_maestro_permissions" not in kept:
        kept["_maestro_permissions"] = selectors.get_permissions_by_organization(user_of(request))
    permissions: Mapping[UUID, frozenset[Permission]] = kept["_maestro_permissions"]
    return permissions


def may(request: HttpRequest, permission: Permission, organization_id: UUID | None = None) -> bool:
    """Tell whether the signed-in person has a permission in an organization, or in any."""
    user = request.user
    if not isinstance(user, User) or not user.is_active:  # the sign-in page asks too
        return False
    if user.is_superuser:
        return True
    permissions = permissions_of(request)
    if organization_id is not None:
        return permission in permissions.get(organization_id, frozenset())
    return any(permission in allowed for allowed in permissions.values())


def organizations_of(request: HttpRequest, permission: Permission) -> list[UUID] | None:
    """Return the organizations whose rows the signed-in person may see; None for all."""
    if user_of(request).is_superuser:
        return None
    return [organization for organization, allowed in permissions_of(request).items() if permission in allowed]


@contextlib.contextmanager
def told_as_message(request: HttpRequest) -> Iterator[None]:
    """Tell a refusal to the person as a message on the next page."""
    try:
        yield
    except MaestroError as error:
        messages.error(request, error.message)


class _Page(ChangeList):
    """A page of a list: read with a limit also where the count found that one page is all."""

    result_list: QuerySet[Any]

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = self.result_list[: self.list_per_page]
        # The theme writes "N results (Show all)" where these differ: useful in a narrowed list, untrue of a capped
        # count.
        is_narrowed = bool(self.query) or self.has_active_filters
        if not is_narrowed or self.paginator.has_more:
            self.full_result_count = self.result_count


class BaseAdmin(ModelAdmin):
    """Lists of bounded cost. Nothing is deleted here: users are deactivated, keys revoked, workflows archived."""

    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = PER_PAGE
    list_max_show_all = PER_PAGE
    list_filter_submit = True
    compressed_fields = False
    actions = None
    # Fields a list may be filtered by in its address, besides its filters: what no index serves stays out.
    lookups: tuple[str, ...] = ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return how a page of the list is read."""
        return _Page

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow what the lists themselves link to, nothing that anybody may type into the address."""
        return lookup in self.lookups or lookup in {getattr(one, "parameter_name", None) for one in self.list_filter}

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        return False


class PlatformAdmin(BaseAdmin):
    """Rows that belong to the platform: for superusers only."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Allow superusers."""
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Allow superusers."""
        return bool(request.user.is_active and request.user.is_superuser)

    has_add_permission = has_view_permission
    has_change_permission = has_view_permission


class OrganizationAdmin(BaseAdmin):
    """Rows that belong to organizations, scoped to those of the signed-in person."""

    read_permission: Permission

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows of the person's organizations."""
        rows: QuerySet[Any] = super().get_queryset(request)
        allowed = organizations_of(request, self.read_permission)
        return rows if allowed is None else rows.filter(organization_id__in=allowed)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Allow whoever may read such rows in any organization."""
        return may(request, self.read_permission)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Allow whoever may read this row, or such rows in any organization."""
        return may(request, self.read_permission, getattr(obj, "organization_id", None))


class ReadOnly:
    """Mixed into the admin of rows that only the platform writes."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        return False
