"""Starts the runs of a campaign, by the API and by SQL, and watches them end. How is drawn in `openings`."""

from __future__ import annotations

import contextlib
import datetime
import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import psycopg
from psycopg.types.json import Jsonb

from maestro.chaos import evidence, openings
from maestro.chaos.findings import Plan
from maestro.chaos.graphs import Graph, workflow_name
from maestro.chaos.openings import Asked, PlannedStart
from maestro.chaos.people import People
from maestro.chaos.scratch import ScratchStack
from maestro.client import ApiError, Client, ClientError
from maestro.client.representations import JsonValue
from workflows.definition.priority import Priority

MOST_OPEN = 12
"""Runs that go on at a time."""
LONGEST_PAUSE_BETWEEN_STARTS = 0.4
POLL_SECONDS = 0.2
RETRY_SECONDS = 0.3
KEY_SECONDS = 3.0
"""After so long a start is asked for under another key: one whose call a restart cut off is busy for two minutes."""
STALL_SECONDS = 180.0
"""When no run was started and none has ended for so long, no more are started."""
IMPATIENT_SECONDS = 0.03
OTHER_DEADLINE_SECONDS = 7200.0
CONNECT_SECONDS = 5
ORGANIZATION = "default"
_PRIORITIES = tuple(priority.value for priority in Priority)
_START = "SELECT maestro_start_run(%s, %s, %s, idempotency_key => %s, start_at => %s, deadline => %s)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One question for one run, which may be asked again."""

    workflow: str
    """The workflow."""
    key: str
    """Its idempotency key."""
    priority: str
    """The run's priority; by SQL it has its workflow's."""
    planned: PlannedStart
    """What is asked for."""
    start_at: datetime.datetime | None
    """When it is to begin, asked by SQL."""
    deadline_at: datetime.datetime | None
    """When it must be over, asked by SQL."""


