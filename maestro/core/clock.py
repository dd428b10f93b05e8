"""How times are shown: RFC 3339, UTC, microseconds and `Z`. Row times themselves are the database's."""

from __future__ import annotations

import datetime


def format_time(moment: datetime.datetime | None) -> str | None:
    """Write a time the one way every interface shows it."""
    if moment is None:
        return None
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
