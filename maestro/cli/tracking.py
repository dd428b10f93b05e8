"""What is known of a run and its tasks, refreshed with few requests however many tasks there are. Prints nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from maestro.cli import outline
from maestro.client.representations import Run, TaskExecution
from maestro.client.runs import Runs

PAGES_PER_REFRESH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A run and its tasks at one moment."""

    run: Run
    """The run."""
    tasks: tuple[TaskExecution, ...]
    """Its tasks, every one after those it needs."""

    @property
    def finished_count(self) -> int:
        """Return how many tasks have come to their end."""
        return sum(task.is_finished for task in self.tasks)

    @property
    def status_counts(self) -> Mapping[str, int]:
        """Return how many tasks have each status."""
        return Counter(task.status for task in self.tasks)


@dataclass(slots=True)
class _Page:
    """A page of the list as it was last read."""

    query: Mapping[str, str] | None
    tasks: tuple[TaskExecution, ...]
    next_query: Mapping[str, str] | None

    @property
    def is_settled(self) -> bool:
        return self.next_query is not None and all(task.is_finished for task in self.tasks)

    @property
    def is_busy(self) -> bool:
        return any(task.is_active for task in self.tasks)


class RunTracker:
    """Knows the latest of one run.

    The list of task executions keeps its order and its pages, so only pages with unfinished tasks are read again, and
    of those only a few each time: first where something is going on, then the others in turn.
    """

    def __init__(self, runs: Runs, run_id: str) -> None:
        self._runs = runs
        self._run_id = run_id
        self._pages: list[_Page] = []
        self._turn = 0
        self._order: tuple[str, ...] = ()

    def refresh(self) -> Progress:
        """Ask the server for what may have changed. Raises ClientError."""
        run = self._runs.get(self._run_id)
        if not self._pages:
            self._read_from(0)
        else:
            # Read after the run: when that was finished, what is read now is final.
            for position in self._worth_reading(is_final=run.is_finished):
                self._read_from(position)
        return Progress(run=run, tasks=self._ordered_tasks())

    def _worth_reading(self, *, is_final: bool) -> list[int]:
        open_pages = [position for position, page in enumerate(self._pages) if not page.is_settled]
        if is_final or len(open_pages) <= PAGES_PER_REFRESH:
            return open_pages
        busy = [position for position in open_pages if self._pages[position].is_busy][: PAGES_PER_REFRESH - 1]
        idle = [position for position in open_pages if position not in busy]
        self._turn += 1
        return [*busy, idle[self._turn % len(idle)]]

    def _read_from(self, position: int) -> None:
        """Read one page, and go on where the list turns out longer than it was."""
        while True:
            query = self._pages[position - 1].next_query if position else None
            page = self._runs.get_task_executions_page(self._run_id, query)
            self._pages[position : position + 1] = [_Page(query=query, tasks=page.results, next_query=page.next_query)]
            position += 1
            if page.next_query is None or position < len(self._pages):
                return

    def _ordered_tasks(self) -> tuple[TaskExecution, ...]:
        tasks = {task.task_key: task for page in self._pages for task in page.tasks}
        if len(tasks) != len(self._order):
            self._order = outline.topological_order(outline.needs_of(tasks.values()))
        return tuple(tasks[key] for key in self._order)
