"""Accounts in the admin."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.http import HttpRequest

from accounts.models import ApiKey, Environment, Membership, Organization, User


@admin.register(User)
class UserAdmin(DjangoUserAdmin):  # type: ignore[type-arg]  # the stubs know only Django's own user
    """Users, by e-mail address."""

    ordering = ("email",)
    list_display = ("email", "name", "is_active", "is_staff", "is_service_account")
    search_fields = ("email", "name")
    readonly_fields = ("created_at", "last_login")
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        ("May", {"fields": ("is_active", "is_staff", "is_superuser", "is_service_account")}),
        ("Times", {"fields": ("created_at", "last_login")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "usable_password", "password1", "password2")}),)
    list_filter = ("is_active", "is_staff", "is_service_account")
    filter_horizontal = ()


class MembershipInline(admin.TabularInline[Membership, Organization]):
    """The members of an organization."""

    model = Membership
    extra = 0
    autocomplete_fields = ("user",)


class EnvironmentInline(admin.TabularInline[Environment, Organization]):
    """The environments of an organization."""

    model = Environment
    extra = 0


@admin.register(Organization)
class OrganizationAdmin(admin.ModelAdmin[Organization]):
    """Organizations with their members and environments."""

    list_display = ("slug", "name", "created_at")
    search_fields = ("slug", "name")
    inlines = (MembershipInline, EnvironmentInline)


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin[ApiKey]):
    """API keys: seen and revoked here; a secret is never shown."""

    list_display = ("name", "prefix", "organization", "user", "last_used_at", "expires_at", "revoked_at")
    list_select_related = ("organization", "user")
    search_fields = ("name", "prefix", "user__email")
    fields = (
        "name",
        "prefix",
        "organization",
        "environment",
        "user",
        "scopes",
        "created_at",
        "last_used_at",
        "expires_at",
        "revoked_at",
    )
    readonly_fields = ("prefix", "organization", "environment", "user", "created_at", "last_used_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: a key added here could not be shown."""
        return False
