"""Filters of the admin's templates."""

from __future__ import annotations

import datetime

from django import template

from maestro.core import shown

register = template.Library()


@register.filter
def duration(elapsed: datetime.timedelta | None) -> str:
    """Write a duration."""
    return shown.duration(elapsed)


@register.filter
def since(then: datetime.datetime, now: datetime.datetime) -> str:
    """Write how long it has been."""
    return shown.duration(now - then)


@register.filter
def variant(status: str) -> str:
    """Return the theme's colour of a status."""
    return shown.STATUS_VARIANTS.get(status, "default")
