"""Runs that begin later, and runs with a deadline."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.builders import definition, start_run, statuses, wait_for_end
from tests.integration.callers import Caller, served  # noqa: F401 - a fixture
from tests.integration.conftest import beat_process
from tests.integration.schedules import held_open, take
from workflows.catalog import services as catalog
from workflows.definition.document import Document
from workflows.dispatch import cancellation, pausing, publish, start, time_limits
from workflows.errors import InputsRefused, StartTimesRefused
from workflows.models import TaskExecution, WorkflowRun
from workflows.pauses import services as pauses
from workflows.pauses.services import PauseTarget
from workflows.runs import services as runs
from workflows.runs.statuses import Reason

LONG_AGO = "2020-01-01T00:00:00Z"
DAY = timedelta(days=1)


def apply(actor, tasks=None, **more):
    document = Document.of(definition(tasks or {"a": "", "b": "a"}, **more))
    return catalog.apply_definition(actor=actor, document=document)


def start_later(actor, *, start_at=DAY, **more):
    return runs.start_run(actor=actor, reference="test", inputs={}, start_at=start_at, **more)


def make_due(run, **columns):
    WorkflowRun.objects.filter(id=run.id).update(start_at=LONG_AGO, **columns)


def now_of(run):
    return WorkflowRun.objects.get(id=run.id)


def test_run_that_begins_later_is_there_at_once_without_tasks(actor, connection, sent):
    apply(actor)

    run = start_later(actor)
    start.start_due(connection)

    assert (run.status, run.reason, run.started_at) == ("pending", "delayed", None)
    assert DAY - timedelta(seconds=10) < run.start_at - run.created_at < DAY + timedelta(seconds=10)
    assert now_of(run).status == "pending"
    assert (statuses(run.id), sent) == ({}, [])


def test_run_begins_when_its_time_has_come(actor, connection, sent):
    apply(actor, timeout="1h")
    run = start_later(actor)
    make_due(run)

    assert start.start_due(connection) >= 1

    begun = now_of(run)
    assert (begun.status, begun.reason) == ("running", "")
    assert abs(begun.expires_at - begun.started_at - timedelta(hours=1)) < timedelta(seconds=1)
    assert statuses(run.id) == {"a": "queued", "b": "pending"}
    assert sent == ["a"]
    # Again, by whichever beat: it has begun.
    start.start_due(connection)
    assert sent == ["a"]


def test_two_beats_at_once_start_it_once(actor, connection, other, sent):
    apply(actor)
    run = start_later(actor)
    make_due(run)
    begin = "UPDATE workflow_runs SET status = 'running', reason = '', started_at = now() WHERE id = %s"

    with held_open(other, (begin, (run.id,))) as meanwhile:
        second = meanwhile(lambda: start.start_due(connection))

    second.result(10)
    assert (statuses(run.id), sent) == ({}, [])


def test_version_and_inputs_are_those_of_when_it_was_asked_for(actor, connection, sent):
    schema = {"who": {"type": "string", "default": "Ada"}}
    apply(actor, inputs=schema)
    run = start_later(actor)
    apply(actor, {"other": ""})
    catalog.archive_workflow(actor=actor, reference="test")
    make_due(run)

    start.start_due(connection)

    assert now_of(run).inputs == {"who": "Ada"}
    assert statuses(run.id) == {"a": "queued", "b": "pending"}


def test_wrong_inputs_are_refused_at_once(actor):
    apply(actor)

    with pytest.raises(InputsRefused):
        runs.start_run(actor=actor, reference="test", inputs={"x": 1}, start_at=DAY)

    assert not WorkflowRun.objects.filter(organization_id=actor.organization_id).exists()


def test_run_that_was_cancelled_before_its_start_never_begins(actor, connection, sent):
    apply(actor)
    run = start_later(actor)

    cancelled = runs.cancel_run(actor=actor, run_id=run.id)
    make_due(run)
    start.start_due(connection)
    again = runs.cancel_run(actor=actor, run_id=run.id)

    assert (cancelled.status, cancelled.reason, cancelled.started_at) == ("cancelled", "", None)
    assert cancelled.outcome == "cancelled"
    assert cancelled.finished_at is not None
    assert (again.status, statuses(run.id), sent) == ("cancelled", {}, [])


def test_run_that_is_being_cancelled_while_its_time_comes_does_not_begin(actor, connection, other, sent):
    apply(actor)
    run = start_later(actor)
    make_due(run)
    cancel = "UPDATE workflow_runs SET status = 'cancelled', hold = 2, finished_at = now() WHERE id = %s"

    with held_open(other, (cancel, (run.id,))) as meanwhile:
        beginning = meanwhile(lambda: start.start_due(connection))

    beginning.result(10)
    assert (now_of(run).status, statuses(run.id), sent) == ("cancelled", {}, [])


def test_run_that_is_being_paused_while_its_time_comes_does_not_begin(actor, connection, other, sent):
    apply(actor)
    run = start_later(actor)
    make_due(run)
    pausing = ("UPDATE workflow_runs SET hold = 1 WHERE id = %s", (run.id,))

    with held_open(other, pausing) as meanwhile:
        meanwhile(lambda: start.start_due(connection))

    assert (now_of(run).status, now_of(run).reason, statuses(run.id)) == ("pending", "delayed", {})


def test_run_that_begins_while_it_is_being_cancelled_is_cancelled_with_its_tasks(actor, connection, other, sent):
    apply(actor)
    run = start_later(actor)
    begin = (start._BEGIN, {"run_id": run.id, "version_id": run.workflow_version_id, "timeout": None})
    WorkflowRun.objects.filter(id=run.id).update(start_at=LONG_AGO)

    with held_open(other, begin) as meanwhile:
        cancelling = meanwhile(lambda: cancellation.stop_run(connection, run.id, Reason.CANCELLING))

    assert cancelling.result(10) == "running"
    assert now_of(run).status == "cancelled"
    assert statuses(run.id) == {"a": "cancelled", "b": "cancelled"}


def test_process_that_dies_after_the_start_leaves_queued_tasks_for_recovery(actor, connection, monkeypatch):
    apply(actor)
    run = start_later(actor)
    make_due(run)

    def die(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(publish, "publish", die)
    with pytest.raises(KeyboardInterrupt):
        start.start_due(connection)

    assert (now_of(run).status, statuses(run.id)) == ("running", {"a": "queued", "b": "pending"})


@pytest.mark.parametrize("target", ["run", "workflow", "queue", "organization"])
def test_run_that_is_paused_when_its_time_comes_goes_on_after_the_pause(actor, connection, sent, target):
    apply(actor)
    run = start_later(actor)
    values = {"run": {"run_id": run.id}, "workflow": {"workflow": "test"}, "queue": {"queue": "maestro"}}
    paused = PauseTarget(**values.get(target, {}))
    pauses.pause(actor=actor, target=paused, reason="")
    make_due(run)

    start.start_due(connection)
    # Tasks in a queue wait there; whatever else is paused does not even begin.
    assert now_of(run).status == ("running" if target == "queue" else "pending")
    assert take(connection, run, "a") is None
    pauses.resume(actor=actor, target=paused)
    start.start_due(connection)

    assert (now_of(run).status, now_of(run).hold) == ("running", 0)
    assert statuses(run.id) == {"a": "queued", "b": "pending"}
    assert set(sent) == {"a"}
    assert take(connection, run, "a") is not None


def test_run_that_is_to_begin_later_and_was_started_during_a_pause_is_held_before_its_time(actor, connection, sent):
    apply(actor)
    pauses.pause(actor=actor, target=PauseTarget(), reason="")
    run = start_later(actor)
    WorkflowRun.objects.filter(id=run.id).update(created_at=run.created_at - timedelta(minutes=1))

    pausing.UnheldStarts().hold(connection)
    make_due(run)
    start.start_due(connection)

    assert (now_of(run).status, now_of(run).hold, statuses(run.id)) == ("pending", 1, {})


def test_start_that_is_past_is_now(actor, sent):
    apply(actor)

    run = start_later(actor, start_at=datetime(2020, 1, 1, tzinfo=UTC))

    assert (run.status, run.start_at, sent) == ("running", None, ["a"])


def test_index_finds_what_is_due(actor, connection):
    with connection.transaction(force_rollback=True):
        connection.execute(
            """
            INSERT INTO workflow_runs (
                id, organization_id, environment_id, workflow_id, workflow_version_id, trigger_type, status, reason,
                hold, inputs, error_message, start_at
            )
            SELECT gen_random_uuid(), organization_id, environment_id, workflow_id, workflow_version_id, 'manual',
                   'pending', 'delayed', 0, '{}', '', clock_timestamp() + interval '1 day'
            FROM workflow_runs, generate_series(1, 5000) WHERE id = %s
            """,
            (start_run(actor, {"a": ""}).id,),
        )
        connection.execute("ANALYZE workflow_runs")
        plan = connection.execute(f"EXPLAIN {start._FIND_DUE}", {"limit": 1}).fetchall()

    assert "idx_workflow_runs_due" in str(plan)


@pytest.mark.parametrize(
    ("timeout", "deadline", "allowed"), [("1h", "2h", 1), ("2h", "1h", 1), (None, "3h", 3)], ids=str
)
def test_run_is_ended_by_its_timeout_or_its_deadline_whichever_is_first(actor, sent, timeout, deadline, allowed):
    apply(actor, **({} if timeout is None else {"timeout": timeout}))

    run = start_later(actor, start_at=None, deadline=timedelta(hours=int(deadline[0])))

    seconds = (run.expires_at - run.started_at).total_seconds()
    assert seconds == pytest.approx(allowed * 3600, abs=10)


def test_run_that_is_not_over_by_its_deadline_fails_and_says_so(actor, connection, sent):
    apply(actor, timeout="2h")
    run = start_later(actor, start_at=None, deadline=timedelta(hours=1))
    WorkflowRun.objects.filter(id=run.id).update(expires_at=LONG_AGO, deadline_at=LONG_AGO)

    time_limits.end_overdue(connection)

    ended = now_of(run)
    assert (ended.status, ended.reason) == ("failed", "timed_out")
    assert ended.error_message == "The run was not over by its deadline, 2020-01-01 00:00:00Z."


def test_run_that_begins_after_its_deadline_is_ended_at_once(actor, connection, sent):
    apply(actor)
    run = start_later(actor, deadline=timedelta(hours=1))
    make_due(run, deadline_at=LONG_AGO)

    start.start_due(connection)
    time_limits.end_overdue(connection)

    assert now_of(run).error_message == "The run was not over by its deadline, 2020-01-01 00:00:00Z."
    assert statuses(run.id) == {"a": "cancelled", "b": "cancelled"}


def test_run_whose_deadline_came_before_its_start_does_no_work_but_has_its_hooks_tell(actor, connection, sent):
    apply(actor, on_failure={"tell": {"uses": "noop"}})
    run = start_later(actor, deadline=timedelta(hours=1))
    make_due(run, deadline_at=LONG_AGO)

    start.start_due(connection)
    assert (now_of(run).status, sent) == ("pending", [])
    time_limits.end_overdue(connection)

    assert (now_of(run).status, now_of(run).outcome, now_of(run).section) == ("running", "failed", "on_failure")
    assert now_of(run).started_at is not None
    assert statuses(run.id) == {"a": "cancelled", "b": "cancelled", "tell": "queued"}
    assert sent == ["tell"]


@pytest.mark.parametrize("target", ["run", "workflow", "organization"])
def test_deadline_ends_a_run_that_is_paused_before_its_start(actor, connection, sent, target):
    apply(actor)
    run = start_later(actor, deadline=timedelta(hours=1))
    values = {"run": {"run_id": run.id}, "workflow": {"workflow": "test"}}
    pauses.pause(actor=actor, target=PauseTarget(**values.get(target, {})), reason="")
    make_due(run)
    time_limits.end_overdue(connection)
    assert now_of(run).status == "pending"
    make_due(run, deadline_at=LONG_AGO)

    time_limits.end_overdue(connection)

    ended = now_of(run)
    assert (ended.status, ended.reason) == ("failed", "timed_out")
    assert ended.error_message == "The run was not over by its deadline, 2020-01-01 00:00:00Z."
    assert (statuses(run.id), sent) == ({"a": "cancelled", "b": "cancelled"}, [])


def test_run_whose_deadline_is_still_to_come_is_not_ended_by_it(actor, connection, sent):
    """The clock was set back since somebody saw that it had come."""
    apply(actor)
    run = start_later(actor, deadline=timedelta(hours=1))

    cancellation.stop_run(connection, run.id, Reason.TIMED_OUT)

    assert (now_of(run).status, now_of(run).hold, statuses(run.id)) == ("pending", 0, {})


def test_hooks_of_a_run_that_its_deadline_ends_before_its_start_wait_for_the_end_of_a_pause(actor, connection, sent):
    apply(actor, on_failure={"tell": {"uses": "noop"}})
    run = start_later(actor, deadline=timedelta(hours=1))
    pauses.pause(actor=actor, target=PauseTarget(workflow="test"), reason="")
    make_due(run, deadline_at=LONG_AGO)

    time_limits.end_overdue(connection)
    assert (now_of(run).reason, now_of(run).outcome, sent) == ("paused", "failed", [])
    pauses.resume(actor=actor, target=PauseTarget(workflow="test"))

    assert (now_of(run).reason, sent) == ("hooks", ["tell"])


def test_run_that_is_cancelled_while_its_deadline_ends_it_never_begins(actor, connection, other, sent):
    apply(actor)
    run = start_later(actor, deadline=timedelta(hours=1))
    make_due(run, deadline_at=LONG_AGO)
    cancel = "UPDATE workflow_runs SET status = 'cancelled', hold = 2, finished_at = now() WHERE id = %s"

    with held_open(other, (cancel, (run.id,))) as meanwhile:
        ending = meanwhile(lambda: time_limits.end_overdue(connection))

    ending.result(10)
    assert (now_of(run).status, statuses(run.id)) == ("cancelled", {})


def test_deadline_that_is_past_is_refused_and_nothing_started(actor):
    apply(actor)

    with pytest.raises(StartTimesRefused):
        start_later(actor, start_at=None, deadline=datetime(2020, 1, 1, tzinfo=UTC))

    assert not WorkflowRun.objects.filter(organization_id=actor.organization_id).exists()


@pytest.mark.usefixtures("served", "sent")
def test_times_are_taken_and_told_by_the_api(actor):
    apply(actor)
    body = {"start_at": (datetime.now(UTC) + DAY).isoformat(), "deadline": "45m"}

    answer = Caller(actor).post("/workflows/test/runs", body)

    run = answer.json()
    assert (answer.status_code, run["status"], run["reason"]) == (201, "pending", "delayed")
    begins, ends = (datetime.fromisoformat(run[name]) for name in ("start_at", "deadline_at"))
    assert begins == datetime.fromisoformat(body["start_at"])
    assert ends - begins == timedelta(minutes=45)


@pytest.mark.usefixtures("served", "sent")
@pytest.mark.parametrize(
    ("body", "path", "message"),
    [
        ({"start_at": "tomorrow"}, "start_at", "must be a date and time with its zone, such as 2030-01-31T08:00:00Z"),
        ({"start_at": "2030-01-31T08:00:00"}, "start_at", "must be a date and time with its zone, such as "),
        ({"start_at": 7}, "start_at", "must be a date and time with its zone"),
        ({"start_at": "0001-01-01T00:00:00+23:00"}, "start_at", "must be a date and time with its zone"),
        ({"start_at": "9999-01-31T08:00:00Z"}, "start_at", "must be within 366 days from now"),
        ({"delay": "soon"}, "delay", "must be a duration such as 90s, 5m, 2h or 1d, or a number of seconds"),
        ({"delay": "400d"}, "delay", "must be at most 366 days"),
        ({"delay": 1e300}, "delay", "must be at most 366 days"),
        ({"delay": "1s", "start_at": "2030-01-31T08:00:00Z"}, "delay", "says when the run begins, and so does"),
        ({"deadline": "later"}, "deadline", "must be a date and time with its zone, such as 2030-01-31T08:00:00Z, or"),
        ({"deadline": "2020-01-31T08:00:00Z"}, "deadline", "is past: give a time that is still to come"),
        ({"deadline": True}, "deadline", "must be a date and time with its zone"),
    ],
)
def test_wrong_time_is_refused_by_name(actor, body, path, message):
    apply(actor)

    answer = Caller(actor).post("/workflows/test/runs", body)

    assert answer.status_code == 422
    assert [(error["path"], error["message"][: len(message)]) for error in answer.json()["errors"]] == [(path, message)]
    assert not WorkflowRun.objects.filter(organization_id=actor.organization_id).exists()


def test_delayed_run_begins_after_its_time_by_a_real_beat_and_ends(actor, worker, tmp_path):
    apply(actor)
    run = start_later(actor, start_at=timedelta(seconds=2))

    with beat_process(tmp_path / "beat.log"):
        ended = wait_for_end(run.id)

    assert ended.status == "succeeded"
    assert ended.started_at >= ended.start_at
    assert TaskExecution.objects.filter(run_id=run.id, status="succeeded").count() == 2
