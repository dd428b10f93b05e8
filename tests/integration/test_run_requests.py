"""Runs that other applications start inside a transaction of their own, by the SQL function `maestro_start_run`."""

import json
import os
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from django.db import transaction
from psycopg.conninfo import make_conninfo
from psycopg.rows import tuple_row

from accounts.models import Organization
from maestro.embedded import postgres
from maestro.embedded.home import load_or_create_secrets
from tests.builders import definition, make_actor, statuses, wait_for_end
from tests.conftest import HOME
from tests.integration.conftest import beat_process
from tests.integration.schedules import connect, held_open
from tests.patience import PATIENCE_SECONDS, wait_until
from workflows.catalog import services as catalog
from workflows.definition.document import Document
from workflows.dispatch import publish, retention, run_requests, start, time_limits
from workflows.dispatch.run_requests import RunRequests
from workflows.models import RunRequest, Workflow, WorkflowRun
from workflows.pauses import services as pauses
from workflows.pauses.services import PauseTarget
from workflows.runs import selectors
from workflows.runs import services as runs

ROOT = Path(__file__).parents[2]
LONG_AGO = "2020-01-01T00:00:00Z"
INPUTS = {
    "order": {"type": "integer", "default": 0},
    "password": {"type": "string", "default": "", "writeOnly": True},
}
ROLE = "shop"


@pytest.fixture
def slug(actor):
    """The name of an organization with a workflow `test`, when nobody else has asked for a run."""
    RunRequest.objects.all().delete()
    catalog.apply_definition(actor=actor, document=Document.of(definition({"a": "", "b": "a"}, inputs=INPUTS)))
    return Organization.objects.get(id=actor.organization_id).slug


def ask(connection, slug, inputs=None, *, workflow="test", **more):
    """Call the function, with further arguments by name."""
    values = {
        "organization": slug,
        "workflow": workflow,
        "inputs": json.dumps({} if inputs is None else inputs),
        **more,
    }
    arguments = ", ".join(f"{name} => %({name})s" for name in values).replace("%(inputs)s", "%(inputs)s::jsonb")
    return connection.execute(f"SELECT maestro_start_run({arguments})", values).fetchone()[0]


def asked_for(actor):
    return RunRequest.objects.filter(organization_id=actor.organization_id)


def runs_of(actor):
    return WorkflowRun.objects.filter(organization_id=actor.organization_id)


def test_run_has_the_id_that_was_returned_and_begins_after_the_commit(actor, slug, connection, other, sent):
    with other.transaction():
        run_id = ask(other, slug, {"order": 7})
        RunRequests().take(connection)
        assert not runs_of(actor).exists()

    RunRequests().take(connection)

    run = runs_of(actor).get()
    assert (run.id, run.status, run.inputs) == (run_id, "running", {"order": 7, "password": ""})
    assert (run.trigger_type, run.user_id, run_id.version) == ("sql", None, 7)
    assert (statuses(run_id), sent) == ({"a": "queued", "b": "pending"}, ["a"])
    # Again, by whichever beat: it is done.
    RunRequests().take(connection)
    assert (runs_of(actor).count(), sent) == (1, ["a"])


def test_transaction_that_is_rolled_back_starts_nothing(actor, slug, connection, other, sent):
    with other.transaction(force_rollback=True):
        ask(other, slug)

    RunRequests().take(connection)

    assert (asked_for(actor).count(), runs_of(actor).count(), sent) == (0, 0, [])


def test_savepoint_that_is_rolled_back_starts_nothing_of_it(actor, slug, connection, other, sent):
    with other.transaction():
        kept = ask(other, slug, {"order": 1})
        with other.transaction(force_rollback=True):
            ask(other, slug, {"order": 2})

    RunRequests().take(connection)

    assert [run.id for run in runs_of(actor)] == [kept]


