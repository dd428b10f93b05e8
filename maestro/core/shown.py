"""How values look in the admin: durations, JSON, YAML, differences, statuses. Pure."""

from __future__ import annotations

import datetime
import difflib
import json
from collections.abc import Mapping

import yaml
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import DiffLexer, JsonLexer, YamlLexer

NOTHING = "\N{EN DASH}"
"""Stands where there is nothing to show."""
# What is longer is cut: a page is for reading.
MOST_CHARACTERS = 100_000
# Lines of either side of a difference; finding one takes time with their product.
MOST_DIFFERED_LINES = 4_000
STATUS_VARIANTS: Mapping[str, str] = {
    "succeeded": "success",
    "failed": "danger",
    "running": "info",
    "waiting": "warning",
    "queued": "primary",
    "lost": "danger",
    "alive": "success",
    "revoked": "danger",
    "active": "success",
    "expired": "warning",
}
"""Status → the theme's colour; what is not named is grey."""


def duration(elapsed: datetime.timedelta | None) -> str:
    """Write a duration in the two units that matter; a dash for none."""
    if elapsed is None:
        return NOTHING
    seconds = max(0.0, elapsed.total_seconds())
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    for unit, size, smaller, divisor in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // divisor
            return f"{whole // size} {unit} {rest} {smaller}" if rest else f"{whole // size} {unit}"
    raise AssertionError


def duration_between(started_at: datetime.datetime | None, ended_at: datetime.datetime | None) -> str:
    """Write how long something took; a dash for what has not begun or not ended."""
    return duration(ended_at - started_at if started_at and ended_at else None)


def status(value: str, reason: str) -> tuple[str, str]:
    """Return a status, which chooses the colour, and its text with the reason."""
    return value, f"{value} ({reason})" if reason else value


def json_block(value: object) -> SafeString:
    """Show a JSON value, indented and coloured."""
    return _coloured(json.dumps(value, indent=2, ensure_ascii=False), JsonLexer())


def yaml_text(value: object) -> str:
    """Write a JSON value as YAML in its own order; texts of several lines as blocks."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def yaml_block(value: object) -> SafeString:
    """Show a JSON value as YAML, coloured."""
    return _coloured(yaml_text(value), YamlLexer())


def difference_block(older: object, newer: object) -> SafeString:
    """Show the lines in which two JSON values differ as YAML, coloured."""
    before, after = yaml_text(older).splitlines(), yaml_text(newer).splitlines()
    if max(len(before), len(after)) > MOST_DIFFERED_LINES:
        return format_html("<p>More than {} lines: too long to be compared here.</p>", f"{MOST_DIFFERED_LINES:,}")
    # Without its first two lines, which name files.
    lines = list(difflib.unified_diff(before, after, lineterm="", n=3))[2:]
    return _coloured("\n".join(lines), DiffLexer()) if lines else mark_safe("<p>No difference.</p>")


def text_block(text: str) -> SafeString:
    """Show text as it is."""
    return format_html('<pre class="maestro-code">{}</pre>', _cut(text)) if text else SafeString(NOTHING)


def _coloured(text: str, lexer: Lexer) -> SafeString:
    # Pygments escapes what it colours.
    coloured = highlight(_cut(text), lexer, HtmlFormatter(nowrap=True))
    return format_html('<pre class="maestro-code" tabindex="0">{}</pre>', mark_safe(coloured))  # noqa: S308


def _cut(text: str) -> str:
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[:MOST_CHARACTERS]}\n… cut: the whole has {len(text):,} characters"


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, as a person would."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)
