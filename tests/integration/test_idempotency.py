"""Calls that are sent twice under one key: done once, whatever happens in between."""

import secrets
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from django.db.models.functions import Now

from accounts.choices import Role
from accounts.idempotency import keys
from accounts.models import IdempotencyKey
from accounts.rest.views import ApiView
from maestro.core import sql
from tests.builders import definition, join, make_actor, start_run, statuses
from tests.integration.callers import Caller, served  # noqa: F401 - a fixture
from tests.integration.schedules import held_open
from workflows.catalog import services as catalog
from workflows.definition.document import Document
from workflows.dispatch import retention, start
from workflows.models import WorkflowRun
from workflows.rest import run_views, urls
from workflows.runs import services as runs

ROOT = Path(__file__).parents[2]
LONG_AGO = "2020-01-01T00:00:00Z"
INPUTS = {
    "who": {"type": "string", "default": "world"},
    "password": {"type": "string", "default": "", "writeOnly": True},
}
START = "/workflows/test/runs"


pytestmark = pytest.mark.usefixtures("served", "sent")


@pytest.fixture
def caller(actor):
    catalog.apply_definition(actor=actor, document=Document.of(definition({"a": ""}, inputs=INPUTS)))
    return Caller(actor)


@pytest.fixture
def key():
    return secrets.token_hex()


def kept(key):
    return IdempotencyKey.objects.get(key=key)


def runs_of(actor):
    return WorkflowRun.objects.filter(organization_id=actor.organization_id).count()


def test_same_start_twice_is_one_run_and_one_answer(actor, caller, key):
    first = caller.post(START, {"inputs": {"who": "Ada"}}, key=key)
    second = caller.post(START, {"inputs": {"who": "Ada"}}, key=key)

    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    assert second.headers["Content-Type"] == first.headers["Content-Type"]
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert runs_of(actor) == 1


def test_starts_without_a_key_or_with_keys_of_their_own_are_runs_of_their_own(actor, caller):
    for key in (None, None, "x", "y"):
        assert caller.post(START, {}, key=key).status_code == 201

    assert runs_of(actor) == 4


@pytest.mark.parametrize(
    ("path", "body"), [(START, {"inputs": {"who": "Bob"}}), (f"{START}?x=1", {}), ("/workflows/validate", {})]
)
def test_key_of_another_call_is_refused_and_nothing_is_done(actor, caller, key, path, body):
    caller.post(START, {}, key=key)

    refused = caller.post(path, body, key=key)

    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert runs_of(actor) == 1


def test_key_is_compared_before_the_body_is_read(caller, key):
    caller.post(START, {}, key=key)

    assert caller.post(START, "{", key=key).json()["code"] == "idempotency_key_reused"


def test_keys_of_other_people_are_other_keys(actor, caller, key):
    mine = caller.post(START, {}, key=key).json()
    stranger = make_actor()
    catalog.apply_definition(actor=stranger, document=Document.of(definition({"a": ""})))

    theirs = Caller(stranger).post(START, {}, key=key).json()

    assert theirs["id"] != mine["id"]


def test_keys_of_other_members_of_the_organization_are_other_keys(actor, caller, key):
    callers = [caller, Caller(join(actor, Role.OPERATOR))]

    first, second = ([each.post(START, {}, key=key).json()["id"] for each in callers] for _ in range(2))

    assert first == second
    assert len(set(first)) == 2


def test_refusal_is_kept_as_an_answer_is(caller, key):
    first = caller.post(START, {"inputs": {"whom": "Ada"}}, key=key)
    second = caller.post(START, {"inputs": {"whom": "Ada"}}, key=key)

    assert (first.status_code, second.status_code) == (422, 422)
    assert second.content == first.content
    assert second.headers["Content-Type"] == "application/problem+json"
    assert second.headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize("key", ["", "k" * 256, "kéy", "a\tb"])
def test_key_that_is_none_is_refused(actor, caller, key):
    refused = caller.post(START, {}, key=key)

    assert (refused.status_code, refused.json()["code"]) == (400, "idempotency_key_malformed")
    assert runs_of(actor) == 0


def test_call_that_is_still_being_done_is_not_done_again(actor, caller, key):
    caller.post(START, {}, key=key)
    IdempotencyKey.objects.filter(key=key).update(status_code=None, made_id=None)

    refused = caller.post(START, {}, key=key)

    assert (refused.status_code, refused.json()["code"]) == (409, "request_in_progress")
    assert refused.headers["Retry-After"] == "1"
    assert runs_of(actor) == 1


def test_start_whose_answer_was_lost_is_answered_by_its_run(actor, caller, key):
    first = caller.post(START, {}, key=key).json()
    IdempotencyKey.objects.filter(key=key).update(status_code=None, answer="")

    second = caller.post(START, {}, key=key)

    assert (second.status_code, second.json()["id"]) == (201, first["id"])
    assert second.headers["Idempotency-Replayed"] == "true"
    assert runs_of(actor) == 1


