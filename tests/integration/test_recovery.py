"""Every guard of recovery: lost leases, lost messages, forgotten tasks and runs."""

import datetime
import json
from collections import OrderedDict
from uuid import uuid4

import pytest
from django.utils import timezone

from executors.pools import lease
from executors.pools.queues import key_of
from tests.builders import start_run, statuses
from tests.integration.schedules import (
    HOLDER,
    SUCCEEDED,
    do,
    held_open,
    hold,
    ref,
    rerun,
    row,
    task_of,
)
from workflows.catalog import cache
from workflows.compiler.canvas import make_message_id
from workflows.dispatch import advance, claim, execution, finish, leases, lost_messages, recovery
from workflows.dispatch.broker import BrokerAway, QueueView
from workflows.dispatch.messages import Holder
from workflows.models import TaskExecution, WorkflowRun, WorkflowVersion
from workflows.runs import services as runs

pytestmark = pytest.mark.usefixtures("sent")

LONG_AGO = "2020-01-01T00:00:00Z"


@pytest.fixture
def lost(actor, connection, worker_row):
    """A run whose task `a` is held by a worker that was given up."""
    run = start_run(actor, {"a": "", "b": "a"})
    holder = Holder(worker="test", worker_id=worker_row)
    claimed = claim.claim(connection, task_of(run, "a"), holder, uuid4())
    connection.execute("UPDATE executor_workers SET lost_at = clock_timestamp() WHERE id = %s", (worker_row,))
    return run, claimed


def test_stop_of_a_worker_gives_back_what_it_ran_and_is_no_failure(actor, connection, worker_row):
    run = start_run(actor, {"a": ""})
    claim.claim(connection, task_of(run, "a"), Holder(worker="test", worker_id=worker_row), uuid4())
    TaskExecution.objects.filter(run_id=run.id).update(platform_failures=2)

    lease.end_lease(connection, worker_id=worker_row)
    leases.take_back_lost(connection)

    assert statuses(run.id) == {"a": "queued (worker_stopped)"}
    assert row(run, "a").platform_failures == 2
    assert [attempt.error_code for attempt in row(run, "a").attempts.all()] == ["worker_stopped"]


@pytest.fixture
def resumed(actor, connection, worker_row):
    """A run whose task `a` was claimed by a process of a worker that had been given up, and did not know it yet."""
    run = start_run(actor, {"a": ""})
    connection.execute("UPDATE executor_workers SET lost_at = clock_timestamp() WHERE id = %s", (worker_row,))
    claim.claim(connection, task_of(run, "a"), Holder(worker="test", worker_id=worker_row, message_id="m"), uuid4())
    return run


def age(connection, run):
    """Move a claim, and the lease that ended before it, a minute into the past."""
    of_claim = "id = (SELECT claim_worker_id FROM task_executions WHERE run_id = %s)"
    moved = "held_at = held_at - interval '1 minute', lost_at = lost_at - interval '1 minute'"
    connection.execute(f"UPDATE executor_workers SET {moved} WHERE {of_claim}", (run.id,))
    connection.execute(
        "UPDATE task_executions SET started_at = started_at - interval '1 minute' WHERE run_id = %s", (run.id,)
    )


def test_attempt_a_worker_began_after_it_was_given_up_is_its_own_under_its_new_lease(connection, resumed):
    leases.take_back_lost(connection)
    while_it_may_be_listed = statuses(resumed.id)["a"]
    alive = lease.register_worker(connection, name="test", pid=1, concurrency=1, queues=["maestro"])
    lease.renew_lease(connection, worker_id=alive, concurrency=1, list_held=lambda: ["m"])
    age(connection, resumed)

    leases.take_back_lost(connection)
    lease.end_lease(connection, worker_id=alive)

    assert (while_it_may_be_listed, statuses(resumed.id)["a"]) == ("running", "running")


