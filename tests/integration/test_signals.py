"""Signals: each ends one wait, before or after it begins, whoever else is at the run; and what is refused."""

from datetime import timedelta

import psycopg
import pytest
from django.db import connection as django_connection
from psycopg.types.json import Jsonb

from accounts.models import User
from executors.models import TaskLogLine
from maestro.core.clock import say_time
from tests.builders import definition, make_actor, start_run, statuses, wait_for_end
from tests.integration.calls import execute
from tests.integration.schedules import held_open, hold, row, take
from workflows.catalog import services as catalog
from workflows.definition.document import Document
from workflows.dispatch import cancellation, signals, start, waits
from workflows.errors import (
    PayloadRefused,
    RunAlreadyFinished,
    RunIsEnding,
    RunNotFound,
    SignalKeyReused,
    SignalNotAwaited,
    SignalUnknown,
)
from workflows.models import RunSignal, TaskExecution, WorkflowRun
from workflows.parking import services
from workflows.pauses import services as pauses
from workflows.pauses.services import PauseTarget
from workflows.runs import services as runs
from workflows.runs.statuses import Reason

AMOUNT = {"type": "object", "properties": {"amount": {"type": "number"}}, "required": ["amount"]}
LONG_AGO = "2020-01-01T00:00:00Z"


def waiting(more=None, **options):
    return {"uses": "signal", "with": options, **(more or {})}


def send(actor, run, name="a", payload=None, key=""):
    return services.send_signal(actor=actor, run_id=run.id, name=name, payload=payload, key=key)


def make_due(run):
    TaskExecution.objects.filter(run_id=run.id, status="waiting").update(wake_at=LONG_AGO)


def taken_by(run):
    """Payload → key of the task that took it, of all signals in the order they came."""
    return {
        str(each.payload): each.task_execution and each.task_execution.task_key
        for each in RunSignal.objects.filter(run=run).select_related("task_execution").order_by("id")
    }


def storing(run, name="a", payload=1, key=""):
    """What a sender writes."""
    return (
        "INSERT INTO run_signals (organization_id, run_id, name, payload, key) VALUES (%s, %s, %s, %s, %s)",
        (run.organization_id, run.id, name, Jsonb(payload), key),
    )


def locking(run):
    return "SELECT FROM workflow_runs WHERE id = %s FOR NO KEY UPDATE", (run.id,)


def send_in_thread(actor, run, **more):
    try:
        return send(actor, run, **more)
    finally:
        django_connection.close()


def test_signal_ends_the_wait_and_its_payload_is_the_output(actor, sent):
    run = start_run(actor, {"a": waiting(name="payment", schema=AMOUNT), "b": "a"})
    execute(run)
    assert statuses(run.id) == {"a": "waiting (signal)", "b": "pending"}

    signal = send(actor, run, "payment", {"amount": 3})

    assert statuses(run.id) == {"a": "succeeded", "b": "queued"}
    assert (row(run, "a").output, row(run, "a").wake_at, sent[-1]) == ({"amount": 3}, None, "b")
    assert (signal.task_execution.task_key, signal.user_id) == ("a", actor.user_id)


def test_signal_sent_before_the_wait_ends_it_as_soon_as_it_begins(actor, sent):
    run = start_run(actor, {"a": waiting(), "b": "a"})
    send(actor, run, payload=[1])

    execute(run)

    assert (statuses(run.id), row(run, "a").output) == ({"a": "succeeded", "b": "queued"}, [1])


def test_payload_is_completed_by_its_schema(actor, sent):
    schema = {"type": "object", "properties": {"currency": {"type": "string", "default": "EUR"}}}
    run = start_run(actor, {"a": waiting(schema=schema)})
    execute(run)

    send(actor, run, payload={})

    assert row(run, "a").output == {"currency": "EUR"}
    assert WorkflowRun.objects.get(id=run.id).status == "succeeded"


