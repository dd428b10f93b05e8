"""A process that answers one start of a run and dies at a chosen moment of it:
`python -m tests.integration.dying_caller MOMENT API_KEY IDEMPOTENCY_KEY`.
"""

import os
import sys
from unittest import mock

import django

django.setup()

from django.conf import settings  # noqa: E402 - after the set-up
from django.test import Client  # noqa: E402

from accounts.idempotency import keys  # noqa: E402
from workflows.dispatch import publish, start  # noqa: E402
from workflows.rest.run_views import WorkflowRunStartView  # noqa: E402

insert_run = start.insert_run


def die(*_, **__):
    os._exit(9)


def insert_and_die(*arguments, **options):
    insert_run(*arguments, **options)
    die()


MOMENTS = {
    "reserved": (WorkflowRunStartView, "post", die),
    "inserted": (start, "insert_run", insert_and_die),
    "committed": (publish, "publish", die),
    "sent": (keys, "keep_answer", die),
}

if __name__ == "__main__":
    moment, api_key, key = sys.argv[1:]
    settings.ALLOWED_HOSTS = ["testserver"]
    headers = {"Authorization": f"Bearer {api_key}", "Idempotency-Key": key}
    with mock.patch.object(publish, "publish"), mock.patch.object(*MOMENTS[moment]):
        Client(headers=headers).post("/api/v1/workflows/test/runs", data="{}", content_type="application/json")
