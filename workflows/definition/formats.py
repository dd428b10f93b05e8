"""Formats of JSON Schema that the `jsonschema` library knows only with further packages. What is no text passes."""

from __future__ import annotations

import datetime
import re
from urllib.parse import urlsplit

from workflows.definition.values import JsonValue

_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOSTNAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:([A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")


def is_date_time(value: JsonValue) -> bool:
    """Tell whether a text is a date and time with an offset (RFC 3339)."""
    if not isinstance(value, str):
        return True
    if not _DATE_TIME.fullmatch(value):
        return False
    try:
        datetime.datetime.fromisoformat(re.sub(r"\.[0-9]+", "", value.upper()))
    except ValueError:
        return False
    return True


def is_email(value: JsonValue) -> bool:
    """Tell whether a text looks like an e-mail address; only the mail itself proves more."""
    return not isinstance(value, str) or re.fullmatch(r"[^@\s]+@[^@\s]+", value) is not None


def is_hostname(value: JsonValue) -> bool:
    """Tell whether a text is a host name (RFC 1123)."""
    return not isinstance(value, str) or _HOSTNAME.fullmatch(value) is not None


def is_uri(value: JsonValue) -> bool:
    """Tell whether a text is a URI with a scheme (RFC 3986)."""
    if not isinstance(value, str):
        return True
    if not _URI.fullmatch(value):
        return False
    try:
        urlsplit(value)
    except ValueError:
        return False
    return True
