"""A campaign: many random runs on a stack of their own, faults while they go on, then the judgement."""

from __future__ import annotations

import contextlib
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
from maestro.chaos.starts import Starts

WORKERS = 2
POLL_SECONDS = 0.2
LAST_FAULTS_SECONDS = 3.0
"""For so long after the last start faults go on."""
RECOVERY_SECONDS = 120.0
"""After the last fault all runs must end within this: recovery looks at every run once a minute."""
DRAIN_SECONDS = 30.0
"""After the last end the queues must be empty within this."""
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
                observer = _observer(injector, observe)
                starts = Starts(stack, client, plan, drawn, people, observer)
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
        starts=starts,
        injected=tuple(injector.injected),
        deeds=people.done(injector.holds),
        leftovers=leftovers,
        began_at=began_at,
        quiet_at=quiet_at,
        seconds=ended_at - began_at,
    )


def _observer(injector: Injector, observe: Observe) -> Callable[[str, int, int], None]:
    def look(phase: str, started: int, ended: int) -> None:
        injected = injector.injected
        observe(
            Progress(
                phase=phase,
                started=started,
                ended=ended,
                faults=len(injected),
                last_fault=injected[-1] if injected else None,
            )
        )

    return look


def _draw(plan: Plan) -> dict[str, Graph]:
    """Draw the graphs of all workflows; those that tasks of others run come before these."""
    drawn: dict[str, Graph] = {}
    for number in range(plan.runs):
        graph, name = drawing.draw_graph(plan.seed, number), workflow_name(number)
        drawn |= children_of(graph, name) | {name: graph}
    return drawn


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
    starts: Starts,
    injected: tuple[Injected, ...],
    deeds: Deeds,
    leftovers: Leftovers,
    began_at: float,
    quiet_at: float,
    seconds: float,
) -> Findings:
    runs = evidence.read_runs(stack.database_url)
    done = effects.read(stack.effects_file)
    asks = tuple(stack.outside.asks)
    verdict = invariants.judge(
        runs=runs,
        wanted=plan.runs,
        asked=starts.asked,
        rolled_back=starts.rolled_back,
        graphs=graphs,
        acknowledged=starts.acknowledged,
        effects=done,
        repeated_lines=evidence.read_repeated_lines(stack.database_url),
        crashes=[fault.at for fault in injected if fault.forgets_commits],
        disturbances=[(fault.at, fault.until) for fault in injected if fault.is_disturbing],
        leftovers=leftovers,
        deeds=deeds,
        signals=evidence.read_signals(stack.database_url),
        asks=asks,
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
        asked=starts.asked,
        asks=asks,
        verdict=verdict,
        lines={run_id: evidence.read_lines(stack.database_url, run_id) for run_id in broken},
        log={run_id: stack.log_lines(run_id) for run_id in broken},
        began_at=began_at,
        quiet_at=quiet_at,
        seconds=seconds,
    )
