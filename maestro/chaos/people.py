"""The people of a campaign: they send signals, decide approvals and cancel runs while faults happen, as often as it
takes. What they do is drawn in `deeds`.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from maestro.chaos import deeds
from maestro.chaos.deeds import Deeds, Hold, PlannedSignal
from maestro.chaos.graphs import Graph, Kind, Task
from maestro.chaos.scratch import ScratchStack
from maestro.client import ApiError, Client, ClientError

THREADS = 3
RETRY_SECONDS = 0.3
INBOX_SECONDS = 0.5
CHILDREN_SECONDS = 0.3
# What is answered to whoever comes too late, or to a task that never begins.
TOO_LATE = frozenset({"run_already_finished", "run_is_ending", "signal_not_awaited", "approval_not_awaited"})

Act = Callable[[Client], None]


class People:
    """Do what is due, in threads of their own: what gets no answer is tried again until it gets one."""

    def __init__(self, stack: ScratchStack, seed: int, graphs: Mapping[str, Graph]) -> None:
        """Take the graphs of all workflows by their names."""
        self._stack = stack
        self._seed = seed
        self._graphs = graphs
        self._due: list[tuple[float, int, Act]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._is_over = False
        self._children: set[str] = set()
        self._cancel_asked: set[str] = set()
        self._cancelled_at: dict[str, float] = {}
        self._decided: set[tuple[str, str]] = set()
        self._refusals: list[str] = []
        self._signals: list[str] = []
        self._signals_again: list[str] = []

    def __enter__(self) -> People:
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="people")
        self._working = [self._threads.submit(self._work) for _ in range(THREADS)]
        self._in(INBOX_SECONDS, self._look_into_inbox)
        self._in(CHILDREN_SECONDS, self._look_for_children)
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        self._threads.shutdown()
        for each in self._working:
            # What nobody did has shown nothing.
            each.result()

    def do_later(self, seconds: float, act: Act) -> None:
        """Do something in so many seconds; again while the API cannot."""
        self._in(seconds, act)

    def refuse(self, answer: str) -> None:
        """Note an answer that nobody should get."""
        self._refusals.append(answer)

    def care_when_there(self, run_id: str, name: str) -> None:
        """Do to a run what is drawn for it, as soon as it is there."""

        def look(client: Client) -> None:
            try:
                client.runs.get(run_id)
            except ApiError as error:
                if error.code != "run_not_found":
                    raise
                self._in(RETRY_SECONDS, look)
            else:
                self.care_for(run_id, name)

        self._in(0.0, look)

    def care_for(self, run_id: str, name: str, *, is_child: bool = False) -> None:
        """Do to a run that was started a moment ago what is drawn for it."""
        graph = self._graphs[name]
        for planned in deeds.draw_signals(self._seed, name, graph):
            self._in(planned.after_seconds, self._sender(run_id, planned))
        cancel_after = deeds.draw_cancel(self._seed, name, graph, is_child=is_child)
        if cancel_after is not None:
            self._in(cancel_after, self._canceller(run_id))

    def done(self, holds: tuple[Hold, ...]) -> Deeds:
        """Return what was done, beside what was paused."""
        return Deeds(
            cancel_asked=frozenset(self._cancel_asked),
            cancelled_at=dict(self._cancelled_at),
            signals=len(self._signals),
            signals_again=len(self._signals_again),
            decisions=len(self._decided),
            holds=holds,
            refusals=tuple(dict.fromkeys(self._refusals)),
        )

    def _in(self, seconds: float, act: Act) -> None:
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), act))
            self._changed.notify()

    def _work(self) -> None:
        with self._stack.client() as client:
            while (act := self._next()) is not None:
                try:
                    act(client)
                except ApiError as error:
                    if error.is_temporary:
                        self._in(RETRY_SECONDS, act)
                    elif error.code not in TOO_LATE:
                        self._refusals.append(str(error))
                except ClientError:
                    self._in(RETRY_SECONDS, act)

    def _next(self) -> Act | None:
        """Wait for what is due next; None when it is over."""
        with self._changed:
            while not self._is_over:
                seconds = self._due[0][0] - time.monotonic() if self._due else None
                if seconds is not None and seconds <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(seconds)
        return None

    def _sender(self, run_id: str, planned: PlannedSignal) -> Act:
        signal_id = f"{run_id}/{planned.task_key}"
        payload = {"value": planned.value}

        def send(client: Client) -> None:
            try:
                client.runs.send_signal(run_id, planned.task_key, payload, signal_id=signal_id)
            except ApiError as error:
                # A hook that has not begun gets it as soon as what comes before it has been stopped.
                if planned.is_for_hook and error.code == "run_is_ending":
                    self._in(RETRY_SECONDS, send)
                    return
                raise
            self._signals.append(signal_id)
            if planned.again_after_seconds is not None:
                self._in(planned.again_after_seconds, send_again)

        def send_again(client: Client) -> None:
            try:
                client.runs.send_signal(run_id, planned.task_key, payload, signal_id=signal_id)
            except ApiError as error:
                # The same one is never too late.
                if not error.is_temporary:
                    self._refusals.append(f"signal {signal_id} sent again: {error}")
                    return
                raise
            self._signals_again.append(signal_id)

        return send

    def _canceller(self, run_id: str) -> Act:
        def cancel(client: Client) -> None:
            self._cancel_asked.add(run_id)
            client.runs.cancel(run_id)
            self._cancelled_at[run_id] = time.time()

        return cancel

    def _look_for_children(self, client: Client) -> None:
        """Care for the runs that tasks have started."""
        try:
            for run in client.runs.iterate(status="running"):
                if run.parent is not None and run.id not in self._children:
                    self._children.add(run.id)
                    self.care_for(run.id, run.workflow, is_child=True)
        except ApiError as error:
            if not error.is_temporary:
                self._refusals.append(f"runs: {error}")
        except ClientError:
            return
        finally:
            self._in(CHILDREN_SECONDS, self._look_for_children)

    def _look_into_inbox(self, client: Client) -> None:
        """Decide what waits for a decision; then, of some, ask for the opposite, which must be refused."""
        try:
            for approval in client.runs.iterate_approvals():
                task = self._graphs[approval.workflow][approval.task_key]
                if task.is_answered:
                    self._decide(client, approval.run, approval.task_key, task)
        except ApiError as error:
            if not error.is_temporary:
                self._refusals.append(f"approvals: {error}")
        except ClientError:
            return
        finally:
            self._in(INBOX_SECONDS, self._look_into_inbox)

    def _decide(self, client: Client, run_id: str, key: str, task: Task) -> None:
        assert task.kind is Kind.APPROVAL
        approves = not task.fails
        try:
            self._say(client, run_id, key, task, approves=approves)
        except ApiError as error:
            # One that is paused is decided later; one that is over needs nobody.
            if not error.is_temporary and error.code not in TOO_LATE | {"run_is_paused"}:
                self._refusals.append(f"decision of {key} of run {run_id}: {error}")
            return
        self._decided.add((run_id, key))
        if task.number % 3 == 0:
            with contextlib.suppress(ApiError):
                self._say(client, run_id, key, task, approves=not approves)
                self._refusals.append(f"decision of {key} of run {run_id}: its opposite was taken too")

    @staticmethod
    def _say(client: Client, run_id: str, key: str, task: Task, *, approves: bool) -> None:
        if approves:
            client.runs.approve(run_id, key, form={"value": task.number})
        else:
            client.runs.reject(run_id, key)
