"""Celery's options: Django's settings that begin with `CELERY_`, under the names Celery itself has for them.

Read through the prefix, all settings of Django would be Celery's configuration, and `celery report`, `inspect conf` and
Flower would show them, with the broker's password: Celery hides it under its own name for the option only.
"""

from django.conf import settings

_PREFIX = "CELERY_"

OPTIONS = {
    name.removeprefix(_PREFIX).lower(): getattr(settings, name) for name in dir(settings) if name.startswith(_PREFIX)
}