def test_signal_that_commits_while_its_task_parks_is_taken(actor, other, sent):
    run = start_run(actor, {"a": waiting(), "b": "a"})

    with held_open(other, locking(run), storing(run, payload=7)):
        # It parks, and does not see the signal: nobody waits for the sender, who looks after the commit.
        execute(run)
        assert statuses(run.id)["a"] == "waiting (signal)"
    signals.take(other, run.id)

    assert (statuses(run.id), row(run, "a").output) == ({"a": "succeeded", "b": "queued"}, 7)


def test_task_that_parks_while_its_signal_is_sent_takes_it(actor, connection, sent):
    run = start_run(actor, {"a": waiting(), "b": "a"})
    claimed = take(connection, run, "a")
    park = (
        """
        UPDATE task_executions SET status = 'waiting', reason = 'signal', waits_for = '{"name": "a"}' WHERE id = %s
        """,
        (claimed.id,),
    )

    with held_open(connection, park):
        # The sender does not see the wait, and stores the signal; the task looks after its commit.
        send(actor, run, payload=7)
        assert statuses(run.id)["a"] == "running"
    signals.take(connection, run.id)

    assert (statuses(run.id), row(run, "a").output) == ({"a": "succeeded", "b": "queued"}, 7)


def test_signal_that_another_takes_meanwhile_is_not_taken_twice(actor, connection, other, sent):
    run = start_run(actor, {"a": waiting(name="x"), "b": waiting(name="x")})
    execute(run, "b")
    TaskExecution.objects.filter(run_id=run.id, task_key="b").update(hold=1)
    send(actor, run, "x", 1)
    TaskExecution.objects.filter(run_id=run.id, task_key="b").update(hold=0)
    # The first task has parked since, and has taken it; the row of the second is held as well.
    held = ("SELECT FROM task_executions WHERE id = %s FOR NO KEY UPDATE", (row(run, "b").id,))
    end = ("UPDATE task_executions SET status = 'succeeded' WHERE id = %s", (row(run, "a").id,))
    mark = ("UPDATE run_signals SET taken_at = now() WHERE run_id = %s", (run.id,))

    with held_open(other, locking(run), held, end, mark) as meanwhile:
        # It has seen the signal, and the second task that waits.
        look = meanwhile(lambda: signals.take(connection, run.id))

    assert look.result() == 0
    assert statuses(run.id) == {"a": "succeeded", "b": "waiting (signal)"}


def test_one_signal_ends_one_of_two_waits_and_the_oldest_signal_is_taken_first(actor, sent):
    run = start_run(actor, {"a": waiting(name="x"), "b": waiting(name="x"), "c": "b"})
    send(actor, run, "x", "first")
    send(actor, run, "x", "second")

    execute(run, "b")
    assert taken_by(run) == {"first": "b", "second": None}
    execute(run, "a")

    assert taken_by(run) == {"first": "b", "second": "a"}
    assert statuses(run.id) == {"a": "succeeded", "b": "succeeded", "c": "queued"}


def test_of_two_tasks_that_wait_the_first_takes_the_signal(actor, sent):
    run = start_run(actor, {"a": waiting(name="x"), "b": waiting(name="x")})
    execute(run, "b")
    execute(run, "a")

    send(actor, run, "x", 1)

    assert statuses(run.id) == {"a": "succeeded", "b": "waiting (signal)"}


def test_signal_of_another_name_ends_no_wait(actor, sent):
    run = start_run(actor, {"a": waiting(name="x"), "b": waiting(name="y")})
    execute(run, "a")
    execute(run, "b")

    send(actor, run, "y", 1)

    assert statuses(run.id) == {"a": "waiting (signal)", "b": "succeeded"}


def test_signal_sent_again_with_its_id_is_the_same(actor, sent):
    run = start_run(actor, {"a": waiting()})
    execute(run)

    first, again = (send(actor, run, payload={"n": 1}, key="order-7") for _ in range(2))

    assert first.id == again.id
    assert RunSignal.objects.filter(run=run).count() == 1
    assert WorkflowRun.objects.get(id=run.id).status == "succeeded"