class Starts:
    """Starts every run of a campaign."""

    def __init__(
        self,
        stack: ScratchStack,
        client: Client,
        plan: Plan,
        graphs: Mapping[str, Graph],
        people: People,
        observe: Callable[[str, int, int], None],
    ) -> None:
        """Take the graphs of all workflows, and who is told how far it is: the phase, the runs that were started and
        those that have ended.
        """
        self.acknowledged: dict[str, str] = {}
        self.asked: dict[str, Asked] = {}
        self.rolled_back: list[str] = []
        self._stack = stack
        self._client = client
        self._plan = plan
        self._graphs = graphs
        self._people = people
        self._observe = observe
        self._keys = 0
        self._known = self._ended = self._open = 0
        self._progressed_at = time.monotonic()

    def run(self) -> None:
        """Start every run at a random time, while not too many are open; give up when nothing goes on any more."""
        chance = random.Random(f"{self._plan.seed}/starts")
        for number in range(self._plan.runs):
            time.sleep(chance.uniform(0, LONGEST_PAUSE_BETWEEN_STARTS))
            self._look("running")
            while self._known - self._ended >= MOST_OPEN and not self._is_stalled:
                time.sleep(POLL_SECONDS)
                self._look("running")
            self._start(number)
            if self._is_stalled:
                return

    def wait_for_ends(self, deadline: float) -> None:
        """Wait until every run has ended, or the time is over."""
        self._look("waiting for the last runs")
        while self._open and time.time() < deadline:
            time.sleep(POLL_SECONDS)
            self._look("waiting for the last runs")

    def _start(self, number: int) -> None:
        """Start a run; again under the same key while nobody can, or can say so, and then under another one."""
        name = workflow_name(number)
        planned = openings.draw_start(self._plan.seed, name, self._graphs[name])
        first_at, keys = time.time(), 0
        call, keyed_at = None, -math.inf
        is_impatient = planned.is_impatient
        while not self._is_stalled:
            if call is None or time.monotonic() - keyed_at > KEY_SECONDS:
                keys, keyed_at = keys + 1, time.monotonic()
                call = self._call(name, planned, number)
                self.asked[name] = Asked(planned=planned, first_at=first_at, keys=keys)
            try:
                run_id = self._ask(call, is_impatient=is_impatient)
            except psycopg.errors.InvalidParameterValue:
                # Its deadline is over before it could be asked for.
                call = None
            except (ClientError, psycopg.OperationalError):
                is_impatient = False
                time.sleep(RETRY_SECONDS)
                self._look("running")
            else:
                self.acknowledged[run_id] = name
                self._known += 1
                # By SQL it is there in a moment.
                self._people.care_when_there(run_id, name)
                if planned.again_after_seconds is not None:
                    self._people.do_later(planned.again_after_seconds, self._asker_again(call, run_id))
                return

    def _call(self, name: str, planned: PlannedStart, number: int) -> Call:
        self._keys += 1
        now = datetime.datetime.now(datetime.UTC)
        delay, deadline = planned.delay_seconds, planned.seconds_to_deadline
        return Call(
            workflow=name,
            key=f"chaos-{self._keys}",
            priority=_PRIORITIES[number % len(_PRIORITIES)],
            planned=planned,
            start_at=None if delay is None else now + datetime.timedelta(seconds=delay),
            deadline_at=None if deadline is None else now + datetime.timedelta(seconds=deadline),
        )

    def _ask(self, call: Call, *, is_impatient: bool) -> str:
        if call.planned.by_sql:
            if call.planned.is_rolled_back:
                self.rolled_back.append(self._ask_by_sql(call, f"{call.key}-rolled-back", commits=False))
            return self._ask_by_sql(call, call.key)
        if is_impatient:
            with self._stack.client(IMPATIENT_SECONDS) as client:
                return self._ask_by_api(client, call)
        return self._ask_by_api(self._client, call)

    def _ask_by_api(self, client: Client, call: Call) -> str:
        delay, deadline = call.planned.delay_seconds, call.planned.deadline_seconds
        started = client.workflows.start_run(
            call.workflow,
            inputs=self._inputs,
            priority=call.priority,
            delay=None if delay is None else f"{delay}s",
            deadline=None if deadline is None else f"{deadline}s",
            idempotency_key=call.key,
        )
        return started.run.id

    def _ask_by_sql(self, call: Call, key: str, *, commits: bool = True) -> str:
        given = (ORGANIZATION, call.workflow, Jsonb(self._inputs), key, call.start_at, call.deadline_at)
        with (
            psycopg.connect(self._stack.database_url, connect_timeout=CONNECT_SECONDS) as connection,
            connection.transaction(force_rollback=not commits),
        ):
            row = connection.execute(_START, given).fetchone()
        assert row is not None
        return str(row[0])

    def _asker_again(self, call: Call, run_id: str) -> Callable[[Client], None]:
        """Return who asks for a run again under its key, and then for another one under the same."""

        def ask(client: Client) -> None:
            try:
                again = self._ask_by_sql(call, call.key) if call.planned.by_sql else self._ask_by_api(client, call)
                if again != run_id:
                    self._people.refuse(f"asked again for run {run_id} under its key: it is {again}")
                self._ask_for_another(client, call)
            except psycopg.OperationalError:
                self._people.do_later(RETRY_SECONDS, ask)
            except psycopg.errors.InvalidParameterValue as error:
                self._people.refuse(f"asked again for run {run_id} under its key: {error}")

        return ask

    def _ask_for_another(self, client: Client, call: Call) -> None:
        try:
            if call.planned.by_sql:
                later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=OTHER_DEADLINE_SECONDS)
                run_id = self._ask_by_sql(replace(call, deadline_at=later), call.key)
            else:
                planned = replace(call.planned, deadline_seconds=OTHER_DEADLINE_SECONDS)
                run_id = self._ask_by_api(client, replace(call, planned=planned))
        except psycopg.errors.UniqueViolation:
            return
        except ApiError as error:
            if error.code == "idempotency_key_reused":
                return
            raise
        self._people.refuse(f"asked for another run under the key of one: it is {run_id}")

    @property
    def _inputs(self) -> dict[str, JsonValue]:
        return {"effects": str(self._stack.effects_file), "outside": self._stack.outside.address}

    @property
    def _is_stalled(self) -> bool:
        return time.monotonic() - self._progressed_at > STALL_SECONDS

    def _look(self, phase: str) -> None:
        before = (self._known, self._ended)
        with contextlib.suppress(psycopg.OperationalError):
            self._known, self._ended, self._open = evidence.count_runs(self._stack.database_url)
        if before != (self._known, self._ended):
            self._progressed_at = time.monotonic()
        self._observe(phase, len(self.acknowledged), self._ended)