def test_attempt_a_worker_began_after_it_was_given_up_is_lost_with_it(connection, resumed):
    # It had taken the message before.
    connection.execute("UPDATE executor_workers SET held = '{m}' WHERE lost_at IS NOT NULL")
    age(connection, resumed)

    leases.take_back_lost(connection)

    assert statuses(resumed.id)["a"] == "queued (worker_lost)"


@pytest.mark.parametrize(("restored", "expected"), [({"m"}, []), ({"other"}, ["a"])])
def test_stopping_worker_sends_what_it_gives_back_unless_the_broker_gets_the_message_back(
    actor, connection, worker_row, sent, restored, expected
):
    run = start_run(actor, {"a": ""})
    holder = Holder(worker="test", worker_id=worker_row, message_id="m")
    claim.claim(connection, task_of(run, "a"), holder, uuid4())
    sent.clear()

    assert leases.give_back(connection, worker_id=worker_row, restored=restored) == 1

    assert statuses(run.id) == {"a": "queued (worker_stopped)"}
    assert row(run, "a").platform_failures == 0
    assert sent == expected


def test_stopping_worker_gives_back_nothing_of_others_and_ends_what_was_cancelled(actor, connection, worker_row):
    run = start_run(actor, {"a": "", "b": ""})
    claim.claim(connection, task_of(run, "a"), Holder(worker="test", worker_id=worker_row), uuid4())
    claim.claim(connection, task_of(run, "b"), Holder(worker="other", worker_id=uuid4()), uuid4())
    runs.cancel_run(actor=actor, run_id=run.id)

    assert leases.give_back(connection, worker_id=worker_row, restored=()) == 1

    assert statuses(run.id)["b"].startswith("running")
    assert statuses(run.id)["a"].startswith("cancelled")


def test_stopping_worker_ends_the_run_that_was_cancelled_though_the_broker_gets_the_message_back(
    actor, connection, worker_row
):
    run = start_run(actor, {"a": ""})
    holder = Holder(worker="test", worker_id=worker_row, message_id="m")
    claim.claim(connection, task_of(run, "a"), holder, uuid4())
    runs.cancel_run(actor=actor, run_id=run.id)

    leases.give_back(connection, worker_id=worker_row, restored={"m"})

    assert WorkflowRun.objects.get(id=run.id).status == "cancelled"


def test_one_look_takes_back_so_many_attempts_and_the_next_the_others(actor, connection, monkeypatch):
    leases.take_back_lost(connection)  # what other tests have left
    monkeypatch.setattr(leases, "MAX_PER_SWEEP", 1)
    run = start_run(actor, {"a": "", "b": ""})
    for key in "ab":
        claim.claim(connection, task_of(run, key), Holder(worker="gone", worker_id=uuid4()), uuid4())

    assert [leases.take_back_lost(connection) for _ in range(3)] == [1, 1, 0]


@pytest.mark.parametrize(
    "take_back",
    [
        lambda connection, _: leases.take_back_lost(connection),
        lambda connection, worker_id: leases.give_back(connection, worker_id=worker_id, restored=()),
    ],
    ids=["lost", "given back"],
)
def test_run_that_cannot_go_on_keeps_no_other_from_it(actor, connection, sent, monkeypatch, take_back):
    worker_id = uuid4()
    for name in ("broken", "sound"):
        run = start_run(actor, {name: ""}, name=name)
        claim.claim(connection, task_of(run, name), Holder(worker="gone", worker_id=worker_id), uuid4())
    sent.clear()
    go_on = leases._go_on

    def fail_for_one(connection, row):
        assert row["task_key"] != "broken"
        go_on(connection, row)

    monkeypatch.setattr(leases, "_go_on", fail_for_one)

    take_back(connection, worker_id)

    assert sent == ["sound"]


