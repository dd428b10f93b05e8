"""The database connection of this process."""

from typing import Any

from psycopg.conninfo import conninfo_to_dict

from maestro.core.bounded_connection import BoundedConnection
from maestro.env import Component
from maestro.settings.components.environment import ENVIRONMENT

# A network that swallows packets must not hang a worker for longer than its lease, nor a request for long.
_NETWORK: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "tcp_user_timeout": 10_000,
}


def _connection(url: str) -> dict[str, Any]:
    """Translate a PostgreSQL URL, with all its options, into Django's dictionary."""
    given = conninfo_to_dict(url)
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    connection: dict[str, Any] = {"ENGINE": "django.db.backends.postgresql"}
    connection |= {names[key]: value for key, value in given.items() if key in names}
    connection["OPTIONS"] = _NETWORK | {key: value for key, value in given.items() if key not in names}
    connection["OPTIONS"].setdefault("application_name", f"maestro-{ENVIRONMENT.component}")
    return connection


_default = _connection(ENVIRONMENT.database_url_of_component())
if ENVIRONMENT.component is Component.API:
    # Requests run in threads that come and go: a pool keeps their connections.
    _default["OPTIONS"]["pool"] = {
        "min_size": 1,
        "max_size": 16,
        # A request outlasts a restart of the server that takes no longer, and is answered 503 after that.
        "timeout": 5,
        # The pauses between tries to connect double up to this: what comes back after hours is met as soon.
        "reconnect_timeout": 4,
        "connection_class": BoundedConnection,
    }
else:
    _default["CONN_MAX_AGE"] = None
# The first request after a restart of the server must not be given a connection that the restart has ended.
_default["CONN_HEALTH_CHECKS"] = True

DATABASES = {"default": _default}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
