"""How options of the kind `http` name statuses: `404`, `2xx`, `200-204` or a list of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator

_STATUS = re.compile(r"([1-5])xx|([1-5]\d\d)(?:-([1-5]\d\d))?", re.IGNORECASE)


def status_ranges(value: int | str | Sequence[int | str]) -> list[range]:
    """Return the statuses that are named. Raises ValueError."""
    ranges: list[range] = []
    for item in [value] if isinstance(value, (int, str)) else value:
        found = _STATUS.fullmatch(str(item))
        if found is None:
            raise ValueError("should be a status such as 200, a range such as 2xx or 200-204, or a list of them")
        if found[1]:
            ranges.append(range(int(found[1]) * 100, int(found[1]) * 100 + 100))
        else:
            ranges.append(range(int(found[2]), int(found[3] or found[2]) + 1))
    return ranges


def _check_statuses(value: int | str | tuple[int | str, ...]) -> int | str | tuple[int | str, ...]:
    if not status_ranges(value):
        raise ValueError("should name at least one status")
    return value


Statuses = Annotated[int | str | tuple[int | str, ...], AfterValidator(_check_statuses)]
