"""When a worker counts as deaf, by what was seen of it."""

from types import SimpleNamespace

import pytest
from kombu.utils.limits import TokenBucket

from executors.pools.consumer_watch import DEAF_SECONDS, GAP_SECONDS, LOOK_SECONDS, Judge, Look, count_taken

LOOKS = int(DEAF_SECONDS / LOOK_SECONDS) + 3


def see(number, *, head=b"m", is_free=True, heard=0, turns=None, late=0.0):
    heads = {} if head is None else {"maestro": head}
    turns = number if turns is None else turns
    return Look(at=100 + number * LOOK_SECONDS + late, is_free=is_free, turns=turns, heard=heard, heads=heads)


def first_found(looks):
    judge = Judge()
    return next((found for found in (judge.find_ignored(look) for look in looks) if found is not None), None)


def test_free_worker_that_leaves_a_message_alone_is_deaf_after_a_while():
    queue, seconds = first_found(see(number) for number in range(LOOKS))

    assert queue == "maestro"
    assert DEAF_SECONDS <= seconds < DEAF_SECONDS + LOOK_SECONDS


def test_worker_whose_event_loop_hangs_is_deaf_though_its_processes_seem_busy():
    queue, seconds = first_found(see(number, is_free=False, turns=7) for number in range(LOOKS + 1))

    assert queue == "maestro"
    assert DEAF_SECONDS <= seconds < DEAF_SECONDS + LOOK_SECONDS


@pytest.mark.parametrize(
    "looks",
    [
        [see(number, head=None) for number in range(LOOKS)],
        [see(number, is_free=False) for number in range(LOOKS)],
        [see(number, is_free=False, turns=number // (LOOKS // 2)) for number in range(LOOKS)],
        [see(number, is_free=number != LOOKS // 2) for number in range(LOOKS)],
        [see(number, heard=number) for number in range(LOOKS)],
        [see(number, heard=number // (LOOKS // 2)) for number in range(LOOKS)],
        [see(number, head=b"%d" % number) for number in range(LOOKS)],
        [None if number == LOOKS // 2 else see(number) for number in range(LOOKS)],
        [see(number, late=GAP_SECONDS if number > LOOKS // 2 else 0) for number in range(LOOKS)],
    ],
    ids=[
        "nothing waits",
        "busy",
        "busy, and its loop slow",
        "busy in between",
        "takes others",
        "took one in between",
        "another takes them",
        "broker was away",
        "stood still in between",
    ],
)
def test_any_other_worker_is_not(looks):
    assert first_found(looks) is None


def test_message_that_was_left_alone_before_the_process_stood_still_does_not_count():
    assert first_found([see(0), see(1), see(1, late=10 * DEAF_SECONDS)]) is None


def test_messages_that_wait_for_their_rate_limit_are_taken():
    bucket = TokenBucket(fill_rate=1 / 60)
    for message in ("first", "second"):
        bucket.add((message, 1))

    assert count_taken(SimpleNamespace(task_buckets={"limited": bucket, "others": None})) == 2