@pytest.mark.parametrize(("name", "payload"), [("a", {"n": 2}), ("b", {"n": 1})])
def test_another_signal_with_the_same_id_is_refused(actor, sent, name, payload):
    run = start_run(actor, {"a": waiting(), "b": waiting()})
    send(actor, run, "a", {"n": 1}, "order-7")

    with pytest.raises(SignalKeyReused, match="order-7"):
        send(actor, run, name, payload, "order-7")

    assert RunSignal.objects.filter(run=run).count() == 1


def test_two_who_send_with_one_id_at_once_send_one(actor, other, sent):
    run = start_run(actor, {"a": waiting(), "b": "a"})

    with held_open(other, locking(run), storing(run, key="k")) as meanwhile:
        sent_again = meanwhile(lambda: send_in_thread(actor, run, payload=1, key="k"))

    assert sent_again.result().key == "k"
    assert RunSignal.objects.filter(run=run).count() == 1


def test_unknown_signal_is_refused_and_the_known_are_named(actor, sent):
    run = start_run(actor, {"a": waiting(name="payment"), "b": waiting()})

    with pytest.raises(SignalUnknown, match="waits for no signal 'paymnt'; did you mean \"payment\""):
        send(actor, run, "paymnt")
    with pytest.raises(SignalUnknown, match="there are payment, b"):
        send(actor, run, "zzz")


def test_run_without_signals_says_so(actor, sent):
    run = start_run(actor, {"a": ""})

    with pytest.raises(SignalUnknown, match="no task of the kind `signal`"):
        send(actor, run)


def test_payload_that_does_not_fit_is_refused_with_all_problems(actor, sent):
    schema = AMOUNT | {"additionalProperties": False}
    run = start_run(actor, {"a": waiting(schema=schema)})
    execute(run)

    with pytest.raises(PayloadRefused) as refused:
        send(actor, run, payload={"amuont": "x"})

    problems = {(each["path"], each["code"]) for each in refused.value.details["errors"]}
    assert problems == {("payload", "missing_key"), ("payload", "unknown_key")}
    assert not RunSignal.objects.filter(run=run).exists()
    assert statuses(run.id)["a"] == "waiting (signal)"


@pytest.mark.parametrize("payload", ["\0", 2**70, "x" * 1_100_000])
def test_payload_that_cannot_be_kept_is_refused(actor, sent, payload):
    run = start_run(actor, {"a": waiting()})

    with pytest.raises(PayloadRefused):
        send(actor, run, payload=payload)


def test_payload_that_its_schema_makes_too_large_is_refused(actor, sent):
    schema = {"type": "object", "properties": {"more": {"type": "string", "default": "x" * 60_000}}}
    run = start_run(actor, {"a": waiting(schema=schema)})

    with pytest.raises(PayloadRefused, match="at most 1,048,576 are allowed"):
        send(actor, run, payload={"text": "x" * 1_000_000})

    assert not RunSignal.objects.filter(run=run).exists()


def test_signal_more_than_tasks_wait_for_is_refused(actor, sent):
    run = start_run(actor, {"a": waiting(), "b": ""})
    send(actor, run)

    with pytest.raises(SignalNotAwaited, match="has one already"):
        send(actor, run)
    execute(run)
    with pytest.raises(SignalNotAwaited, match="no task that waits for it is left"):
        send(actor, run)

    assert RunSignal.objects.filter(run=run).count() == 1


def test_signals_that_nobody_took_leave_room_for_those_of_other_names(actor, sent):
    run = start_run(actor, {"a": waiting(name="x"), "b": waiting(name="y")})
    send(actor, run, "x")

    send(actor, run, "y")

    assert list(RunSignal.objects.filter(run=run, taken_at=None).values_list("name", flat=True)) == ["x", "y"]


def test_run_that_is_over_takes_no_signal_but_knows_one_it_took(actor, sent):
    run = start_run(actor, {"a": waiting()})
    execute(run)
    send(actor, run, key="k")

    with pytest.raises(RunAlreadyFinished, match="has succeeded already"):
        send(actor, run)
    assert send(actor, run, key="k").task_execution.task_key == "a"


