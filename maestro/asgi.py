"""The ASGI application of API processes."""

import os

from django.core.asgi import get_asgi_application

from maestro.observability.health import answer_health

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "maestro.settings")

application = answer_health(get_asgi_application())  # type: ignore[arg-type]  # the stubs say dict for mapping
