"""Answers requests outside the REST API, the admin's above all, while the database is away. REST views answer
themselves: `maestro.core.rest.errors`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from maestro.core import sql
from maestro.core.errors import DatabaseUnavailable
from maestro.core.rest import errors

logger = logging.getLogger(__name__)

# Whole in itself: the pages around it ask the database who looks at them.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Database not available | Maestro</title>
<style>body { font: 1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 20vh auto 0; padding: 0 1rem }</style>
</head>
<body>
<h1>The database is not available at the moment</h1>
<p>Runs go on where they can, and nothing that was saved is lost. Load this page again in a few seconds.</p>
</body>
</html>
"""


class DatabaseAwayMiddleware:
    """Turns what a view raises because the database is away into 503, as a page for browsers and a problem for
    programs.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request."""
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer an error of a view, or of its template; None leaves it to Django."""
        if not sql.is_unavailable(exception):
            return None
        logger.warning("The database is not available: %s", exception)
        if "text/html" not in request.headers.get("Accept", ""):
            return errors.answer_database_away(request)
        return HttpResponse(_PAGE, status=503, headers={"Retry-After": str(DatabaseUnavailable.retry_after_seconds)})
