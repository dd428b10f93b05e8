"""What a campaign was asked for and what came of it, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from maestro.chaos.deeds import Deeds
from maestro.chaos.effects import Effect
from maestro.chaos.graphs import Graph
from maestro.chaos.invariants import Verdict
from maestro.chaos.openings import Asked
from maestro.chaos.rows import Ask, Leftovers, LogLine, RunRow
from maestro.chaos.schedule import FaultKind, Injected


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a person chose."""

    runs: int
    """How many runs are started."""
    seed: int
    """What graphs, faults and times are drawn from."""
    kinds: tuple[FaultKind, ...]
    """Which faults happen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What came of a campaign."""

    plan: Plan
    """What was asked for."""
    runs: tuple[RunRow, ...]
    """All runs with their tasks and attempts."""
    graphs: Mapping[str, Graph]
    """Workflow → what its runs are of."""
    effects: tuple[Effect, ...]
    """What tasks did."""
    faults: tuple[Injected, ...]
    """What was done to the stack."""
    deeds: Deeds
    """What people did to runs."""
    leftovers: Leftovers
    """What was left in the end."""
    asked: Mapping[str, Asked]
    """Workflow → how its run was asked for; none of those that tasks run."""
    asks: tuple[Ask, ...]
    """What tasks asked the outside."""
    verdict: Verdict
    """What the invariants say."""
    lines: Mapping[str, tuple[LogLine, ...]]
    """The log of each run that breaks an invariant."""
    log: Mapping[str, tuple[str, ...]]
    """What the stack's programs said of each of them."""
    began_at: float
    """When the first run was started, seconds since the epoch."""
    quiet_at: float
    """When the last fault was over."""
    seconds: float
    """How long it took from the first start to the last end."""

    @property
    def recovery_seconds(self) -> float:
        """How long after the last fault the last run ended; 0 when none was open then."""
        ends = [run.finished_at.timestamp() for run in self.runs if run.finished_at]
        return max(0.0, max(ends, default=0.0) - self.quiet_at)
