"""The incarnation of this worker: known to the parent process that keeps its lease and to the children that claim under
it.
"""

from __future__ import annotations

import mmap
from uuid import UUID

_NONE = UUID(int=0)
# Shared by the parent and the children it forks: a new incarnation reaches running children too.
_shared = mmap.mmap(-1, 16)


def set_incarnation(worker_id: UUID) -> None:
    """Publish the incarnation to this process and its children."""
    _shared[:] = worker_id.bytes


def get_incarnation() -> UUID | None:
    """Return the incarnation under which this process claims; None outside a worker."""
    worker_id = UUID(bytes=_shared[:])
    return None if worker_id == _NONE else worker_id
