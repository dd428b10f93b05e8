"""Words for a terminal: text made safe to print, durations, ages, sizes. Where it is printed is not decided here."""

from __future__ import annotations

import datetime
import unicodedata

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR
# Cc: control characters (ESC begins a terminal command). Cf: also turns the direction of text. Cs: half of a pair.
UNSAFE_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
TEXT_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def one_line(value: object) -> str:
    """Return a text of somebody else's as one line in which every control character is shown, not obeyed."""
    return "".join(_visible(character) for character in str(value))


def tabbed_line(value: object) -> str:
    """Return a text of somebody else's as one line with its tabs kept and every other control character shown."""
    return "\t".join(one_line(part) for part in str(value).split("\t"))


def block(value: object) -> str:
    """Return a text of somebody else's with its line breaks and tabs kept and every other control character shown."""
    return "\n".join(tabbed_line(line) for line in str(value).replace("\r\n", "\n").split("\n"))


def duration(seconds: float) -> str:
    """Return a length of time as a person says it: `0.4s`, `12.3s`, `2m 05s`, `1h 02m`, `3d 4h`."""
    if round(seconds, 1) < MINUTE:
        return f"{max(seconds, 0):.1f}s"
    whole = round(seconds)
    if whole < HOUR:
        return f"{whole // MINUTE}m {whole % MINUTE:02}s"
    if whole < DAY:
        return f"{whole // HOUR}h {whole % HOUR // MINUTE:02}m"
    return f"{whole // DAY}d {whole % DAY // HOUR}h"


def elapsed(started_at: datetime.datetime | None, finished_at: datetime.datetime | None, now: datetime.datetime) -> str:
    """Return how long something took or has been going on; empty when it has not started."""
    return duration(((finished_at or now) - started_at).total_seconds()) if started_at else ""


def age(moment: datetime.datetime | None, now: datetime.datetime) -> str:
    """Return how long ago a moment was, in its largest unit."""
    if moment is None:
        return ""
    seconds = max(0, int((now - moment).total_seconds()))
    for size, unit in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (1, "second")):
        if seconds >= size:
            return f"{count(seconds // size, unit)} ago"
    return "just now"


def timestamp(moment: datetime.datetime | None) -> str:
    """Return a moment in UTC to the second; empty for none."""
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ") if moment else ""


def precise_timestamp(moment: datetime.datetime | None) -> str:
    """Return a moment in UTC to the millisecond; empty for none."""
    return moment.astimezone(datetime.UTC).isoformat(" ", "milliseconds").replace("+00:00", "Z") if moment else ""


def count(number: int, noun: str) -> str:
    """Return a number with its noun: `1 task`, `1,200 tasks`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _visible(character: str) -> str:
    if unicodedata.category(character) in UNSAFE_CATEGORIES or character in TEXT_DIRECTION:
        code = ord(character)
        return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"
    return character
