"""A beat that waits for less long than the product's before it recovers: `celery -A tests.integration.impatient beat`.

What it does is the same; how long it waits is proven by `test_stale_workers` and `test_lease_watch`.
"""

import datetime

import django

from maestro.celery import app

# What follows imports models, which Celery would make ready only after it has loaded this module.
django.setup()

from executors.pools import lease  # noqa: E402
from workflows.dispatch import lost_messages  # noqa: E402

__all__ = ["app"]

# Workers renew their leases every two seconds, and then list what they hold.
lease.LEASE = datetime.timedelta(seconds=7)
lease.GAP_SECONDS = lease.LEASE.total_seconds() / 2
lost_messages.SLACK = datetime.timedelta(seconds=5)