def test_attempt_of_a_worker_nobody_knows_is_taken_back(actor, connection):
    run = start_run(actor, {"a": ""})
    claim.claim(connection, task_of(run, "a"), Holder(worker="gone", worker_id=uuid4()), uuid4())

    leases.take_back_lost(connection)

    assert statuses(run.id) == {"a": "queued (worker_lost)"}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ("status = 'succeeded', finished_at = clock_timestamp()", "succeeded"),
        ("claim_token = gen_random_uuid()", "running"),
    ],
    ids=["finished", "claimed again"],
)
def test_attempt_that_moved_on_while_it_was_taken_back_is_left_alone(connection, other, lost, change, status):
    run, _ = lost

    with held_open(
        other, (f"UPDATE task_executions SET {change} WHERE run_id = %s AND task_key = 'a'", (run.id,))
    ) as meanwhile:
        taking = meanwhile(lambda: leases.take_back_lost(connection))

    taking.result()
    assert statuses(run.id)["a"] == status
    assert not row(run, "a").attempts.exists()


def test_lost_attempt_of_a_cancelled_run_ends_it(actor, connection, lost):
    run, _ = lost
    runs.cancel_run(actor=actor, run_id=run.id)

    leases.take_back_lost(connection)

    assert statuses(run.id) == {"a": "cancelled (unconfirmed)", "b": "cancelled"}
    assert WorkflowRun.objects.get(id=run.id).status == "cancelled"


def test_attempt_that_is_cancelled_while_it_is_taken_back_is_cancelled(connection, other, lost):
    run, _ = lost

    with held_open(other, hold(run, 2)) as meanwhile:
        taking = meanwhile(lambda: leases.take_back_lost(connection))

    taking.result()
    assert statuses(run.id)["a"] == "cancelled (unconfirmed)"


def test_attempt_that_was_lost_is_no_other_because_its_worker_is_told_to_stop_later(connection, worker_row, lost):
    run, _ = lost

    lease.end_lease(connection, worker_id=worker_row)
    leases.take_back_lost(connection)

    assert statuses(run.id)["a"] == "queued (worker_lost)"


def test_attempt_of_a_worker_that_has_not_said_for_long_what_it_holds_is_left_alone(connection, held, worker_row):
    run, _ = held
    connection.execute("UPDATE executor_workers SET held_at = held_at - interval '1 hour' WHERE id = %s", (worker_row,))
    a_minute_ago = timezone.now() - datetime.timedelta(minutes=1)
    TaskExecution.objects.filter(run_id=run.id, task_key="a").update(started_at=a_minute_ago)

    leases.take_back_lost(connection)

    assert statuses(run.id)["a"] == "running"


def test_lost_attempt_of_a_paused_task_is_queued_and_not_sent(connection, lost, sent):
    run, _ = lost
    connection.execute(*hold(run, 1))
    sent.clear()

    leases.take_back_lost(connection)

    assert statuses(run.id)["a"] == "queued (worker_lost)"
    assert sent == []


def test_result_of_an_attempt_that_was_taken_back_is_dropped(connection, lost):
    run, claimed = lost

    leases.take_back_lost(connection)

    assert row(run, "a").claim_token is None
    assert finish.finish(connection, claimed, SUCCEEDED) is None


def test_worker_that_was_given_up_cannot_renew_its_lease(connection, worker_row):
    connection.execute("UPDATE executor_workers SET lost_at = clock_timestamp() WHERE id = %s", (worker_row,))

    assert lease.renew_lease(connection, worker_id=worker_row, concurrency=1, list_held=list) is False


def test_list_of_what_is_held_is_dated_before_it_is_made(connection, worker_row):
    made_at = []

    def list_held():
        made_at.append(connection.execute("SELECT clock_timestamp()").fetchone()[0])
        return []

    lease.renew_lease(connection, worker_id=worker_row, concurrency=1, list_held=list_held)

    held_at = connection.execute("SELECT held_at FROM executor_workers WHERE id = %s", (worker_row,)).fetchone()[0]
    assert held_at <= made_at[0]


def test_paused_task_is_not_recovered(actor, connection):
    run = start_run(actor, {"a": "", "b": "a"})
    do(connection, run, "a")
    TaskExecution.objects.filter(run_id=run.id, task_key="a").update(finished_at=LONG_AGO)
    connection.execute(*hold(run, 1))

    recovery.ReadySweep().recover(connection)

    assert statuses(run.id)["b"] == "pending"


