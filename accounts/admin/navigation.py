"""What stands in the side bar of the admin. Models of other apps go by name: this app may not import them."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse

_GROUPS = (
    (
        "Work",
        (
            ("Workflows", "account_tree", "workflows", "workflow"),
            ("Runs", "play_circle", "workflows", "workflowrun"),
            ("Tasks", "checklist", "workflows", "taskexecution"),
            ("Attempts", "replay", "workflows", "taskattempt"),
        ),
    ),
    ("Platform", (("Workers", "memory", "executors", "worker"),)),
    (
        "People",
        (
            ("Organizations", "domain", "accounts", "organization"),
            ("Users", "group", "accounts", "user"),
            ("API keys", "key", "accounts", "apikey"),
        ),
    ),
)


def list_entries(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the side bar as the theme takes it: what the signed-in person may open."""
    home = {"title": "Home", "icon": "home", "link": reverse("admin:index")}
    groups: list[dict[str, Any]] = [{"items": [home]}]
    for title, entries in _GROUPS:
        items = [
            {"title": name, "icon": icon, "link": reverse(f"admin:{app}_{model}_changelist")}
            for name, icon, app, model in entries
            if admin.site.get_model_admin(apps.get_model(app, model)).has_module_permission(request)
        ]
        if items:
            groups.append({"title": title, "separator": True, "items": items})
    return groups
