"""API keys: made here with the secret shown once, and revoked here."""

from __future__ import annotations

import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextInputWidget,
)

from accounts import services
from accounts.admin.base import BaseAdmin, permissions_of, user_of
from accounts.auth.api_key import NewApiKey
from accounts.errors import ApiKeyExists, ApiKeyUserNotMember, EnvironmentNotOfOrganization
from accounts.models import ApiKey, Environment, User
from accounts.permissions.roles import Permission
from maestro.core import shown
from maestro.core.ids import new_id


class _EnvironmentField(forms.ModelChoiceField[Environment]):
    def label_from_instance(self, obj: Environment) -> str:
        return f"{obj.organization.slug} / {obj.name}"


class ApiKeyForm(forms.Form):
    """What a new key needs. `key_id` is chosen with the empty form, so that sending it twice makes one key."""

    key_id = forms.UUIDField(widget=forms.HiddenInput)
    name = forms.CharField(
        max_length=100, widget=UnfoldAdminTextInputWidget, help_text="What the key is for, such as “nightly import”."
    )
    environment = _EnvironmentField(
        Environment.objects.none(),
        widget=UnfoldAdminSelectWidget,
        help_text="The key acts in this organization, and its runs belong to this environment.",
    )
    user = forms.ModelChoiceField(
        User.objects.none(),
        widget=UnfoldAdminSelectWidget,
        help_text="Whose role the key has. A member of the organization.",
    )
    scopes = forms.MultipleChoiceField(
        choices=[(permission.value, permission.value) for permission in Permission],
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="What the key may do of what the role allows. None chosen: all of it.",
    )
    expires_at = forms.SplitDateTimeField(
        required=False, widget=UnfoldAdminSplitDateTimeWidget, help_text="In UTC. Empty: the key does not expire."
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        environments = Environment.objects.select_related("organization").order_by("organization__slug", "name")
        people = User.objects.filter(is_active=True, memberships__isnull=False).distinct().order_by("email")
        if not user.is_superuser:
            environments = environments.filter(organization__memberships__user=user)
            people = people.filter(id=user.id)
        choice = self.fields["environment"]
        assert isinstance(choice, forms.ModelChoiceField)
        choice.queryset = environments
        owner = self.fields["user"]
        assert isinstance(owner, forms.ModelChoiceField)
        owner.queryset = people

    def clean_expires_at(self) -> datetime.datetime | None:
        """Refuse a time that is over."""
        expires_at: datetime.datetime | None = self.cleaned_data["expires_at"]
        if expires_at is not None and expires_at <= timezone.now():
            raise forms.ValidationError("This time is over. Name a later one, or none.")
        return expires_at

    def create(self) -> NewApiKey | None:
        """Create the key of a valid form; None when it is refused, with the reason at its field."""
        given = self.cleaned_data
        try:
            return services.create_api_key(
                key_id=given["key_id"],
                user=given["user"],
                environment=given["environment"],
                organization_id=given["environment"].organization_id,
                name=given["name"],
                scopes=[Permission(scope) for scope in given["scopes"]],
                expires_at=given["expires_at"],
            )
        except ApiKeyUserNotMember as error:
            self.add_error("user", error.message)
        except EnvironmentNotOfOrganization as error:
            self.add_error("environment", error.message)
        except ApiKeyExists as error:
            self.add_error(None, error.message)
        return None


@admin.register(ApiKey)
class ApiKeyAdmin(BaseAdmin):
    """API keys: a superuser's view of all, anybody else's view of their own."""

    list_display = ("name", "prefix", "shown_status", "organization", "user", "last_used_at", "expires_at")
    list_select_related = ("organization", "user")
    ordering = ("-id",)
    search_fields = ("name", "prefix", "user__email")
    fields = readonly_fields = (
        "name",
        "prefix",
        "shown_status",
        "organization",
        "environment",
        "user",
        "shown_scopes",
        "created_at",
        "last_used_at",
        "expires_at",
        "revoked_at",
    )
    change_form_template = "accounts/admin/api_key.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        """Return the keys the person may see."""
        rows: QuerySet[ApiKey] = super().get_queryset(request)
        user = user_of(request)
        return rows if user.is_superuser else rows.filter(user=user)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Allow whoever could own a key."""
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Allow superusers, and everybody their own."""
        user = request.user
        if not isinstance(user, User) or not user.is_active:
            return False
        is_own = bool(permissions_of(request)) if obj is None else obj.user_id == user.id
        return user.is_superuser or is_own

    has_add_permission = has_view_permission

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Refuse: a key is revoked, not changed."""
        return False

    def get_urls(self) -> list[URLPattern]:
        """Add the address of revoking."""
        view = self.admin_site.admin_view(require_POST(self.revoke))
        revoke = path("<uuid:key_id>/revoke/", view, name="accounts_apikey_revoke")
        return [revoke, *super().get_urls()]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Show the form; when it is sent, make the key and show its secret: now and never again."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        user = user_of(request)
        initial = {"key_id": new_id(), "user": user.id}
        form = ApiKeyForm(request.POST or None, user=user, initial=initial)
        new = form.create() if form.is_valid() else None
        context = self.admin_site.each_context(request) | {"opts": self.opts, "form": form, "title": "Add API key"}
        if new is not None:
            self.log_addition(request, ApiKey.objects.get(prefix=new.prefix), [{"added": {}}])
            context |= {"title": "API key created", "key": new.key, "key_id": form.cleaned_data["key_id"]}
        template = "accounts/admin/api_key_form.html" if new is None else "accounts/admin/api_key_secret.html"
        return TemplateResponse(request, template, context, headers={"Cache-Control": "no-store"})

    def revoke(self, request: HttpRequest, key_id: Any) -> HttpResponse:
        """Revoke a key."""
        key = get_object_or_404(self.get_queryset(request), id=key_id)
        if services.revoke_api_key(key_id=key.id):
            self.log_change(request, key, "Revoked.")
            messages.success(request, f"The key {key.name} is revoked: it opens nothing any more.")
        else:
            messages.info(request, f"The key {key.name} was revoked before.")
        return HttpResponseRedirect(reverse("admin:accounts_apikey_change", args=[key.id]))

    @display(description="status", label=dict(shown.STATUS_VARIANTS))
    def shown_status(self, key: ApiKey) -> str:
        """Tell whether the key still opens anything."""
        if key.revoked_at is not None:
            return "revoked"
        return "expired" if key.expires_at is not None and key.expires_at <= timezone.now() else "active"

    @display(description="scopes")
    def shown_scopes(self, key: ApiKey) -> str:
        """Return what the key may do."""
        return ", ".join(key.scopes) or "all of the user's role"