def message_of(run, key="a"):
    """The id of the message that was sent for a queued task."""
    return make_message_id(run.id, key, row(run, key).generation, row(run, key).queued_at)


@pytest.fixture
def queue(monkeypatch):
    """Says what the broker shows."""

    def show(*, is_empty=True, head=None):
        view = QueueView(is_empty=is_empty, head_queued_at=head)
        for module in (lost_messages, recovery):
            monkeypatch.setattr(module, "look_at_queue", lambda *_: view)

    return show


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("lost", True),
        ("held by a worker", False),
        ("behind the head", False),
        ("undated head", False),
        ("paused", False),
        ("claimed", False),
        ("young", False),
    ],
)
def test_only_what_the_broker_lost_is_sent_again(actor, connection, queue, sent, worker_row, case, expected):
    run = start_run(actor, {"a": "", "queued_later": ""})
    TaskExecution.objects.filter(run_id=run.id, task_key="a").update(queued_at=LONG_AGO)
    sent.clear()
    head = datetime.datetime(2020, 1, 1, 0, 0, 1, tzinfo=datetime.UTC)
    match case:
        case "lost":
            queue()
        case "held by a worker":
            queue()
            connection.execute("UPDATE executor_workers SET held = %s WHERE id = %s", ([message_of(run)], worker_row))
        case "behind the head":
            queue(is_empty=False, head=head)
        case "undated head":
            queue(is_empty=False)
        case "paused":
            queue()
            connection.execute(*hold(run, 1))
        case "claimed":
            queue()
            connection.execute(
                "UPDATE task_executions SET status = 'running' WHERE run_id = %s AND task_key = 'a'", (run.id,)
            )
        case "young":
            queue()
            connection.execute("UPDATE task_executions SET queued_at = clock_timestamp() WHERE run_id = %s", (run.id,))

    lost_messages.resend_lost(connection)

    assert sent == (["a"] if expected else [])
    assert (row(run, "a").queued_at.year > 2020) is (expected or case == "young")


@pytest.mark.parametrize(
    "change",
    ["status = 'running'", "hold = 2", "queued_at = clock_timestamp()"],
    ids=["claimed", "cancelled", "sent again by another beat"],
)
def test_row_that_changes_while_it_is_looked_for_is_not_sent_again(actor, connection, other, queue, sent, change):
    run = start_run(actor, {"a": ""})
    TaskExecution.objects.filter(run_id=run.id).update(queued_at=LONG_AGO)
    sent.clear()
    queue()

    with held_open(other, (f"UPDATE task_executions SET {change} WHERE run_id = %s", (run.id,))) as meanwhile:
        resending = meanwhile(lambda: lost_messages.resend_lost(connection))
        # It waits for nobody.
        resending.result(10)

    assert sent == []


def test_lost_message_is_looked_for_in_the_list_of_its_queue_and_priority(actor, connection, broker, sent):
    run = start_run(actor, {"a": "", "b": "", "c": ""})
    TaskExecution.objects.filter(run_id=run.id).update(queued_at=LONG_AGO, queue="elsewhere", priority=6)
    # Nothing waits where these do, which are not lost yet.
    young = TaskExecution.objects.filter(run_id=run.id).exclude(task_key="a")
    young.update(queued_at=timezone.now())
    young.filter(task_key="b").update(priority=3)
    young.filter(task_key="c").update(queue="here")
    waiting = json.dumps({"headers": {"queued_at": "2019-01-01T00:00:00.000000Z"}})
    sent.clear()

    broker.lpush(key_of("elsewhere", 6), waiting)
    lost_messages.resend_lost(connection)
    while_it_may_wait = list(sent)
    broker.delete(key_of("elsewhere", 6))
    lost_messages.resend_lost(connection)

    assert (while_it_may_wait, sent) == ([], ["a"])