def test_run_that_is_being_cancelled_takes_no_signal(actor, connection, sent):
    run = start_run(actor, {"a": waiting(), "b": ""})
    take(connection, run, "b")
    runs.cancel_run(actor=actor, run_id=run.id)

    with pytest.raises(RunIsEnding):
        send(actor, run)


def test_run_of_another_organization_is_not_found(actor, sent):
    run = start_run(actor, {"a": waiting()})

    with pytest.raises(RunNotFound):
        send(make_actor(), run)

    assert not RunSignal.objects.filter(run=run).exists()


def test_wait_ends_with_its_default_when_its_time_is_over(actor, connection, sent):
    run = start_run(actor, {"a": waiting(schema=AMOUNT, timeout="2d", default={"amount": 0}), "b": "a"})
    execute(run)
    assert timedelta(days=2) <= row(run, "a").wake_at - row(run, "a").started_at < timedelta(days=2, hours=1)

    make_due(run)
    waits.end_due(connection)

    assert (statuses(run.id), row(run, "a").output) == ({"a": "succeeded", "b": "queued"}, {"amount": 0})


def test_default_may_be_null(actor, connection, sent):
    run = start_run(actor, {"a": waiting(timeout="2d", default=None)})
    execute(run)

    make_due(run)
    waits.end_due(connection)

    assert (statuses(run.id)["a"], row(run, "a").output) == ("succeeded", None)


def test_wait_without_a_default_fails_when_its_time_is_over(actor, connection, sent):
    run = start_run(actor, {"a": waiting(name="x", timeout="90s")})
    execute(run)

    make_due(run)
    waits.end_due(connection)

    assert (row(run, "a").status, row(run, "a").error_code) == ("failed", "signal_timeout")
    assert row(run, "a").error_message == "No signal 'x' came within the 90 s that the task waits."


def test_task_that_is_tried_again_waits_anew(actor, connection, sent):
    run = start_run(actor, {"a": waiting({"retry": {"max_attempts": 2, "delay": 0}}, timeout="2d")})
    execute(run)
    make_due(run)
    waits.end_due(connection)
    assert statuses(run.id) == {"a": "waiting (retry_backoff)"}

    send(actor, run, payload=5)
    assert statuses(run.id) == {"a": "waiting (retry_backoff)"}
    TaskExecution.objects.filter(run_id=run.id).update(status="queued", reason="")
    execute(run)

    assert (statuses(run.id), row(run, "a").output) == ({"a": "succeeded"}, 5)


def test_signal_that_comes_while_the_time_is_ended_loses_and_stays(actor, connection, other, sent):
    run = start_run(actor, {"a": waiting(timeout="2d"), "b": waiting({"needs": ["a"], "run_if": "all_done"}, name="a")})
    execute(run)
    time_is_over = (
        (
            "UPDATE task_executions SET status = 'failed', reason = '', finished_at = now() WHERE run_id = %s"
            " AND task_key = 'a'"
        ),
        (run.id,),
    )

    with held_open(other, time_is_over) as meanwhile:
        sending = meanwhile(lambda: send_in_thread(actor, run, payload=1))

    assert sending.result().task_execution is None
    assert statuses(run.id)["a"] == "failed"
    execute(run, "b")
    assert taken_by(run) == {"1": "b"}


def test_time_that_is_ended_while_a_signal_is_taken_loses(actor, connection, other, sent):
    run = start_run(actor, {"a": waiting(timeout="2d")})
    execute(run)
    make_due(run)
    signal_comes = (
        (
            "UPDATE task_executions SET status = 'succeeded', reason = '', output = '1', finished_at = now()"
            " WHERE run_id = %s"
        ),
        (run.id,),
    )

    with held_open(other, signal_comes) as meanwhile:
        ended = meanwhile(lambda: waits.end_due(connection))

    assert ended.result() == 0
    assert (row(run, "a").status, row(run, "a").output) == ("succeeded", 1)


