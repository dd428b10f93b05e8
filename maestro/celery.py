"""The Celery application. Its options are Django settings: `maestro/settings/components/tasks.py`."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "maestro.settings")

app = Celery("maestro")
app.set_default()
# Read when first needed: settings import this module, so that every process that has settings has this application.
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["workflows.dispatch"])
app.steps["worker"].update({"executors.pools.bootsteps:LeaseStep", "executors.pools.bootsteps:ProcessWatchStep"})