def test_lost_message_that_cannot_be_sent_keeps_no_other_from_it(actor, connection, queue, monkeypatch):
    queue()
    calls = []
    for name in ("broken", "sound"):
        run = start_run(actor, {name: ""}, name=name)
        TaskExecution.objects.filter(run_id=run.id).update(queued_at=LONG_AGO, queue="elsewhere")

    def fail_for_one(run, version, ready, **named):
        assert ready[0].task_key != "broken"
        calls.append((ready[0].task_key, named))

    monkeypatch.setattr(lost_messages.publish, "publish", fail_for_one)

    lost_messages.resend_lost(connection)

    assert ("sound", {"alone": True}) in calls


def test_one_look_sends_so_many_lost_messages_and_the_next_the_others(actor, connection, queue, sent, monkeypatch):
    queue()
    lost_messages.resend_lost(connection)  # what other tests have left
    monkeypatch.setattr(lost_messages, "MAX_PER_SWEEP", 1)
    run = start_run(actor, {"a": "", "b": ""})
    TaskExecution.objects.filter(run_id=run.id).update(queued_at=LONG_AGO)

    assert [lost_messages.resend_lost(connection) for _ in range(3)] == [1, 1, 0]


def test_nothing_is_sent_again_while_the_broker_is_away(actor, connection, sent, monkeypatch):
    def be_away(*_):
        raise BrokerAway("away")

    run = start_run(actor, {"a": ""})
    TaskExecution.objects.filter(run_id=run.id).update(queued_at=LONG_AGO)
    monkeypatch.setattr(lost_messages, "look_at_queue", be_away)
    sent.clear()

    assert (lost_messages.resend_lost(connection), sent) == (0, [])


def test_recovered_task_is_sent_alone(actor, connection, monkeypatch):
    run = start_run(actor, {"s": "", "a": "s", "b": "a"})
    do(connection, run, "s")
    calls = []
    monkeypatch.setattr(advance.publish, "publish", lambda *given, **named: calls.append(named))

    advance.advance_task(connection, ref(run), advance.version_of_run(connection, run.id), "a")

    assert calls == [{"alone": True}]


@pytest.fixture
def held(actor, connection, worker_row):
    """A run whose task `a` a live worker runs for the message `m`."""
    run = start_run(actor, {"a": "", "b": "a"})
    holder = Holder(worker="test", worker_id=worker_row, message_id="m")
    return run, claim.claim(connection, task_of(run, "a"), holder, uuid4())


def lose_process(connection, run, *, worker_id, message_id="m"):
    return leases.take_back_of_process(
        connection, run_id=run.id, worker_id=worker_id, message_id=message_id, cause="was killed by SIGSEGV"
    )


def test_attempt_of_a_dead_process_is_queued_and_not_sent(connection, held, worker_row, sent):
    run, _ = held

    assert lose_process(connection, run, worker_id=worker_row) == 1
    assert lose_process(connection, run, worker_id=worker_row) == 0

    assert statuses(run.id)["a"] == "queued (process_lost)"
    assert row(run, "a").platform_failures == 1
    assert [attempt.error_message for attempt in row(run, "a").attempts.all()] == [
        "Its process was killed by SIGSEGV while it ran this attempt."
    ]
    assert sent == ["a"], "by its start only"


def test_attempt_of_a_dead_process_under_a_cancel_is_cancelled(actor, connection, held, worker_row):
    run, _ = held
    runs.cancel_run(actor=actor, run_id=run.id)

    lose_process(connection, run, worker_id=worker_row)
    execution.execute_task(task_of(run, "a"), HOLDER, canvas_ends=True)

    assert WorkflowRun.objects.get(id=run.id).status == "cancelled"


@pytest.mark.parametrize(
    "wrong", [{"worker_id": uuid4()}, {"message_id": "of an earlier attempt"}], ids=["worker", "message"]
)
def test_attempt_that_another_worker_or_message_runs_is_left_alone(connection, held, worker_row, wrong):
    run, _ = held

    assert lose_process(connection, run, **({"worker_id": worker_row} | wrong)) == 0

    assert statuses(run.id)["a"] == "running"