def test_run_that_a_lost_answer_named_and_is_gone_is_not_started_again(actor, caller, key):
    run_id = caller.post(START, {}, key=key).json()["id"]
    IdempotencyKey.objects.filter(key=key).update(status_code=None, answer="")
    WorkflowRun.objects.filter(id=run_id).update(pruned_at=LONG_AGO)

    refused = caller.post(START, {}, key=key)

    assert (refused.status_code, refused.json()["code"]) == (404, "run_not_found")


def test_start_that_died_with_its_process_is_done_by_who_asks_later(actor, caller, key):
    caller.post(START, {}, key=key)
    WorkflowRun.objects.filter(organization_id=actor.organization_id).update(pruned_at=LONG_AGO)
    IdempotencyKey.objects.filter(key=key).update(status_code=None, made_id=None, created_at=LONG_AGO)

    again = caller.post(START, {}, key=key)

    assert again.status_code == 201
    assert "Idempotency-Replayed" not in again.headers
    assert kept(key).made_id is not None


@pytest.mark.parametrize("moment", ["reserved", "inserted", "committed", "sent"])
def test_process_that_dies_at_any_moment_of_a_start_leaves_one_run_in_the_end(actor, caller, key, moment):
    program = [sys.executable, "-m", "tests.integration.dying_caller", moment, caller.api_key, key]
    assert subprocess.run(program, cwd=ROOT, timeout=60).returncode == 9
    is_there = moment in ("committed", "sent")
    assert runs_of(actor) == (1 if is_there else 0)

    first = caller.post(START, {}, key=key)
    IdempotencyKey.objects.filter(key=key).update(created_at=Now() - keys.TAKEN_OVER_AFTER)
    later = caller.post(START, {}, key=key)

    assert first.status_code == (201 if is_there else 409)
    assert later.status_code == 201
    assert runs_of(actor) == 1


def test_start_that_was_taken_over_starts_nothing(actor, caller, key):
    caller.post("/workflows/validate", {"definition": {}}, key=key)
    row = kept(key)
    slow = keys.Reservation(id=row.id, token=row.token)
    IdempotencyKey.objects.filter(key=key).update(status_code=None, created_at=LONG_AGO)
    taken = keys.reserve(sql.engine_connection(), actor=actor, key=key, fingerprint=row.fingerprint)

    with pytest.raises(keys.RequestInProgress):
        runs.start_run(actor=actor, reference="test", inputs={}, reservation=slow)
    started = runs.start_run(actor=actor, reference="test", inputs={}, reservation=taken)

    assert runs_of(actor) == 1
    assert kept(key).made_id == started.id


@pytest.fixture
def overdue(actor, caller, key):
    """A call under the key that has been done for so long that another one may take it over; its reservation."""
    caller.post(START, {}, key=key)
    longer = Now() - keys.TAKEN_OVER_AFTER
    IdempotencyKey.objects.filter(key=key).update(status_code=None, made_id=None, created_at=longer)
    return keys.Reservation(id=kept(key).id, token=kept(key).token)


@pytest.mark.parametrize(
    "end",
    [lambda *given: keys.keep_answer(*given, status_code=201, answer="late"), keys.release],
    ids=["answer", "release"],
)
def test_call_that_was_taken_over_leaves_the_key_to_who_did(actor, connection, key, overdue, end):
    taken = keys.reserve(connection, actor=actor, key=key, fingerprint=kept(key).fingerprint)

    end(connection, overdue)

    assert (kept(key).token, kept(key).status_code) == (taken.token, None)


def test_call_that_died_is_not_taken_over_by_another_one(actor, caller, key, overdue):
    refused = caller.post(START, {"inputs": {"who": "Bob"}}, key=key)

    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert runs_of(actor) == 1


def test_call_that_made_nothing_and_was_answered_is_not_done_again_later(actor, caller, key):
    path = f"/workflow-runs/{start_run(actor, {'a': ''}, name='other').id}/cancel"
    caller.post(path, key=key)
    IdempotencyKey.objects.filter(key=key).update(created_at=Now() - keys.TAKEN_OVER_AFTER)

    assert caller.post(path, key=key).headers["Idempotency-Replayed"] == "true"


def test_key_that_is_given_back_while_it_is_looked_at_is_still_in_use(actor, caller, key, monkeypatch):
    caller.post(START, {}, key=key)
    monkeypatch.setattr(keys, "_READ", keys._READ + " AND false")

    assert caller.post(START, {}, key=key).json()["code"] == "request_in_progress"


def test_two_at_once_reserve_one(actor, caller, key, connection, other):
    fingerprint = keys.fingerprint_of("POST", "/", b"")
    held = (
        "INSERT INTO idempotency_keys (organization_id, user_id, key, fingerprint, token, answer)"
        " VALUES (%s, %s, %s, %s, gen_random_uuid(), '')"
    )

    with held_open(other, (held, (actor.organization_id, actor.user_id, key, fingerprint))) as meanwhile:
        second = meanwhile(lambda: keys.reserve(connection, actor=actor, key=key, fingerprint=fingerprint))

    with pytest.raises(keys.RequestInProgress):
        second.result(10)


