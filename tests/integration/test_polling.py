"""Tasks that ask until an answer says what it should: how an attempt goes on over many requests."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest

from executors.models import TaskLogLine
from executors.pools import lease
from tests.builders import start_run, statuses, wait_for_end
from tests.integration.calls import execute
from tests.integration.schedules import SUCCEEDED, held_open, hold, row, task_of
from tests.unit.executors.outgoing.server import http_answer, serving
from workflows.dispatch import claim, finish, leases, retry, time_limits
from workflows.dispatch.messages import Holder
from workflows.models import TaskAttempt, TaskExecution, WorkflowRun
from workflows.runs import services as runs

LONG_AGO = "2020-01-01T00:00:00Z"


class Job:
    """What a service says of a job: the states one after the other, the last one for ever."""

    def __init__(self, *states):
        self._states = list(states)

    def __call__(self, request):
        state = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        if state is None:
            return http_answer(status="500 Internal Server Error")
        return http_answer(json.dumps({"state": state}).encode(), headers="Content-Type: application/json\r\n")


def asking(server, more=None, **options):
    poll = {"every": "1s", "until": {"body": {"state": "done"}}, "fail_if": {"body": {"state": "failed"}}}
    return {"uses": "http", "with": {"url": server.url, "poll": poll, **options}, **(more or {})}


def wake(connection, run):
    TaskExecution.objects.filter(run_id=run.id, status="waiting").update(wake_at=LONG_AGO)
    retry.wake_due(connection)


@pytest.mark.usefixtures("sent")
class TestSteps:
    def test_one_attempt_asks_until_the_answer_is_right(self, actor, connection, sent):
        with serving(Job("waiting", "running", "running", "done")) as server:
            run = start_run(actor, {"a": asking(server), "b": "a"})
            execute(run)
            began = row(run, "a")
            assert statuses(run.id) == {"a": "waiting (poll)", "b": "pending"}
            assert began.wake_at - began.started_at >= timedelta(seconds=1)
            for _ in range(3):
                wake(connection, run)
                execute(run)

        ended = row(run, "a")
        assert statuses(run.id) == {"a": "succeeded", "b": "queued"}
        assert ended.output["body"] == {"state": "done"}
        assert (ended.attempt, ended.tries, ended.started_at) == (1, 0, began.started_at)
        assert len(server.requests) == 4
        assert not TaskAttempt.objects.filter(task_execution=ended).exists()
        said = TaskLogLine.objects.filter(run_id=run.id).order_by("id").values_list("message", flat=True)
        states = [line.rpartition("state: ")[2] for line in said if "state: " in line]
        assert states == ['"waiting".', '"running".', '"done".']

    def test_answer_that_ends_the_waiting_fails_the_task(self, actor, connection, sent):
        with serving(Job("running", "failed")) as server:
            run = start_run(actor, {"a": asking(server, {"retry": {"max_attempts": 3, "delay": 0}})})
            execute(run)
            wake(connection, run)
            execute(run)

        assert (row(run, "a").status, row(run, "a").error_code, row(run, "a").tries) == ("failed", "poll_failed", 1)

    def test_answer_that_is_not_expected_is_a_failure_like_any_other(self, actor, connection, sent):
        with serving(Job("running", None, "running", "done")) as server:
            run = start_run(actor, {"a": asking(server, {"retry": {"max_attempts": 2, "delay": 0}})})
            execute(run)
            wake(connection, run)
            execute(run)
            assert statuses(run.id) == {"a": "waiting (retry_backoff)"}
            for _ in range(2):
                wake(connection, run)
                execute(run)

        assert (row(run, "a").status, row(run, "a").attempt, row(run, "a").tries) == ("succeeded", 2, 1)
        past = TaskAttempt.objects.get(task_execution__run_id=run.id)
        assert (past.attempt, past.error_code) == (1, "unexpected_status")

    def test_next_attempt_knows_nothing_of_what_the_one_before_has_asked(self, actor, connection, sent):
        with serving(Job("running", None)) as server:
            run = start_run(actor, {"a": asking(server, {"retry": {"delay": 0}})})
            execute(run)
            wake(connection, run)
            execute(run)
        wake(connection, run)

        claimed = claim.claim(connection, task_of(run, "a"), Holder(worker="test", worker_id=None), uuid4())

        assert (claimed.attempt, claimed.resumed, row(run, "a").resumed_at) == (2, None, None)

    def test_every_time_that_it_asks_is_another_claim(self, actor, connection, sent):
        with serving(Job("running")) as server:
            run = start_run(actor, {"a": asking(server)})
            execute(run)
            dates = []
            for _ in range(2):
                wake(connection, run)
                execute(run)
                dates.append(row(run, "a").resumed_at)

        assert row(run, "a").started_at < dates[0] < dates[1]

    def test_time_limit_of_the_attempt_counts_from_its_first_request(self, actor, connection, sent):
        with serving(Job("running")) as server:
            run = start_run(actor, {"a": asking(server, {"timeout": "1h"})})
            execute(run)
            expires_at = row(run, "a").expires_at
            wake(connection, run)
            execute(run)

        assert row(run, "a").expires_at == expires_at
        TaskExecution.objects.filter(run_id=run.id).update(expires_at=LONG_AGO)
        time_limits.end_overdue(connection)
        assert (row(run, "a").status, row(run, "a").error_code) == ("failed", "timed_out")

    def test_time_for_all_attempts_ends_the_asking(self, actor, connection, sent):
        with serving(Job("running")) as server:
            run = start_run(actor, {"a": asking(server, {"timeout": {"total": "1h"}})})
            execute(run)
            TaskExecution.objects.filter(run_id=run.id, status="waiting").update(wake_at=LONG_AGO)
            retry.wake_due(connection)
            TaskExecution.objects.filter(run_id=run.id).update(first_started_at=LONG_AGO)

            time_limits.end_overdue(connection)

        assert (row(run, "a").status, row(run, "a").error_code) == ("failed", "timed_out")

    def test_cancel_ends_the_asking_at_once(self, actor, connection, sent):
        with serving(Job("running")) as server:
            run = start_run(actor, {"a": asking(server)})
            execute(run)

        runs.cancel_run(actor=actor, run_id=run.id)

        assert WorkflowRun.objects.get(id=run.id).status == "cancelled"

    def test_pause_that_is_under_way_keeps_a_task_from_asking_again(self, actor, connection, other, sent):
        with serving(Job("running")) as server:
            run = start_run(actor, {"a": asking(server)})
            execute(run)
        TaskExecution.objects.filter(run_id=run.id).update(wake_at=LONG_AGO)

        with held_open(other, hold(run, 1)) as meanwhile:
            meanwhile(lambda: retry.wake_due(connection))
        retry.wake_due(connection)

        assert statuses(run.id) == {"a": "waiting (poll)"}

    def test_attempt_that_asks_again_meanwhile_ends_itself_when_its_time_is_over(self, actor, connection, other, sent):
        """The tick saw it wait with its time over; before it could end the wait, a worker took the task."""
        with serving(Job("running")) as server:
            run = start_run(actor, {"a": asking(server, {"timeout": "1h"})})
            execute(run)
        wake(connection, run)
        TaskExecution.objects.filter(run_id=run.id).update(status="waiting", expires_at=LONG_AGO)
        queued = ("UPDATE task_executions SET status = 'queued' WHERE run_id = %s", (run.id,))

        with held_open(other, queued) as meanwhile:
            claimed = claim.claim(other, task_of(run, "a"), Holder(worker="test", worker_id=None), uuid4())
            meanwhile(lambda: time_limits.end_overdue(connection))

        assert statuses(run.id) == {"a": "running"}
        assert finish.finish(connection, claimed, SUCCEEDED) is not None

    def test_attempt_that_asks_again_is_not_lost_because_it_began_before_its_worker_looked(
        self, actor, connection, sent, worker_row
    ):
        with serving(Job("running")) as server:
            run = start_run(actor, {"a": asking(server)})
            execute(run)
        renew = {"worker_id": worker_row, "concurrency": 1, "list_held": list}
        lease.renew_lease(connection, **renew)
        wake(connection, run)
        claimed = claim.claim(connection, task_of(run, "a"), Holder(worker="test", worker_id=worker_row), uuid4())

        assert leases.take_back_lost(connection) == 0
        assert finish.finish(connection, claimed, SUCCEEDED) is not None

    def test_attempt_that_asks_again_is_lost_with_its_worker(self, actor, connection, sent, worker_row):
        with serving(Job("running")) as server:
            run = start_run(actor, {"a": asking(server)})
            execute(run)
        wake(connection, run)
        claim.claim(connection, task_of(run, "a"), Holder(worker="test", worker_id=worker_row), uuid4())
        lease.renew_lease(connection, worker_id=worker_row, concurrency=1, list_held=list)

        assert leases.take_back_lost(connection) == 1
        assert statuses(run.id) == {"a": "queued (worker_lost)"}


def test_tasks_that_ask_let_their_join_run_once_on_real_workers(actor, worker, beat):
    with serving(Job("running", "running", "running", "done")) as server:
        branches = {"a": asking(server, {"needs": ["z"]}), "b": asking(server, {"needs": ["z"]}), "c": "z"}
        run = start_run(actor, {"z": "", **branches, "join": "a b c", "last": "join"})

        ended = wait_for_end(run.id)

    assert (ended.status, set(statuses(run.id).values())) == ("succeeded", {"succeeded"})
    assert {row(run, key).attempt for key in ("a", "b", "join", "last")} == {1}


def test_tasks_in_a_chain_that_ask_are_followed_by_the_next_on_real_workers(actor, worker, beat):
    with serving(Job("running", "done", "running", "done")) as server:
        run = start_run(actor, {"a": asking(server), "b": asking(server, {"needs": ["a"]}), "c": "b"})

        assert wait_for_end(run.id).status == "succeeded"

    assert len(server.requests) == 4