def test_attempt_that_ended_before_its_process_died_is_left_alone(connection, held, worker_row):
    run, claimed = held
    finish.finish(connection, claimed, SUCCEEDED)

    assert lose_process(connection, run, worker_id=worker_row) == 0

    assert statuses(run.id)["a"] == "succeeded"


def test_message_of_a_dead_worker_that_was_never_claimed_is_sent_again(actor, connection, queue, sent, worker_row):
    run = start_run(actor, {"a": ""})
    TaskExecution.objects.filter(run_id=run.id).update(queued_at=LONG_AGO)
    connection.execute(
        "UPDATE executor_workers SET held = %s, lost_at = clock_timestamp() WHERE id = %s",
        ([message_of(run)], worker_row),
    )
    queue()
    sent.clear()

    lost_messages.resend_lost(connection)

    assert sent == ["a"]


def test_run_that_cannot_be_recovered_does_not_stop_the_sweep(actor, connection, queue, monkeypatch):
    broken, sound = (start_run(actor, {"a": "", "b": "a"}, name=name) for name in ("broken", "sound"))
    for run in (broken, sound):
        do(connection, run, "a")
        TaskExecution.objects.filter(run_id=run.id, task_key="a").update(finished_at=LONG_AGO)
    WorkflowVersion.objects.filter(id=broken.workflow_version_id).update(definition={"schema_version": 99})
    monkeypatch.setattr(cache, "_versions", OrderedDict())
    queue()

    recovery.ReadySweep().recover(connection)

    assert (statuses(broken.id)["b"], statuses(sound.id)["b"]) == ("pending", "queued")
    WorkflowRun.objects.filter(id=broken.id).update(status="failed")
    TaskExecution.objects.filter(run_id=broken.id).update(status="failed")


def test_ready_task_is_recovered_by_the_sweep_after_its_last_need_ended(actor, connection, queue):
    queue()
    sweep = recovery.ReadySweep()
    sweep.recover(connection)
    run, older = (start_run(actor, {"a": "", "b": "a"}, name=name) for name in ("run", "older"))
    for ended, seconds in ((run, 6), (older, 60)):
        do(connection, ended, "a")
        at = timezone.now() - datetime.timedelta(seconds=seconds)
        TaskExecution.objects.filter(run_id=ended.id, task_key="a").update(finished_at=at)

    sweep.recover(connection)
    by_the_next_look = statuses(run.id)["b"], statuses(older.id)["b"]
    sweep._round_due_at = 0
    sweep.recover(connection)

    assert by_the_next_look == ("queued", "pending")
    assert statuses(older.id)["b"] == "queued"


@pytest.mark.parametrize(
    ("case", "expected"),
    [("lost", "queued"), ("just ended", "pending"), ("behind the head", "pending"), ("held by a worker", "pending")],
)
def test_only_what_nobody_will_start_is_recovered(actor, connection, queue, worker_row, case, expected):
    run = start_run(actor, {"a": "", "b": "a"})
    do(connection, run, "a")
    ended_at = timezone.now() if case == "just ended" else LONG_AGO
    TaskExecution.objects.filter(run_id=run.id, task_key="a").update(finished_at=ended_at)
    is_behind = case == "behind the head"
    queue(is_empty=not is_behind, head=datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC) if is_behind else None)
    held = [f"{run.id}.b.0.123"] if case == "held by a worker" else [f"{run.id}.bb.0.123"]
    connection.execute("UPDATE executor_workers SET held = %s WHERE id = %s", (held, worker_row))

    recovery.ReadySweep().recover(connection)

    assert statuses(run.id)["b"] == expected


def test_first_tasks_are_recovered_too(actor, connection, queue):
    run = start_run(actor, {"a": ""})
    connection.execute(*rerun(run, "a"))
    TaskExecution.objects.filter(run_id=run.id).update(created_at=LONG_AGO)
    queue()

    recovery.ReadySweep().recover(connection)

    assert statuses(run.id) == {"a": "queued"}
