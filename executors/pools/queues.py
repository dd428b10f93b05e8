"""What waits in a worker's queues: how old the message is that is taken next."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence

# Messages at the head looked at for one that is dated.
HEAD_LENGTH = 20


def queued_at_of_head(waiting: Sequence[bytes]) -> datetime.datetime | None:
    """Return the date of the first message that has one; messages are taken from the right."""
    for message in reversed(waiting):
        try:
            return datetime.datetime.fromisoformat(json.loads(message)["headers"]["queued_at"])
        except (ValueError, TypeError, KeyError):
            continue  # somebody else's message
    return None