def test_signal_for_a_run_that_is_being_cancelled_meanwhile_is_refused(actor, other, sent):
    run = start_run(actor, {"a": waiting(), "b": "a"})
    execute(run)
    lock = ("UPDATE workflow_runs SET hold = 2, reason = 'cancelling' WHERE id = %s", (run.id,))

    with held_open(other, lock, hold(run, 2)) as meanwhile:
        sending = meanwhile(lambda: send_in_thread(actor, run))

    with pytest.raises(RunIsEnding):
        sending.result()
    assert not RunSignal.objects.filter(run=run).exists()


def test_cancel_while_a_signal_is_stored_leaves_it_untaken(actor, connection, other, sent):
    run = start_run(actor, {"a": waiting(), "b": "a"})
    execute(run)

    with held_open(other, locking(run), storing(run)) as meanwhile:
        meanwhile(lambda: cancellation.stop_run(connection, run.id, Reason.CANCELLING))
    signals.take(other, run.id)

    assert statuses(run.id) == {"a": "cancelled", "b": "cancelled"}
    assert taken_by(run) == {"1": None}
    assert WorkflowRun.objects.get(id=run.id).status == "cancelled"


def test_signal_for_a_task_that_is_paused_is_taken_at_the_resume(actor, sent):
    run = start_run(actor, {"a": waiting(), "b": "a"})
    execute(run)
    target = PauseTarget(run_id=run.id)
    pauses.pause(actor=actor, target=target, reason="")

    send(actor, run, payload=1)
    assert statuses(run.id)["a"] == "waiting (signal)"

    pauses.resume(actor=actor, target=target)
    assert statuses(run.id) == {"a": "succeeded", "b": "queued"}


def test_run_that_begins_later_takes_signals_before(actor, connection, sent):
    document = Document.of(definition({"a": waiting()}))
    workflow = catalog.apply_definition(actor=actor, document=document).workflow
    run = runs.start_run(actor=actor, reference=str(workflow.id), inputs={}, start_at=timedelta(days=1))

    send(actor, run, payload=1)
    with pytest.raises(SignalNotAwaited):
        send(actor, run, payload=2)
    WorkflowRun.objects.filter(id=run.id).update(start_at=LONG_AGO)
    start.start_due(connection)
    execute(run)

    assert row(run, "a").output == 1


def test_signal_for_a_hook_may_come_before_the_hook_begins(actor, sent):
    run = start_run(actor, {"a": ""}, **{"finally": {"agreed": waiting()}})

    send(actor, run, "agreed", "early")
    with pytest.raises(SignalNotAwaited):
        send(actor, run, "agreed", "too many")
    execute(run, "a")
    execute(run, "agreed")

    assert taken_by(run) == {"early": "agreed"}
    assert statuses(run.id)["agreed"] == "succeeded"


def test_signal_for_a_hook_that_will_not_run_is_refused(actor, sent):
    hooks = {"on_failure": {"refused": waiting()}, "on_success": {"a_last": waiting()}, "finally": {"clean": waiting()}}
    run = start_run(actor, {"a": ""}, **hooks)
    execute(run)
    assert statuses(run.id) == {"a": "succeeded", "a_last": "queued"}

    with pytest.raises(SignalNotAwaited, match="no task that waits for it is left"):
        send(actor, run, "refused")

    assert send(actor, run, "clean").taken_at is None
    assert send(actor, run, "a_last").taken_at is None


def test_wait_that_is_paused_while_a_signal_is_taken_goes_on(actor, connection, other, sent):
    run = start_run(actor, {"a": waiting(), "b": "a"})
    execute(run)

    with held_open(other, hold(run, 1)) as meanwhile:
        meanwhile(lambda: send_in_thread(actor, run, payload=1))

    assert statuses(run.id) == {"a": "waiting (signal)", "b": "pending"}
    assert taken_by(run) == {"1": None}


