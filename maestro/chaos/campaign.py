"""A campaign: many random runs on a stack of their own, faults while they go on, then the judgement."""

from __future__ import annotations

import contextlib
import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import psycopg
import redis

from maestro.chaos import definitions, drawing, effects, evidence, invariants
from maestro.chaos.deeds import Deeds
from maestro.chaos.findings import Findings, Plan
from maestro.chaos.graphs import Graph, children_of, workflow_name
from maestro.chaos.holds import StillHeld
from maestro.chaos.injector import Injector
from maestro.chaos.people import People
from maestro.chaos.rows import Leftovers
from maestro.chaos.schedule import Injected
from maestro.chaos.scratch import ScratchStack
from maestro.client import Client, ClientError
from workflows.definition.priority import Priority

WORKERS = 2
MOST_OPEN = 12
"""Runs that go on at a time."""
LONGEST_PAUSE_BETWEEN_STARTS = 0.4
POLL_SECONDS = 0.2
RETRY_SECONDS = 0.3
KEY_SECONDS = 3.0
"""After so long a start is asked for under another key: one whose call a restart cut off is busy for two minutes."""
LAST_FAULTS_SECONDS = 3.0
"""For so long after the last start faults go on."""
RECOVERY_SECONDS = 120.0
"""After the last fault all runs must end within this: recovery looks at every run once a minute."""
DRAIN_SECONDS = 30.0
"""After the last end the queues must be empty within this."""
STALL_SECONDS = 180.0
"""When no run was started and none has ended for so long, no more are started."""
_PRIORITIES = tuple(priority.value for priority in Priority)
UNAVAILABLE = (psycopg.OperationalError, redis.RedisError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a campaign is."""

    phase: str
    """What is being done."""
    started: int = 0
    """Runs that were started."""
    ended: int = 0
    """Runs that have ended."""
    faults: int = 0
    """Faults that have happened."""
    last_fault: Injected | None = None
    """The latest of them."""


class StackLost(Exception):
    """The stack did not come back after the faults, so that nothing can be judged."""


Observe = Callable[[Progress], None]


def run_campaign(stack: ScratchStack, plan: Plan, observe: Observe) -> Findings:
    """Run a campaign on a stack that is ready. Raises StackLost; ClientError where the API refuses a definition."""
    try:
        return _run(stack, plan, observe)
    except (*UNAVAILABLE, StillHeld) as error:
        raise StackLost(f"The stack did not come back: {error}") from error


def _run(stack: ScratchStack, plan: Plan, observe: Observe) -> Findings:
    observe(Progress(phase="applying definitions"))
    drawn = _draw(plan)
    with stack.client() as client, contextlib.closing(stack.broker()) as broker:
        for name, graph in drawn.items():
            client.workflows.apply(definitions.as_definition(graph, name))
        began_at = time.time()
        injector = Injector(stack, broker, plan)
        with People(stack, plan.seed, drawn) as people:
            with injector:
                starts = _Starts(stack, client, plan, injector, people, observe)
                starts.run()
                injector.go_on(LAST_FAULTS_SECONDS)
            stopped_at = time.time()
            quiet_at = max((min(fault.until, stopped_at) for fault in injector.injected), default=began_at)
            starts.wait_for_ends(stopped_at + RECOVERY_SECONDS)
        ended_at = time.time()
        leftovers = _read_leftovers(stack, broker)
    return _judge(
        stack,
        plan,
        graphs=drawn,
        acknowledged=starts.acknowledged,
        injected=tuple(injector.injected),
        deeds=people.done(injector.holds),
        keys=starts.keys,
        leftovers=leftovers,
        began_at=began_at,
        quiet_at=quiet_at,
        seconds=ended_at - began_at,
    )


def _draw(plan: Plan) -> dict[str, Graph]:
    """Draw the graphs of all workflows; those that tasks of others run come before these."""
    drawn: dict[str, Graph] = {}
    for number in range(plan.runs):
        graph, name = drawing.draw_graph(plan.seed, number), workflow_name(number)
        drawn |= children_of(graph, name) | {name: graph}
    return drawn


class _Starts:
    """Starts the runs of a campaign and watches them end."""

    def __init__(
        self,
        stack: ScratchStack,
        client: Client,
        plan: Plan,
        injector: Injector,
        people: People,
        observe: Observe,
    ) -> None:
        self.acknowledged: dict[str, str] = {}
        self.keys = 0
        self._stack = stack
        self._client = client
        self._plan = plan
        self._injector = injector
        self._people = people
        self._observe = observe
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
        """Start a run; again under the same key while the API cannot, or cannot say so, and then under another one."""
        name = workflow_name(number)
        inputs = {"effects": str(self._stack.effects_file)}
        key, keyed_at = "", -math.inf
        priority = _PRIORITIES[number % len(_PRIORITIES)]
        while not self._is_stalled:
            if time.monotonic() - keyed_at > KEY_SECONDS:
                self.keys += 1
                key, keyed_at = f"chaos-{self.keys}", time.monotonic()
            try:
                run = self._client.workflows.start_run(name, inputs=inputs, priority=priority, idempotency_key=key).run
            except ClientError:
                time.sleep(RETRY_SECONDS)
                self._look("running")
            else:
                self.acknowledged[run.id] = name
                self._known += 1
                self._people.care_for(run.id, name, number)
                return

    @property
    def _is_stalled(self) -> bool:
        return time.monotonic() - self._progressed_at > STALL_SECONDS

    def _look(self, phase: str) -> None:
        before = (self._known, self._ended)
        with contextlib.suppress(psycopg.OperationalError):
            self._known, self._ended, self._open = evidence.count_runs(self._stack.database_url)
        if before != (self._known, self._ended):
            self._progressed_at = time.monotonic()
        injected = self._injector.injected
        self._observe(
            Progress(
                phase=phase,
                started=len(self.acknowledged),
                ended=self._ended,
                faults=len(injected),
                last_fault=injected[-1] if injected else None,
            )
        )


def _read_leftovers(stack: ScratchStack, broker: redis.Redis) -> Leftovers:
    """Look until nothing is left, or the time is over."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while True:
        try:
            leftovers = evidence.read_leftovers(stack.database_url, broker)
        except UNAVAILABLE:
            if time.monotonic() > deadline:
                raise
        else:
            if leftovers.is_empty or time.monotonic() > deadline:
                return leftovers
        time.sleep(POLL_SECONDS)


def _judge(
    stack: ScratchStack,
    plan: Plan,
    *,
    graphs: Mapping[str, Graph],
    acknowledged: Mapping[str, str],
    injected: tuple[Injected, ...],
    deeds: Deeds,
    keys: int,
    leftovers: Leftovers,
    began_at: float,
    quiet_at: float,
    seconds: float,
) -> Findings:
    runs = evidence.read_runs(stack.database_url)
    done = effects.read(stack.effects_file)
    verdict = invariants.judge(
        runs=runs,
        wanted=plan.runs,
        keys=keys,
        graphs=graphs,
        acknowledged=acknowledged,
        effects=done,
        repeated_lines=evidence.read_repeated_lines(stack.database_url),
        crashes=[fault.at for fault in injected if fault.forgets_commits],
        disturbances=[(fault.at, fault.until) for fault in injected if fault.is_disturbing],
        leftovers=leftovers,
        deeds=deeds,
        signals=evidence.read_signals(stack.database_url),
    )
    broken = dict.fromkeys(found.run_id for found in verdict.breaks if found.run_id)
    return Findings(
        plan=plan,
        runs=runs,
        graphs=graphs,
        effects=done,
        faults=injected,
        deeds=deeds,
        leftovers=leftovers,
        verdict=verdict,
        lines={run_id: evidence.read_lines(stack.database_url, run_id) for run_id in broken},
        log={run_id: stack.log_lines(run_id) for run_id in broken},
        began_at=began_at,
        quiet_at=quiet_at,
        seconds=seconds,
    )
