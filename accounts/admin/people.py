"""Users, organizations and environments: for superusers."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db import models
from django.http import HttpRequest
from unfold.admin import TabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts.admin.base import PlatformAdmin
from accounts.models import Environment, Membership, Organization, User


class _NewUserForm(UserCreationForm):
    """Asks for what a user needs; the e-mail address is stored in lower case, as sign-in looks it up."""

    def clean_email(self) -> str:
        """Return the address in lower case. Refuses one that is taken, however it is capitalised."""
        return str(self.cleaned_data["email"]).lower()


class _UserForm(UserChangeForm):
    """As `_NewUserForm`."""

    def clean_email(self) -> str:
        """Return the address in lower case."""
        return str(self.cleaned_data["email"]).lower()


@admin.register(User)
class UserAdmin(PlatformAdmin, DjangoUserAdmin):  # type: ignore[misc, type-arg]  # the stubs know only Django's own
    """Users, by e-mail address."""

    form = _UserForm
    add_form = _NewUserForm
    change_password_form = AdminPasswordChangeForm
    ordering = ("email",)
    list_display = ("email", "name", "is_active", "is_staff", "is_superuser", "is_service_account", "last_login")
    search_fields = ("email", "name")
    readonly_fields = ("created_at", "last_login")
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        ("May", {"fields": ("is_active", "is_staff", "is_superuser", "is_service_account")}),
        ("Times", {"fields": ("created_at", "last_login")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "usable_password", "password1", "password2")}),)
    list_filter = ("is_active", "is_staff", "is_service_account")
    lookups = ("is_active__exact", "is_staff__exact", "is_service_account__exact")
    filter_horizontal = ()


class _MembershipInline(TabularInline):
    """The members of an organization."""

    model = Membership
    extra = 0
    hide_title = True
    autocomplete_fields = ("user",)
    verbose_name_plural = "members"

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Allow: the page itself is for superusers."""
        return True

    has_add_permission = has_change_permission = has_delete_permission = has_view_permission


class _EnvironmentInline(TabularInline):
    """The environments of an organization; a name stays, since runs and keys refer to it."""

    model = Environment
    extra = 0
    hide_title = True
    fields = ("name", "created_at")
    readonly_fields = ("created_at",)

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Allow: the page itself is for superusers."""
        return True

    has_add_permission = has_view_permission

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Refuse."""
        return False

    has_delete_permission = has_change_permission


@admin.register(Organization)
class OrganizationsAdmin(PlatformAdmin):
    """Organizations with their members and environments."""

    list_display = ("slug", "name", "created_at")
    search_fields = ("slug", "name")
    ordering = ("slug",)
    fieldsets = (
        (None, {"fields": ("name", "slug")}),
        (
            "History",
            {
                "fields": ("run_retention_days", "attempt_retention_days", "log_retention_days"),
                "description": "What is older is deleted, beginning within a minute, and cannot be brought back.",
            },
        ),
    )
    inlines = (_MembershipInline, _EnvironmentInline)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save members and environments; an organization always has `production`, where runs belong."""
        super().save_related(request, form, formsets, change)
        Environment.objects.get_or_create(organization=form.instance, name="production")


@admin.register(Environment)
class EnvironmentAdmin(PlatformAdmin):
    """Environments, to be found by name; they are added on their organization's page."""

    list_display = ("name", "organization", "created_at")
    list_select_related = ("organization",)
    search_fields = ("name", "organization__slug")
    ordering = ("organization__slug", "name")
    fields = readonly_fields = ("name", "organization", "created_at")

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Refuse."""
        return False