@pytest.mark.parametrize("is_sent_first", [True, False])
def test_signal_that_nobody_lived_to_take_is_taken_by_the_tick(actor, connection, sent, monkeypatch, is_sent_first):
    run = start_run(actor, {"a": waiting(), "b": "a"})
    with monkeypatch.context() as dead:
        dead.setattr(signals, "take", lambda connection, run_id: 0)
        if is_sent_first:
            send(actor, run, payload=1)
            execute(run)
        else:
            execute(run)
            send(actor, run, payload=1)
    assert statuses(run.id)["a"] == "waiting (signal)"

    RunSignal.objects.filter(run=run).update(received_at=LONG_AGO)
    assert signals.take_forgotten(connection) >= 1

    assert statuses(run.id) == {"a": "succeeded", "b": "queued"}
    assert taken_by(run) == {"1": "a"}


def test_end_of_a_wait_that_is_not_marked_is_not_written(actor, connection, sent, monkeypatch):
    run = start_run(actor, {"a": waiting()})
    execute(run)
    monkeypatch.setattr(signals, "_MARK_TAKEN", "SELECT 1 / 0 WHERE %(signal_id)s > 0 AND %(task_id)s > 0")

    with pytest.raises(psycopg.errors.DivisionByZero):
        send(actor, run, payload=1)

    assert statuses(run.id)["a"] == "waiting (signal)"
    assert taken_by(run) == {"1": None}


def test_secrets_of_a_run_are_not_in_what_its_task_waits_for(actor, sent):
    password = {"type": "string", "writeOnly": True}
    run = start_run(
        actor,
        {"a": {"uses": "approval", "with": {"message": "Use ${{ inputs.password }}?"}}},
        inputs={"password": password},
        given={"password": "open-sesame"},
    )

    execute(run)

    assert row(run, "a").waits_for["message"] == "Use ••••••?"
    assert "sesame" not in str(row(run, "a").waits_for)


def test_signals_end_waits_on_real_workers(actor, worker, beat):
    tasks = {"a": waiting(name="x"), "b": waiting({"needs": ["a"]}, timeout="1s", default="late"), "c": "a b"}
    run = start_run(actor, tasks, outputs={"a": "${{ tasks.a.output }}", "b": "${{ tasks.b.output }}"})

    send(actor, run, "x", {"n": 1})

    ended = wait_for_end(run.id)
    assert (ended.status, ended.outputs) == ("succeeded", {"a": {"n": 1}, "b": "late"})


def test_signal_that_is_taken_is_in_the_log_of_its_task_without_its_payload(actor, sent):
    run = start_run(actor, {"a": waiting()})
    execute(run)

    signal = send(actor, run, payload={"card": "4111"})

    [_, line] = TaskLogLine.objects.filter(run_id=run.id, task_key="a").order_by("id")
    sender = User.objects.get(id=actor.user_id).email
    said = f"Took the signal a, sent by {sender} at {say_time(signal.received_at)}."
    assert (line.attempt, line.stream, line.message) == (1, "log", said)


def test_signal_that_breaks_the_contract_of_its_task_is_refused_and_the_next_one_is_taken(actor, sent):
    run = start_run(actor, {"a": waiting({"output": {"type": "integer", "minimum": 1}})})
    execute(run)

    with pytest.raises(PayloadRefused):
        send(actor, run, payload=0)

    assert (RunSignal.objects.filter(run=run).count(), statuses(run.id)) == (0, {"a": "waiting (signal)"})
    send(actor, run, payload=1)
    assert (statuses(run.id), row(run, "a").output) == ({"a": "succeeded"}, 1)


def test_wait_that_its_time_ends_says_so_in_the_log(actor, connection, sent):
    run = start_run(actor, {"a": waiting(timeout="2d", default=0)})
    execute(run)
    make_due(run)

    waits.end_due(connection)

    assert TaskLogLine.objects.filter(run_id=run.id, task_key="a").latest("id").message == "No signal came in time."
