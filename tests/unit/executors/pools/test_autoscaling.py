"""How many processes a worker should have: a table of loads."""

import pytest

from executors.pools.autoscaling import Load, wanted_processes


def wanted(load, *, busy, processes, least=1, most=6):
    return wanted_processes(load, busy=busy, processes=processes, least=least, most=most, target_seconds=1.0)


@pytest.mark.parametrize(
    ("load", "busy", "processes", "expected"),
    [
        # Nothing waits, or what waits is taken in a moment.
        (Load(), 0, 1, 1),
        (Load(), 3, 3, 3),
        (Load(waiting=1), 0, 1, 1),
        (Load(waiting=2, others=1, free_elsewhere=2), 1, 1, 1),
        # More waits than the slots of all workers can take.
        (Load(waiting=1), 1, 1, 2),
        (Load(waiting=40), 1, 1, 6),
        (Load(waiting=3), 1, 2, 4),
        (Load(waiting=3, others=1, free_elsewhere=2), 1, 1, 3),
        # Each worker makes room for its share.
        (Load(waiting=6, others=2), 1, 1, 3),
        # Something has waited too long, whatever the others say they have free.
        (Load(waiting=1, waited_seconds=1.0, others=1, free_elsewhere=4), 1, 1, 2),
        (Load(waiting=1, waited_seconds=0.9, others=1, free_elsewhere=4), 1, 1, 1),
        # A slot of one's own is free: it will take what waits.
        (Load(waiting=1, waited_seconds=9.0), 1, 2, 2),
        # A worker that has too many already does not lose them here.
        (Load(waiting=1, waited_seconds=9.0), 0, 4, 4),
    ],
)
def test_there_are_more_processes_when_what_waits_needs_them(load, busy, processes, expected):
    assert wanted(load, busy=busy, processes=processes) == expected


def test_there_are_never_fewer_than_the_least_nor_more_than_the_most():
    assert wanted(Load(), busy=0, processes=1, least=3) == 3
    assert wanted(Load(waiting=100), busy=4, processes=4, most=4) == 4
