"""The database connection of this process."""

from typing import Any

from psycopg.conninfo import conninfo_to_dict

from maestro.env import Component
from maestro.settings.components.environment import ENVIRONMENT


def _connection(url: str) -> dict[str, Any]:
    """Translate a PostgreSQL URL, with all its options, into Django's dictionary."""
    given = conninfo_to_dict(url)
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    connection: dict[str, Any] = {"ENGINE": "django.db.backends.postgresql"}
    connection |= {names[key]: value for key, value in given.items() if key in names}
    connection["OPTIONS"] = {key: value for key, value in given.items() if key not in names}
    connection["OPTIONS"].setdefault("application_name", f"maestro-{ENVIRONMENT.component}")
    return connection


_default = _connection(ENVIRONMENT.database_url_of_component())
if ENVIRONMENT.component is Component.API:
    # Requests run in threads that come and go: a pool keeps their connections.
    _default["OPTIONS"]["pool"] = {"min_size": 1, "max_size": 16, "timeout": 10}
else:
    _default["CONN_MAX_AGE"] = None
    _default["CONN_HEALTH_CHECKS"] = True

DATABASES = {"default": _default}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
