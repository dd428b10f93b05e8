"""The process's own log: one text line per event on stderr. In the API process each names the request it belongs to."""

from maestro.env import Component
from maestro.settings.components.environment import ENVIRONMENT

_REQUEST = " [%(request_id)s]" if ENVIRONMENT.component is Component.API else ""

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "request_id": {"()": "maestro.core.rest.request_id.RequestIdFilter"},
        "hushed_calls": {"()": "workflows.dispatch.hushed_calls.CallFilter"},
    },
    "formatters": {"line": {"format": f"%(asctime)s %(levelname)s %(name)s{_REQUEST} %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request_id"]}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        "celery.app.trace": {"filters": ["hushed_calls"]},
        # No handlers of Django's own: one of them would mail the administrators.
        "django": {"handlers": [], "propagate": True},
        "django.request": {"level": "ERROR"},
        # With a traceback, for what any stranger may send; `maestro.core.rest.errors` says it in a line.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}
