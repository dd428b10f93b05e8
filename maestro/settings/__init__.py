"""Django settings, assembled from one component per subject; every outside value comes from `maestro.env`."""

import django_stubs_ext

from maestro.celery import app as celery_app
from maestro.settings.components.admin import *
from maestro.settings.components.apps import *
from maestro.settings.components.auth import *
from maestro.settings.components.database import *
from maestro.settings.components.logs import *
from maestro.settings.components.rest import *
from maestro.settings.components.tasks import *

__all__ = ["celery_app"]

django_stubs_ext.monkeypatch()
