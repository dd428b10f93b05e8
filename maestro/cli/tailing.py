"""Following a log: asking for new lines until the run ends. How a line looks is decided in `logs`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from maestro.cli.polling import Patience
from maestro.client.representations import LogExtract, LogLine, Run

LINES_INTERVAL_SECONDS = 0.25
"""A worker stores a line within as long, so it is shown after half a second at most."""
RUN_INTERVAL_SECONDS = 1.0


def follow_log(
    get_run: Callable[[], Run],
    read_log: Callable[[int], LogExtract],
    show: Callable[[LogLine], None],
    notice: Callable[[str], None],
    *,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Run:
    """Show every line of a log once until the run is finished, and return it. Raises ClientError, ServerLost.

    `read_log` returns the lines after an id.
    """
    patience = Patience(notice, sleep=sleep, monotonic=monotonic)
    run: Run | None = None
    asked_at = -math.inf
    last_id = 0
    while True:
        if monotonic() - asked_at >= RUN_INTERVAL_SECONDS:
            asked_at = monotonic()
            run = patience.ask(get_run)
        has_more = True
        while has_more:
            extract = patience.ask(lambda after=last_id: read_log(after))  # type: ignore[misc]
            for line in extract.results:
                show(line)
            last_id, has_more = extract.last_id, extract.has_more
        # The lines were read after the run: when that was finished, these were the last.
        if run is not None and run.is_finished:
            return run
        sleep(LINES_INTERVAL_SECONDS)
