"""`python -m maestro.embedded.flower`: stock Flower with `/metrics` behind its sign-in.

As Flower ships, `/metrics` answers anybody, and it names every workflow. `/healthcheck` stays open: all it says is OK.
"""

from __future__ import annotations

import sys

import tornado.web
from celery.bin.celery import main as celery
from flower import urls
from flower.views.monitor import Metrics


class SignedInMetrics(Metrics):
    """The metrics, for who is signed in."""

    @tornado.web.authenticated
    async def get(self) -> None:
        """Answer the metrics."""
        await super().get()


def main() -> int:
    """Run `celery -A maestro flower` with the arguments of this process."""
    urls.handlers.insert(0, (r"/metrics", SignedInMetrics))
    sys.argv = ["celery", "-A", "maestro", "flower", *sys.argv[1:]]
    return int(celery() or 0)


if __name__ == "__main__":
    sys.exit(main())