def test_run_started_by_django_code_in_a_transaction_that_is_rolled_back_never_was(actor, slug, sent):
    with transaction.atomic():
        runs.start_run(actor=actor, reference="test", inputs={})
        transaction.set_rollback(True)

    assert (runs_of(actor).count(), sent) == (0, [])

    with transaction.atomic():
        runs.start_run(actor=actor, reference="test", inputs={})
        assert sent == []

    assert (runs_of(actor).count(), sent) == (1, ["a"])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"workflow": "tets"}, psycopg.errors.NoDataFound, 'There is no workflow "tets" in organization '),
        ({"organization": "x"}, psycopg.errors.NoDataFound, 'There is no organization "x".'),
        ({"inputs": "[]"}, psycopg.errors.InvalidParameterValue, "The inputs must be a JSON object"),
        ({"inputs": None}, psycopg.errors.InvalidParameterValue, "The inputs must be a JSON object"),
        ({"deadline": LONG_AGO}, psycopg.errors.InvalidParameterValue, "The deadline must be later than the start"),
        ({"deadline": "infinity"}, psycopg.errors.InvalidParameterValue, "The deadline must be within 366 days"),
        ({"start_at": "infinity"}, psycopg.errors.InvalidParameterValue, "start_at must be within 366 days from now."),
        ({"idempotency_key": ""}, psycopg.errors.InvalidParameterValue, "An idempotency key has 1 to 255 characters."),
        (
            {"inputs": json.dumps({"password": "x" * 3_000_000})},
            psycopg.errors.InvalidParameterValue,
            "The inputs are too large: at most 1,048,576 bytes as JSON are allowed.",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_is_refused_in_the_transaction(actor, slug, other, arguments, error, message):
    values = {"organization": slug, "workflow": "test", "inputs": "{}", "idempotency_key": None, "start_at": None}
    values |= {"deadline": None} | arguments

    with pytest.raises(error) as caught:
        other.execute(
            "SELECT maestro_start_run(%(organization)s, %(workflow)s, %(inputs)s::jsonb, %(idempotency_key)s,"
            " %(start_at)s::timestamptz, %(deadline)s::timestamptz)",
            values,
        )

    assert caught.value.diag.message_primary.startswith(message)
    assert not asked_for(actor).exists()


def test_archived_workflow_is_none(actor, slug, other):
    catalog.archive_workflow(actor=actor, reference="test")

    with pytest.raises(psycopg.errors.NoDataFound):
        ask(other, slug)


def test_inputs_that_do_not_fit_are_told_by_a_run_that_failed(actor, slug, connection, other, sent):
    run_id = ask(other, slug, {"order": "x", "password": 7, "pasword": "hunter22"})

    RunRequests().take(connection)

    run = selectors.get_run(actor=actor, run_id=run_id)
    assert (run.status, run.reason, run.outcome, run.started_at) == ("failed", "inputs_refused", "failed", None)
    assert run.finished_at is not None
    first, *problems = run.error_message.splitlines()
    assert first == "The inputs do not fit the workflow:"
    assert {problem.partition(":")[0] for problem in problems} == {"order", "password", "pasword"}
    assert selectors.shown_inputs(run) == {"order": "x", "password": "••••••"}
    assert "hunter22" not in str(run.inputs) + run.error_message
    assert (statuses(run_id), sent) == ({}, [])


@pytest.mark.parametrize("inputs", ['{"order": ' + "1" * 5000 + "}", '{"order": ' + "[" * 1500 + "]" * 1500 + "}"])
def test_inputs_that_cannot_be_read_keep_nothing_from_its_run(actor, slug, connection, other, sent, inputs):
    other.execute("SELECT maestro_start_run(%s, 'test', %s::jsonb)", (slug, inputs))
    ask(other, slug)

    RunRequests(Clock()).take(connection)

    assert sorted(run.status for run in runs_of(actor)) == ["failed", "running"]


def test_version_is_the_one_that_was_active_when_it_was_asked_for(actor, slug, connection, other, sent):
    run_id = ask(other, slug)
    catalog.apply_definition(actor=actor, document=Document.of(definition({"c": ""})))

    RunRequests().take(connection)

    assert statuses(run_id) == {"a": "queued", "b": "pending"}


def test_requests_become_runs_the_oldest_first(actor, slug, connection, other, sent):
    wanted = [ask(other, slug, {"order": number}) for number in range(5)]

    # One look takes what it can in its time.
    requests = RunRequests()
    while requests.take(connection):
        pass

    assert [run.id for run in runs_of(actor).order_by("created_at")] == wanted


def test_same_key_twice_is_one_run(actor, slug, connection, other, sent):
    first = ask(other, slug, {"order": 1}, idempotency_key="order-1")
    RunRequests().take(connection)

    second = ask(other, slug, {"order": 1}, idempotency_key="order-1")
    RunRequests().take(connection)

    assert second == first
    assert (runs_of(actor).count(), sent) == (1, ["a"])


def test_same_key_is_the_same_run_once_its_deadline_is_over(actor, slug, other):
    times = {"start_at": LONG_AGO, "deadline": datetime.now(UTC) + timedelta(hours=1)}
    first = ask(other, slug, idempotency_key="order-1", **times)
    asked_for(actor).update(deadline_at=LONG_AGO)

    assert ask(other, slug, idempotency_key="order-1", start_at=LONG_AGO, deadline=LONG_AGO) == first
    with pytest.raises(psycopg.errors.UniqueViolation, match="was used before for another run"):
        ask(other, slug, idempotency_key="order-1", **times)


def test_same_key_is_the_same_run_once_its_workflow_is_archived(actor, slug, other):
    first = ask(other, slug, idempotency_key="order-1")
    Workflow.objects.filter(organization_id=actor.organization_id).update(archived_at=LONG_AGO)

    assert ask(other, slug, idempotency_key="order-1") == first


def test_key_of_another_run_is_refused(actor, slug, other):
    ask(other, slug, {"order": 1}, idempotency_key="order-1")

    with pytest.raises(psycopg.errors.UniqueViolation, match="was used before for another run"):
        ask(other, slug, {"order": 2}, idempotency_key="order-1")

    assert asked_for(actor).count() == 1


def test_key_of_a_transaction_that_is_rolled_back_is_free(actor, slug, other):
    with other.transaction(force_rollback=True):
        ask(other, slug, {"order": 1}, idempotency_key="order-1")

    ask(other, slug, {"order": 2}, idempotency_key="order-1")

    assert asked_for(actor).count() == 1


def test_keys_of_other_organizations_are_other_keys(actor, slug, other):
    stranger = make_actor()
    catalog.apply_definition(actor=stranger, document=Document.of(definition({"a": ""})))
    theirs = Organization.objects.get(id=stranger.organization_id).slug

    assert ask(other, slug, idempotency_key="x") != ask(other, theirs, idempotency_key="x")


def test_two_transactions_with_one_key_at_once_ask_once(actor, slug, connection, other):
    call = ("SELECT maestro_start_run(%s, 'test', '{}', 'order-1')", (slug,))

    with held_open(other, call) as meanwhile:
        second = meanwhile(lambda: ask(connection, slug, idempotency_key="order-1"))

    assert asked_for(actor).get().id == second.result(10)


def test_two_beats_at_once_make_one_run(actor, slug, connection, other, sent):
    run_id = ask(other, slug)
    with connect() as first, first.transaction():
        first.execute(run_requests._TAKE, {"id": run_id})
        # The second beat does not wait for the first, and finds nothing to do.
        RunRequests().take(connection)
        assert (runs_of(actor).count(), sent) == (0, [])

    RunRequests().take(connection)

    assert (runs_of(actor).count(), sent) == (1, ["a"])


@pytest.mark.parametrize("step", ["insert_run", "publish"])
def test_beat_that_dies_at_any_step_loses_and_doubles_nothing(actor, slug, connection, other, sent, monkeypatch, step):
    def die(*_, **__):
        raise KeyboardInterrupt

    run_id = ask(other, slug)
    with monkeypatch.context() as dying:
        dying.setattr(start if step == "insert_run" else publish, step, die)
        with pytest.raises(KeyboardInterrupt):
            RunRequests().take(connection)
    assert runs_of(actor).count() == (0 if step == "insert_run" else 1)

    RunRequests().take(connection)

    assert [run.id for run in runs_of(actor)] == [run_id]
    assert statuses(run_id) == {"a": "queued", "b": "pending"}


@pytest.fixture
def defect(monkeypatch):
    """A defect that keeps some requests from becoming runs: ids to be added, and those that were tried, in order."""
    broken, tried = set(), []

    def insert_run(connection, new, version):
        tried.append(new.run.run_id)
        if new.run.run_id in broken:
            raise ValueError(f"cannot read {new.inputs}")
        return insert(connection, new, version)

    insert = start.insert_run
    monkeypatch.setattr(start, "insert_run", insert_run)
    return broken, tried


class Clock:
    """A clock that is set."""

    now = 0.0

    def __call__(self):
        return self.now


def test_request_that_cannot_become_a_run_does_not_hold_up_younger_ones(
    actor, slug, connection, other, sent, defect, monkeypatch
):
    monkeypatch.setattr(run_requests, "MAX_PER_LOOK", 1)
    requests = RunRequests(Clock())
    broken, sound = ask(other, slug), ask(other, slug)
    defect[0].add(broken)

    for _ in range(2):
        requests.take(connection)

    assert [run.id for run in runs_of(actor)] == [sound]
    assert asked_for(actor).get(id=broken).done_at is None


def test_requests_that_are_done_do_not_hold_up_younger_ones(actor, slug, connection, other, sent, monkeypatch):
    monkeypatch.setattr(run_requests, "MAX_PER_LOOK", 1)
    asked = []
    for _ in range(2):
        asked.append(ask(other, slug))
        RunRequests().take(connection)

    assert {run.id for run in runs_of(actor)} == set(asked)


def test_requests_take_no_more_than_their_part_of_the_time(actor, slug, connection, other, sent, monkeypatch):
    clock = Clock()
    for _ in range(3):
        ask(other, slug)

    def take_time(*given):
        clock.now += run_requests.BUDGET_SECONDS / 2 + 0.01
        return insert(*given)

    insert = start.insert_run
    monkeypatch.setattr(start, "insert_run", take_time)

    assert RunRequests(clock).take(connection) == 2


def test_look_that_takes_long_makes_a_run_all_the_same(actor, slug, connection, other, sent, monkeypatch):
    clock = Clock()
    ask(other, slug)
    cursor = run_requests.sql.cursor

    def take_time(*given):
        clock.now += 2 * run_requests.BUDGET_SECONDS
        return cursor(*given)

    monkeypatch.setattr(run_requests.sql, "cursor", take_time)

    assert RunRequests(clock).take(connection) == 1


def test_request_is_not_given_up_for_a_database_that_is_away(actor, slug, connection, other, sent, monkeypatch):
    requests = RunRequests(Clock())
    request_id = ask(other, slug)

    def away(*_):
        raise psycopg.OperationalError("away")

    with monkeypatch.context() as outage:
        outage.setattr(start, "insert_run", away)
        for _ in range(run_requests.MOST_TRIES):
            with pytest.raises(psycopg.OperationalError):
                requests.take(connection)
    requests.take(connection)

    assert statuses(request_id) == {"a": "queued", "b": "pending"}


def test_request_that_another_beat_is_at_is_not_given_up(actor, slug, connection, other, sent):
    request_id = ask(other, slug)
    with connect() as first, first.transaction():
        first.execute(run_requests._TAKE, {"id": request_id})
        run_requests._give_up(connection, request_id, run_requests.MOST_TRIES, ValueError())

    assert not runs_of(actor).exists()


def test_request_that_cannot_become_a_run_is_tried_less_and_less_often(actor, slug, connection, other, sent, defect):
    broken, tried = defect
    clock = Clock()
    requests = RunRequests(clock)
    broken.add(ask(other, slug))

    tried_at = []
    for half_seconds in range(60):
        clock.now = half_seconds / 2
        tried.clear()
        requests.take(connection)
        tried_at += [clock.now for _ in tried]

    assert tried_at == [0, 2, 6, 14]


def test_request_becomes_a_run_once_the_defect_is_gone(actor, slug, connection, other, sent, defect):
    clock = Clock()
    requests = RunRequests(clock)
    request_id = ask(other, slug)
    defect[0].add(request_id)
    requests.take(connection)
    defect[0].clear()
    clock.now = 2

    requests.take(connection)

    assert statuses(request_id) == {"a": "queued", "b": "pending"}


def test_request_that_never_becomes_a_run_is_told_by_one_that_failed(actor, slug, connection, other, sent, defect):
    clock = Clock()
    requests = RunRequests(clock)
    request_id = ask(other, slug, {"password": "open-sesame"})
    defect[0].add(request_id)

    for _ in range(run_requests.MOST_TRIES):
        assert not runs_of(actor).exists()
        requests.take(connection)
        clock.now += run_requests.LONGEST_REST_SECONDS

    run = selectors.get_run(actor=actor, run_id=request_id)
    assert (run.status, run.reason, run.inputs) == ("failed", "start_failed", {})
    assert run.error_message == ("The run could not be started, 8 tries ended with ValueError. Beat's log says more.")
    assert asked_for(actor).get().done_at is not None


def test_beat_that_is_killed_in_between_loses_nothing(actor, slug, other, worker, tmp_path):
    wanted = []
    with beat_process(tmp_path / "first.log") as first:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not wanted or not runs_of(actor).exists():
            assert time.monotonic() < deadline, (tmp_path / "first.log").read_text()
            wanted.append(ask(other, slug))
            time.sleep(0.05)
        first.kill()
        first.wait()
    wanted += [ask(other, slug) for _ in range(5)]

    with beat_process(tmp_path / "second.log"), beat_process(tmp_path / "third.log"):
        for run_id in wanted:
            wait_until(WorkflowRun.objects.filter(id=run_id).exists)
        last = wait_for_end(wanted[-1])

    assert last.status == "succeeded"
    assert {run.id for run in runs_of(actor)} == set(wanted)


def test_run_of_a_paused_workflow_waits_for_the_end_of_the_pause(actor, slug, connection, other, sent):
    paused = PauseTarget(workflow="test")
    pauses.pause(actor=actor, target=paused, reason="")
    run_id = ask(other, slug)

    RunRequests().take(connection)
    assert (WorkflowRun.objects.get(id=run_id).hold, sent) == (1, [])
    pauses.resume(actor=actor, target=paused)

    assert (WorkflowRun.objects.get(id=run_id).hold, sent) == (0, ["a"])


def test_run_that_is_to_begin_later_does(actor, slug, connection, other, sent):
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    run_id = ask(other, slug, start_at=tomorrow, deadline=tomorrow + timedelta(hours=1))
    past = ask(other, slug, start_at="0044-03-15 BC")

    RunRequests(Clock()).take(connection)

    run = WorkflowRun.objects.get(id=run_id)
    assert (run.status, run.reason, run.start_at) == ("pending", "delayed", tomorrow)
    assert run.deadline_at - run.start_at == timedelta(hours=1)
    assert WorkflowRun.objects.get(id=past).status == "running"


def test_run_whose_deadline_came_before_the_commit_does_no_work(actor, slug, connection, other, sent):
    run_id = ask(other, slug, deadline=datetime.now(UTC) + timedelta(hours=1))
    asked_for(actor).filter(id=run_id).update(deadline_at=LONG_AGO, created_at=LONG_AGO)

    RunRequests().take(connection)
    time_limits.end_overdue(connection)

    run = WorkflowRun.objects.get(id=run_id)
    assert (run.status, run.reason, sent) == ("failed", "timed_out", [])


def test_requests_that_became_runs_are_pruned_after_a_day(actor, slug, connection, other, sent, monkeypatch):
    old = ask(other, slug, idempotency_key="order-1")
    young = ask(other, slug)
    RunRequests(Clock()).take(connection)
    waiting = ask(other, slug)
    asked_for(actor).filter(id=old).update(done_at=LONG_AGO)
    asked_for(actor).filter(id=waiting).update(created_at=LONG_AGO)

    # Those that other tests have made are more than one look takes.
    monkeypatch.setattr(retention, "ORGANIZATIONS_PER_LOOK", 1_000_000)
    retention.Pruning(Clock()).prune(connection)

    assert {request.id for request in asked_for(actor)} == {young, waiting}
    assert ask(other, slug, idempotency_key="order-1") != old


@pytest.fixture(scope="module")
def shop(database):
    """Connections as the role of another application, with what the file for it grants."""
    secrets = load_or_create_secrets(HOME)
    superuser = make_conninfo(
        os.environ["DATABASE_URL"], user=postgres.SUPERUSER, password=secrets.postgres_password.get_secret_value()
    )
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD 'shop'")
    address = make_conninfo(os.environ["DATABASE_URL"], user=ROLE, password="shop")
    with psycopg.connect(address, autocommit=True, row_factory=tuple_row) as connection:
        yield connection


def test_role_may_call_it_only_after_it_was_granted(actor, slug, shop, connection, sent):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(shop, slug)
    grants = ROOT / "config" / "postgres" / "grant-start-runs.sql"
    psql = [str(postgres._binaries() / "psql"), os.environ["DATABASE_URL"], "-X", "-v", "ON_ERROR_STOP=1"]
    subprocess.run([*psql, "-v", f"role={ROLE}", "-f", str(grants)], check=True)

    shop.execute("SET search_path = nowhere")
    run_id = shop.execute("SELECT public.maestro_start_run(%s, 'test', '{}', 'key')", (slug,)).fetchone()[0]
    again = shop.execute("SELECT public.maestro_start_run(%s, 'test', '{}', 'key')", (slug,)).fetchone()[0]
    RunRequests().take(connection)

    assert again == run_id
    assert WorkflowRun.objects.get(id=run_id).status == "running"
    for forbidden in (
        "SELECT * FROM public.workflows",
        "SELECT * FROM public.workflow_runs",
        "SELECT * FROM public.users",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            shop.execute(forbidden)
