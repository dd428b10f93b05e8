"""The admin's theme: its name and colours. What stands in the side bar: `accounts.admin.navigation`."""

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static


def _stylesheet(request: HttpRequest) -> str:
    return static("accounts/admin.css")


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Maestro",
    "SITE_HEADER": "Maestro Conductor",
    "SITE_SYMBOL": "account_tree",
    "SITE_URL": "/api/docs/",
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "workflows.admin.home.fill_home",
    "STYLES": [_stylesheet],
    "SIDEBAR": {"navigation": "accounts.admin.navigation.list_entries"},
    "COLORS": {
        "primary": {
            "50": "#eef4ff",
            "100": "#dbe7ff",
            "200": "#bfd4ff",
            "300": "#adc7ff",
            "400": "#93b6ff",
            # Links in dark mode: light enough to be read on dark blue.
            "500": "#7aa5ff",
            "600": "#2554d8",
            "700": "#1f44b0",
            "800": "#1e3a8a",
            "900": "#1d346f",
            "950": "#152148",
        },
    },
}
