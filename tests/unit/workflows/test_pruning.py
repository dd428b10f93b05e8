"""The duty of pruning: whose turn it is, for how long, and when it looks again."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
import pytest

from maestro.core import sql
from workflows.dispatch import retention as duty
from workflows.dispatch.retention import BUDGET_SECONDS, LOOK_SECONDS, MOST_ROWS, Pruning, _Turn
from workflows.runs.retention import Batch, OldHistory

ORGANIZATION, OTHER = UUID(int=1), UUID(int=2)
CONNECTION: Any = object()


@dataclass
class World:
    """A clock, and what is old; every batch takes a while and is recorded."""

    batch_seconds: float = 0.1
    seconds: float = 0.0
    old: dict[UUID, int] = field(default_factory=dict)
    """Batches there are for each organization."""
    batches: list[tuple[UUID, int]] = field(default_factory=list)
    looks: list[float] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def clock(self) -> float:
        """Tell the time."""
        return self.seconds

    def find(self, connection: sql.Connection, *, after: UUID, limit: int) -> list[OldHistory]:
        """Look, page by page."""
        self.looks.append(self.seconds)
        ids = [one for one in sorted(self.old) if one > after][:limit]
        return [
            OldHistory(organization_id=one, has_runs=self.old[one] > 0, has_attempts=False, has_lines=False)
            for one in ids
        ]

    def prune(self, of: UUID, rows: int) -> Batch:
        """Do a batch."""
        self.seconds += self.batch_seconds
        self.batches.append((of, rows))
        if self.failures:
            raise self.failures.pop()
        self.old[of] -= 1
        return Batch(deleted=rows, has_more=self.old[of] > 0)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A world in which nothing is old."""
    made = World()
    monkeypatch.setattr("workflows.runs.retention.find_old_history", made.find)
    monkeypatch.setattr(duty, "_TURNS_OF_PLATFORM", ())

    def turns_of(history: OldHistory) -> list[_Turn]:
        of = history.organization_id
        return [_Turn(name=of, prune=lambda _, rows: made.prune(of, rows))] if history.has_runs else []

    monkeypatch.setattr(duty, "_turns_of", turns_of)
    return made


def test_duty_stops_once_its_budget_is_used_up_and_goes_on_next_time(world: World) -> None:
    world.old = {ORGANIZATION: 7}
    pruning = Pruning(world.clock)

    first, second = pruning.prune(CONNECTION), pruning.prune(CONNECTION)

    batches = int(BUDGET_SECONDS / world.batch_seconds) + 1
    assert (first, second) == (batches * MOST_ROWS, batches * MOST_ROWS)
    assert len(world.looks) == 1


def test_organizations_take_turns(world: World) -> None:
    world.old, world.batch_seconds = {ORGANIZATION: 5, OTHER: 2}, 0

    Pruning(world.clock).prune(CONNECTION)

    assert [of for of, _ in world.batches] == [ORGANIZATION, OTHER] * 2 + [ORGANIZATION] * 3


def test_nothing_is_looked_for_again_for_a_while(world: World) -> None:
    world.old = {ORGANIZATION: 0}
    pruning = Pruning(world.clock)

    for seconds in (0, 1, LOOK_SECONDS - 1, LOOK_SECONDS, LOOK_SECONDS + 1):
        world.seconds = seconds
        pruning.prune(CONNECTION)

    assert world.looks == [0, LOOK_SECONDS]


def test_organization_that_comes_later_does_not_wait_for_the_end_of_a_backlog(world: World) -> None:
    world.old = {ORGANIZATION: 1000, OTHER: 0}
    pruning = Pruning(world.clock)
    pruning.prune(CONNECTION)
    world.old[OTHER] = 1
    world.seconds = LOOK_SECONDS
    world.batches.clear()

    pruning.prune(CONNECTION)

    assert [of for of, _ in world.batches] == [ORGANIZATION, OTHER, ORGANIZATION]


def test_more_organizations_than_one_look_sees_are_looked_at_one_tick_after_the_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duty, "ORGANIZATIONS_PER_LOOK", 2)
    world.old = {UUID(int=number): 1 for number in range(1, 6)}
    pruning = Pruning(world.clock)

    for _ in range(4):
        world.batch_seconds = 0
        pruning.prune(CONNECTION)

    assert [of.int for of, _ in world.batches] == [1, 2, 3, 4, 5]
    assert len(world.looks) == 3


def test_batch_that_takes_too_long_is_followed_by_smaller_ones(world: World) -> None:
    world.old, world.batch_seconds = {ORGANIZATION: 3}, 0
    world.failures = [psycopg.errors.QueryCanceled(), psycopg.errors.QueryCanceled()]

    Pruning(world.clock).prune(CONNECTION)

    assert [rows for _, rows in world.batches] == [MOST_ROWS, MOST_ROWS // 2, *[MOST_ROWS // 4] * 3]


def test_single_row_that_takes_too_long_is_left_until_the_next_look(world: World) -> None:
    world.old, world.batch_seconds = {ORGANIZATION: 3}, 0
    world.failures = [psycopg.errors.QueryCanceled() for _ in range(99)]

    assert Pruning(world.clock).prune(CONNECTION) == 0

    assert world.batches[-1] == (ORGANIZATION, 1)


def test_what_somebody_holds_is_left_until_the_next_look(world: World) -> None:
    world.old, world.batch_seconds = {ORGANIZATION: 3}, 0
    world.failures = [psycopg.errors.LockNotAvailable()]
    pruning = Pruning(world.clock)

    pruning.prune(CONNECTION)

    assert len(world.batches) == 1
    world.seconds = LOOK_SECONDS
    pruning.prune(CONNECTION)
    assert len(world.batches) == 4