@pytest.mark.parametrize(
    ("module", "name"),
    [(start, "insert_run"), (run_views, "RunOutput")],
    ids=["before there is a run", "when its answer is written"],
)
def test_start_that_broke_is_done_or_answered_by_its_run_when_sent_again(actor, caller, key, monkeypatch, module, name):
    with monkeypatch.context() as broken:
        broken.setattr(module, name, lambda *_: 1 / 0)
        assert caller.post(START, {}, key=key).status_code == 500

    assert caller.post(START, {}, key=key).status_code == 201
    assert runs_of(actor) == 1


def test_database_that_is_away_gives_the_key_back(actor, caller, key, monkeypatch):
    def away(*_):
        raise psycopg.OperationalError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(start, "insert_run", away)
        assert caller.post(START, {}, key=key).status_code == 503

    assert caller.post(START, {}, key=key).status_code == 201
    assert runs_of(actor) == 1


def test_answer_that_cannot_be_kept_is_answered_all_the_same(actor, caller, key, monkeypatch):
    def away(*_, **__):
        raise psycopg.OperationalError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(keys, "keep_answer", away)
        first = caller.post(START, {}, key=key)

    assert first.status_code == 201
    assert caller.post(START, {}, key=key).json()["id"] == first.json()["id"]
    assert runs_of(actor) == 1


def test_other_calls_are_done_once_too(actor, caller, key):
    run = start_run(actor, {"a": ""}, name="other")

    first = caller.post(f"/workflow-runs/{run.id}/cancel", key=key)
    second = caller.post(f"/workflow-runs/{run.id}/cancel", key=key)

    assert (first.status_code, second.content) == (200, first.content)
    assert second.headers["Idempotency-Replayed"] == "true"


def test_reading_ignores_a_key(caller, key):
    assert caller.get("/workflows", key=key).status_code == 200
    assert caller.get("/workflow-runs", key=key).status_code == 200
    assert not IdempotencyKey.objects.filter(key=key).exists()


def test_body_that_django_would_not_read_whole_is_compared_too(caller, key):
    large = {"inputs": {"who": "a" * 3_000_000}}

    first = caller.post(START, large, key=key)

    assert (first.status_code, first.json()["code"]) == (422, "inputs_invalid")
    assert caller.post(START, large, key=key).content == first.content


def test_secret_input_is_not_kept_with_the_key(caller, key):
    caller.post(START, {"inputs": {"password": "hunter22"}}, key=key)

    row = IdempotencyKey.objects.filter(key=key).values()[0]
    assert "hunter22" not in str(row)
    assert row["status_code"] == 201


def test_fingerprint_cannot_be_computed_without_the_key_of_the_server(settings):
    before = keys.fingerprint_of("POST", "/", b"hunter22")
    settings.SECRET_KEY = "another"

    assert keys.fingerprint_of("POST", "/", b"hunter22") != before


def test_key_that_is_no_longer_kept_is_a_new_one(actor, caller, key):
    caller.post(START, {}, key=key)
    IdempotencyKey.objects.filter(key=key).update(created_at=LONG_AGO)

    again = caller.post(START, {"inputs": {"who": "Bob"}}, key=key)

    assert (again.status_code, runs_of(actor)) == (201, 2)


def test_key_that_is_new_again_knows_nothing_of_the_call_before(actor, caller, key, connection):
    caller.post(START, {}, key=key)
    fingerprint = kept(key).fingerprint
    IdempotencyKey.objects.filter(key=key).update(created_at=LONG_AGO)
    keys.reserve(connection, actor=actor, key=key, fingerprint=fingerprint)

    with pytest.raises(keys.RequestInProgress):
        keys.reserve(connection, actor=actor, key=key, fingerprint=fingerprint)


def test_keys_that_are_no_longer_kept_are_pruned(caller, key, connection, monkeypatch):
    caller.post(START, {}, key=key)
    caller.post(START, {}, key=f"{key} young")
    IdempotencyKey.objects.filter(key=key).update(created_at=LONG_AGO)

    # Those that other tests have made are more than one look takes.
    monkeypatch.setattr(retention, "ORGANIZATIONS_PER_LOOK", 1_000_000)
    retention.Pruning(lambda: 0.0).prune(connection)

    assert not IdempotencyKey.objects.filter(key=key).exists()
    assert IdempotencyKey.objects.filter(key=f"{key} young").exists()


def test_every_view_takes_keys():
    assert all(issubclass(pattern.callback.view_class, ApiView) for pattern in urls.urlpatterns)


def test_cancel_that_is_sent_again_under_its_key_spares_the_hooks(actor, caller, key):
    run = start_run(actor, {"a": ""}, name="hooked", **{"finally": {"clean": {"uses": "noop"}}})
    path = f"/workflow-runs/{run.id}/cancel"

    answers = [caller.post(path, key=key) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[1].headers["Idempotency-Replayed"] == "true"
    assert statuses(run.id) == {"a": "cancelled", "clean": "queued"}
    assert caller.post(path, key="another").status_code == 200
    assert statuses(run.id) == {"a": "cancelled", "clean": "cancelled"}
