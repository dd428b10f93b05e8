"""The admin as signed-in people meet it: who sees and may do what, and what its lists cost."""

import datetime
import re
import secrets

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection as django_connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts import selectors
from accounts.admin.paginator import MOST_COUNTED
from accounts.choices import Role
from accounts.models import ApiKey, Environment, Organization, User
from executors.models import TaskLogLine, Worker
from maestro.core.ids import new_id
from tests.benchmarks.admin import make_client, make_many_runs, pages
from tests.builders import make_actor, start_run
from tests.integration.calls import execute
from workflows.models import ApprovalDecision, EngineCounter, Pause, TaskAttempt, TaskExecution, WorkflowRun
from workflows.pauses import services as pauses
from workflows.pauses.services import PauseTarget

# Of the forms on an organization's page.
COUNTS = ("TOTAL", "INITIAL")
BIG_TABLES = ("workflow_runs", "task_executions", "task_attempts", "task_log_lines")


@pytest.fixture(autouse=True)
def _served(database, settings):
    settings.ALLOWED_HOSTS = ["testserver"]


@pytest.fixture
def superuser(actor):
    return make_client(actor, is_superuser=True)


def staff(role):
    member = make_actor(role)
    return member, make_client(member, is_superuser=False)


def address(name, *arguments):
    return reverse(f"admin:{name}", args=arguments)


def messages_of(answer):
    return [str(message) for message in answer.context["messages"]]


@pytest.fixture(scope="module")
def many(database):
    """Enough rows that a list is longer than what is counted, of an organization beside others."""
    member = make_actor()
    make_many_runs(member, MOST_COUNTED + 500, workflows=30)
    return member


def test_every_page_opens_for_a_superuser_and_asks_few_bounded_questions(many):
    client = make_client(many, is_superuser=True)
    for name, page in pages(many).items():
        with CaptureQueriesContext(django_connection) as asked:
            answer = client.get(page)

        assert answer.status_code == 200, name
        assert len(asked) <= 20, (name, [query["sql"] for query in asked])
        for query in asked:
            assert not is_unbounded(query["sql"]), (name, query["sql"])


def is_unbounded(statement):
    """Tell whether a statement counts or lists a big table without a limit, a run or an id."""
    reads_big = any(f'FROM "{table}"' in statement for table in BIG_TABLES)
    is_bound = "LIMIT" in statement or re.search(r'"(id|run_id|task_execution_id)" (=|IN)', statement)
    return reads_big and "SELECT DISTINCT" not in statement and not is_bound


def test_list_counts_no_further_than_its_cap_and_says_so(many):
    client = make_client(many, is_superuser=True)

    answer = client.get(address("workflows_workflowrun_changelist"))

    assert answer.context["cl"].result_count == MOST_COUNTED
    page = answer.content.decode()
    assert f"{MOST_COUNTED}+ workflow runs" in page
    assert f"{MOST_COUNTED} results" not in page


@pytest.mark.parametrize(
    "query", ["error_message__contains=x", "inputs__a=1", "o=4", "all=", "_facets=True", "p=9999", "run__id__exact=x"]
)
def test_address_somebody_made_up_neither_scans_nor_breaks(many, query):
    client = make_client(many, is_superuser=True)

    with CaptureQueriesContext(django_connection) as asked:
        answer = client.get(f"{address('workflows_workflowrun_changelist')}?{query}")

    assert answer.status_code in (200, 302, 400)
    assert not any(is_unbounded(statement["sql"]) for statement in asked)


def test_tasks_cannot_be_filtered_by_what_no_index_serves(superuser):
    answer = superuser.get(f"{address('workflows_taskexecution_changelist')}?kind__exact=%00")

    assert answer.status_code == 400


@pytest.mark.parametrize("term", ["many-1", "0123abcd", "\0", "%", "x" * 5000, "nothing-of-this-name"])
def test_search_never_breaks(many, term):
    client = make_client(many, is_superuser=True)

    answer = client.get(address("workflows_workflowrun_changelist"), {"q": term})

    assert answer.status_code == 200


def test_run_is_found_by_the_beginning_of_its_id(actor, superuser):
    run = start_run(actor, {"a": ""})

    answer = superuser.get(address("workflows_workflowrun_changelist"), {"q": str(run.id)[:23]})

    assert run in answer.context["cl"].result_list


def test_member_sees_only_rows_of_their_organizations(actor):
    foreign = start_run(actor, {"a": ""})
    task = TaskExecution.objects.get(run=foreign)
    _, client = staff(Role.OWNER)

    for name in ("workflow", "workflowversion", "workflowrun", "taskexecution"):
        listed = client.get(address(f"workflows_{name}_changelist"))
        assert listed.context["cl"].result_count == 0, name
    of_run = client.get(f"{address('workflows_taskexecution_changelist')}?run__id__exact={foreign.id}")
    assert of_run.context["cl"].result_count == 0
    for name, row in (("workflowrun", foreign.id), ("taskexecution", task.id), ("workflow", foreign.workflow_id)):
        assert client.get(address(f"workflows_{name}_change", row)).status_code == 302, name


@pytest.mark.parametrize(
    "name",
    ["executors_worker", "accounts_user", "accounts_organization", "accounts_environment", "workflows_taskattempt"],
)
def test_rows_of_the_platform_are_for_superusers(name):
    _, client = staff(Role.OWNER)

    assert client.get(address(f"{name}_changelist")).status_code == 403
    assert address(f"{name}_changelist") not in client.get(address("index")).content.decode()


def test_person_without_a_membership_sees_no_rows_and_no_error():
    client = Client()
    client.force_login(User.objects.create(email=f"{new_id().hex}@example.org", is_staff=True))

    assert client.get(address("index")).status_code == 200
    assert client.get(address("workflows_workflowrun_changelist")).status_code == 403


def test_member_cancels_a_run_by_the_button(sent):
    member, client = staff(Role.OPERATOR)
    run = start_run(make_owner_of(member), {"a": ""})

    page = client.get(address("workflows_workflowrun_change", run.id)).content.decode()
    answer = client.post(address("workflows_workflowrun_cancel", run.id), follow=True)

    assert "Cancel run" in page
    assert messages_of(answer) == ["The run is cancelled."]
    run.refresh_from_db()
    assert run.status == "cancelled"


def test_paused_run_has_the_button_to_cancel_it_and_one_that_is_being_cancelled_has_none(actor, superuser, sent):
    run = start_run(actor, {"a": ""})
    page = address("workflows_workflowrun_change", run.id)

    WorkflowRun.objects.filter(id=run.id).update(hold=1, reason="paused")
    assert "Cancel run" in superuser.get(page).content.decode()

    WorkflowRun.objects.filter(id=run.id).update(hold=2, reason="cancelling")
    assert "Cancel run" not in superuser.get(page).content.decode()


def test_viewer_has_no_buttons_and_is_refused_with_the_reason(sent):
    member, client = staff(Role.VIEWER)
    run = start_run(make_owner_of(member), {"a": ""})

    page = client.get(address("workflows_workflowrun_change", run.id)).content.decode()
    answer = client.post(address("workflows_workflowrun_cancel", run.id), follow=True)

    assert "Cancel run" not in page
    assert "Run again" not in page
    assert "runs.cancel" in messages_of(answer)[0]
    run.refresh_from_db()
    assert run.status == "running"


def make_owner_of(member):
    """An owner in the organization of another member."""
    owner = make_actor()
    return type(owner)(
        kind=owner.kind,
        user_id=owner.user_id,
        organization_id=member.organization_id,
        environment_id=member.environment_id,
        permissions=owner.permissions,
    )


def test_run_of_a_stranger_can_be_neither_cancelled_nor_seen(actor, sent):
    run = start_run(actor, {"a": ""})
    _, client = staff(Role.OWNER)

    assert client.post(address("workflows_workflowrun_cancel", run.id)).status_code == 404
    run.refresh_from_db()
    assert run.status == "running"


def test_superuser_acts_as_an_owner_in_an_organization_they_are_no_member_of(superuser, sent):
    run = start_run(make_actor(), {"a": ""})

    answer = superuser.post(address("workflows_workflowrun_cancel", run.id), follow=True)

    assert messages_of(answer) == ["The run is cancelled."]


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("workflows_workflowrun_cancel", "id"),
        ("workflows_workflowversion_activate", "workflow_version_id"),
        ("workflows_workflow_archive", "workflow_id"),
    ],
)
def test_nothing_changes_by_following_a_link(actor, superuser, sent, name, of):
    run = start_run(actor, {"a": ""})

    assert superuser.get(address(name, getattr(run, of))).status_code == 405


def test_finished_run_tells_that_it_cannot_be_cancelled(actor, superuser, sent):
    run = start_run(actor, {"a": ""})
    WorkflowRun.objects.filter(id=run.id).update(status="succeeded")

    answer = superuser.post(address("workflows_workflowrun_cancel", run.id), follow=True)

    assert messages_of(answer) == ["The run has succeeded already."]


def test_run_is_started_by_the_form_with_typed_inputs(actor, superuser, sent):
    schemas = {"n": {"type": "integer", "minimum": 1}, "who": {"type": "string", "default": "world"}}
    run = start_run(actor, {"a": ""}, inputs=schemas, given={"n": 1})
    form = address("workflows_workflow_run", run.workflow_id)

    refused = superuser.post(form, {"input-n": "0"})
    answer = superuser.post(form, {"input-n": "7", "input-who": "42"})

    assert refused.context["form"].errors == {"input-n": ["must be at least 1"]}
    started = WorkflowRun.objects.get(id=answer.url.split("/")[-3])
    assert started.inputs == {"n": 7, "who": "42"}
    assert started.user_id == actor.user_id


def test_run_is_repeated_with_the_inputs_it_had(actor, superuser, sent):
    run = start_run(actor, {"a": ""}, inputs={"n": {"type": "integer"}}, given={"n": 4711})
    elsewhere = start_run(make_actor(), {"a": ""}, inputs={"n": {"type": "integer"}}, given={"n": 815})
    form = address("workflows_workflow_run", run.workflow_id)

    page = superuser.get(address("workflows_workflowrun_change", run.id)).content.decode()
    own, foreign = (superuser.get(f"{form}?from={one.id}").content.decode() for one in (run, elsewhere))

    assert f'href="{form}?from={run.id}"' in page
    assert 'value="4711"' in own
    assert 'value="815"' not in foreign


def test_version_shows_what_changed_and_is_activated(actor, superuser, sent):
    first = start_run(actor, {"a": ""})
    second = start_run(actor, {"a": "", "b": "a"})

    page = superuser.get(address("workflows_workflowversion_change", second.workflow_version_id)).content.decode()
    answer = superuser.post(address("workflows_workflowversion_activate", first.workflow_version_id), follow=True)

    assert 'class="gi">+  b:' in page
    assert messages_of(answer) == ["New runs use version 1."]
    first.workflow.refresh_from_db()
    assert first.workflow.active_version_id == first.workflow_version_id


def test_archived_workflow_has_no_form_to_run_it(actor, superuser, sent):
    run = start_run(actor, {"a": ""})

    superuser.post(address("workflows_workflow_archive", run.workflow_id))
    answer = superuser.get(address("workflows_workflow_run", run.workflow_id), follow=True)

    assert "it starts no runs" in messages_of(answer)[-1]


def test_run_of_many_tasks_is_counted_instead_of_drawn(actor, superuser, sent):
    # One before the others: more first tasks would be sent by a real message, which `sent` does not keep from workers.
    run = start_run(actor, {"s": "", **{f"t{number}": "s" for number in range(61)}})
    TaskExecution.objects.filter(run=run, task_key="t60").update(status="failed")

    page = superuser.get(address("workflows_workflowrun_change", run.id)).content.decode()

    assert "<svg" not in page
    assert "60 pending" in page
    assert page.index(">t60<") < page.index(">t0<")
    assert page.count("/admin/workflows/taskexecution/") < 40


def test_markup_of_an_author_is_shown_and_not_run(actor, superuser, sent):
    markup = "<script>alert(1)</script>"
    evil = {"title": markup, "description": markup, "default": markup, "type": "string"}
    inputs = {"x": evil, "y": {"enum": [markup], "default": markup}}
    run = start_run(actor, {"a": ""}, description=markup, inputs=inputs)
    WorkflowRun.objects.filter(id=run.id).update(error_message=markup, outputs={markup: markup})
    task = TaskExecution.objects.get(run=run)
    TaskExecution.objects.filter(run=run).update(error_message=markup, output={markup: markup})
    TaskLogLine.objects.create(
        organization_id=run.organization_id,
        run_id=run.id,
        task_key="a",
        attempt=1,
        message=markup,
        created_at=run.created_at,
    )

    for name, row in (
        ("workflowrun_change", run.id),
        ("workflowversion_change", run.workflow_version_id),
        ("workflow_change", run.workflow_id),
        ("workflow_run", run.workflow_id),
        ("taskexecution_change", task.id),
    ):
        page = superuser.get(address(f"workflows_{name}", row)).content.decode()
        assert "<script>alert" not in page, name
        assert "alert(1)" in page, name


def test_secret_input_of_a_run_is_not_shown(actor, superuser, sent):
    run = start_run(actor, {"a": ""}, inputs={"x": {"type": "string", "writeOnly": True}}, given={"x": "s3cret"})
    WorkflowRun.objects.filter(id=run.id).update(outputs={"found": "it is s3cret"})
    TaskExecution.objects.filter(run=run).update(output={"found": "it is s3cret"})
    task = TaskExecution.objects.get(run=run)

    pages = [address("workflows_workflowrun_change", run.id), address("workflows_taskexecution_change", task.id)]

    for page in (superuser.get(page).content.decode() for page in pages):
        assert "s3cret" not in page
        assert "it is ••••••" in page


@pytest.mark.parametrize("name", ["workflow", "workflowversion", "workflowrun", "taskexecution", "taskattempt"])
def test_history_cannot_be_changed_even_by_a_superuser(actor, superuser, sent, name):
    run = start_run(actor, {"a": ""})
    rows = {"workflow": run.workflow_id, "workflowversion": run.workflow_version_id, "workflowrun": run.id}

    assert superuser.get(address(f"workflows_{name}_add")).status_code == 403
    if name in rows:
        assert superuser.post(address(f"workflows_{name}_change", rows[name]), {"status": "failed"}).status_code == 403
        assert superuser.post(address(f"workflows_{name}_delete", rows[name]), {"post": "yes"}).status_code == 403


def test_home_names_failed_runs_and_lost_workers(actor, superuser, sent):
    run = start_run(actor, {"a": ""}, name="of-the-night")
    WorkflowRun.objects.filter(id=run.id).update(status="failed")
    worker = Worker.objects.create(name=f"w-{new_id().hex}", pid=1, concurrency=1, lost_at=run.created_at)

    page = superuser.get(address("index")).content.decode()

    assert f"status=failed&amp;created=24h&amp;workflow__id__exact={run.workflow_id}" in page
    assert worker.name in page


def test_latest_worker_stands_first_whatever_it_takes_for_the_time(superuser):
    ids = sorted(new_id() for _ in range(3))
    for worker_id, year in zip(ids, (2126, 2127, 2125), strict=True):
        at = datetime.datetime(year, 1, 1, tzinfo=datetime.UTC)
        Worker.objects.create(id=worker_id, name=f"of-{year}", pid=1, concurrency=1, started_at=at, lost_at=at)

    page = superuser.get(address("executors_worker_changelist")).content.decode()
    Worker.objects.filter(id__in=ids).delete()

    places = [page.index(name) for name in ("of-2127", "of-2126", "of-2125")]
    assert places == sorted(places)


def test_home_counts_lost_attempts_and_late_results(superuser):
    for name, value in (("lost_attempts", 1), ("fenced_writes", 12)):
        EngineCounter.objects.update_or_create(name=name, defaults={"value": value})

    page = superuser.get(address("index")).content.decode()

    assert "Since the beginning: 1 attempt lost, 12 late results dropped." in page


def test_page_of_a_task_tells_of_a_late_result(actor, superuser, sent):
    run = start_run(actor, {"a": ""})
    task = TaskExecution.objects.get(run_id=run.id)
    late = {"status": "lost", "late_status": "succeeded", "late_at": run.created_at}
    attempt = TaskAttempt.objects.create(organization_id=run.organization_id, task_execution=task, attempt=1, **late)

    page = superuser.get(address("workflows_taskexecution_change", task.id)).content.decode()

    assert "Its result (succeeded) came too late" in page
    assert "succeeded" in superuser.get(address("workflows_taskattempt_change", attempt.id)).content.decode()


def key_form(member, **changed):
    given = {"key_id": new_id(), "name": "nightly", "environment": member.environment_id, "user": member.user_id}
    return given | {"scopes": ["runs.read"]} | changed


def test_secret_of_a_new_key_is_shown_once_and_opens_the_api():
    member, client = staff(Role.OPERATOR)

    answer = client.post(address("accounts_apikey_add"), key_form(member))

    key = answer.context["key"]
    assert key in answer.content.decode()
    assert "no-store" in answer.headers["Cache-Control"]
    actor = selectors.get_actor_of_key(key)
    assert (actor.organization_id, actor.permissions) == (member.organization_id, {"runs.read"})
    row = ApiKey.objects.get(id=actor.api_key_id)
    assert key not in client.get(address("accounts_apikey_change", row.id)).content.decode()


def test_form_of_a_key_sent_twice_makes_one_key():
    member, client = staff(Role.OPERATOR)
    form = key_form(member)
    client.post(address("accounts_apikey_add"), form)

    answer = client.post(address("accounts_apikey_add"), form)

    assert "made its key already" in answer.context["form"].non_field_errors()[0]
    assert ApiKey.objects.filter(user_id=member.user_id).count() == 1


def test_member_makes_no_key_for_anybody_else_or_elsewhere(actor):
    member, client = staff(Role.OWNER)

    answer = client.post(
        address("accounts_apikey_add"), key_form(member, user=actor.user_id, environment=actor.environment_id)
    )

    assert set(answer.context["form"].errors) == {"user", "environment"}
    assert not ApiKey.objects.filter(user_id__in=[actor.user_id, member.user_id]).exists()


def test_superuser_is_told_that_the_owner_of_a_key_must_be_a_member(actor, superuser):
    other = make_actor()

    answer = superuser.post(address("accounts_apikey_add"), key_form(actor, user=other.user_id))

    assert "is not a member of this organization" in answer.context["form"].errors["user"][0]


def test_revoked_key_opens_nothing_and_stays_revoked():
    member, client = staff(Role.OPERATOR)
    key = client.post(address("accounts_apikey_add"), key_form(member)).context["key"]
    row = ApiKey.objects.get(user_id=member.user_id)

    first = client.post(address("accounts_apikey_revoke", row.id), follow=True)
    second = client.post(address("accounts_apikey_revoke", row.id), follow=True)

    with pytest.raises(Exception, match="not valid"):
        selectors.get_actor_of_key(key)
    assert "is revoked" in messages_of(first)[0]
    assert "was revoked before" in messages_of(second)[0]


def test_key_of_somebody_else_can_be_neither_seen_nor_revoked(actor):
    member, owner = staff(Role.OWNER)
    owner.post(address("accounts_apikey_add"), key_form(member))
    row = ApiKey.objects.get(user_id=member.user_id)
    _, client = staff(Role.OWNER)

    assert client.get(address("accounts_apikey_change", row.id)).status_code == 302
    assert client.post(address("accounts_apikey_revoke", row.id)).status_code == 404
    row.refresh_from_db()
    assert row.revoked_at is None


def test_organization_made_in_the_admin_has_its_environment_and_members(superuser):
    slug, user = new_id().hex, make_actor().user_id
    inlines = {
        "memberships-TOTAL_FORMS": 1,
        "memberships-INITIAL_FORMS": 0,
        "memberships-0-user": user,
        "memberships-0-role": "owner",
        "environments-TOTAL_FORMS": 0,
        "environments-INITIAL_FORMS": 0,
    }

    superuser.post(address("accounts_organization_add"), {"name": "New", "slug": slug} | inlines)

    organization = Organization.objects.get(slug=slug)
    assert [one.name for one in Environment.objects.filter(organization=organization)] == ["production"]
    assert organization.memberships.get().user_id == user


def organization_form(organization, **values):
    inlines = {f"{prefix}-{count}_FORMS": 0 for prefix in ("memberships", "environments") for count in COUNTS}
    return {"name": organization.name, "slug": organization.slug} | inlines | values


def test_how_long_an_organization_keeps_its_history_is_changed_in_the_admin_and_recorded(actor, superuser):
    organization = Organization.objects.get(id=actor.organization_id)
    days = {"run_retention_days": 365, "attempt_retention_days": "", "log_retention_days": 7}

    superuser.post(address("accounts_organization_change", organization.id), organization_form(organization, **days))

    organization.refresh_from_db()
    kept = organization.run_retention_days, organization.attempt_retention_days, organization.log_retention_days
    assert kept == (365, None, 7)
    entry = LogEntry.objects.get(object_id=str(organization.id))
    assert (entry.user_id, "Keep runs for" in entry.get_change_message()) == (actor.user_id, True)


@pytest.mark.parametrize("days", [0, -5, 36_501, "soon"])
def test_what_is_no_time_to_keep_history_is_refused_at_its_field(actor, superuser, days):
    organization = Organization.objects.get(id=actor.organization_id)

    answer = superuser.post(
        address("accounts_organization_change", organization.id),
        organization_form(organization, run_retention_days=days),
    )

    assert list(answer.context["adminform"].form.errors) == ["run_retention_days"]
    organization.refresh_from_db()
    assert organization.run_retention_days == 90


def test_owner_of_an_organization_who_is_no_superuser_does_not_change_how_long_it_keeps_its_history():
    owner, client = staff(Role.OWNER)
    organization = Organization.objects.get(id=owner.organization_id)

    answer = client.post(
        address("accounts_organization_change", organization.id),
        organization_form(organization, run_retention_days=1),
    )

    assert answer.status_code == 403
    organization.refresh_from_db()
    assert organization.run_retention_days == 90


def test_user_made_in_the_admin_signs_in_however_they_spell_their_address(superuser):
    email = f"Ada.{new_id().hex}@Example.org"
    password = secrets.token_urlsafe(16)
    given = {"email": email, "usable_password": "true", "password1": password, "password2": password}

    answer = superuser.post(address("accounts_user_add"), given)

    assert answer.status_code == 302, answer.context["adminform"].form.errors
    assert Client().login(username=email.upper(), password=password)


def test_pages_link_a_task_with_the_run_it_has_started_both_ways(actor, superuser, sent):
    start_run(actor, {"x": ""}, name="child")
    run = start_run(actor, {"a": {"uses": "workflow", "with": {"workflow": "child"}}})
    execute(run)
    task = TaskExecution.objects.get(run_id=run.id)

    above = superuser.get(address("workflows_taskexecution_change", task.id)).content.decode()
    below = superuser.get(address("workflows_workflowrun_change", task.child_run_id)).content.decode()

    assert f'href="{address("workflows_workflowrun_change", task.child_run_id)}"' in above
    assert f'href="{address("workflows_taskexecution_change", task.id)}"' in below


def test_page_of_a_task_that_waits_says_for_what_and_that_of_a_paused_run_by_whom(actor, superuser, sent):
    run = start_run(actor, {"a": {"uses": "signal", "with": {"name": "payment"}}})
    execute(run)
    task = TaskExecution.objects.get(run_id=run.id)
    pauses.pause(actor=actor, target=PauseTarget(run_id=run.id), reason="<b>moving</b>")

    of_task = superuser.get(address("workflows_taskexecution_change", task.id)).content.decode()
    of_run = superuser.get(address("workflows_workflowrun_change", run.id)).content.decode()

    assert "It waits for the signal payment" in of_task
    who = User.objects.get(id=actor.user_id).email
    for page in (of_task, of_run):
        assert f"is paused by {who} since " in page
        assert "&lt;b&gt;moving&lt;/b&gt;" in page
    assert "waiting, signal" in of_run


def asking(**options):
    return {"uses": "approval", "with": {"message": "Ship it?", **options}}


def waiting_task(actor, **options):
    run = start_run(actor, {"a": asking(**options), "b": "a"})
    execute(run)
    return TaskExecution.objects.get(run=run, task_key="a")


@pytest.mark.parametrize(("name", "of"), [("workflowrun", "id"), ("workflow", "workflow_id")])
def test_member_pauses_and_resumes_by_the_buttons(sent, name, of):
    member, client = staff(Role.OPERATOR)
    run = start_run(make_owner_of(member), {"a": ""})
    page = address(f"workflows_{name}_change", getattr(run, of))

    paused = client.post(address(f"workflows_{name}_pause", getattr(run, of)), {"reason": "moving"}, follow=True)

    pause = Pause.objects.get(organization_id=member.organization_id)
    assert (pause.paused_by_id, pause.reason) == (member.user_id, "moving")
    assert messages_of(paused) == ["It is paused: nothing of it begins until somebody resumes it."]
    shown = client.get(page).content.decode()
    assert f"is paused by {pause.paused_by.email} since " in shown
    assert ("Resume" in shown, 'name="reason"' in shown) == (True, False)

    resumed = client.post(address(f"workflows_{name}_resume", getattr(run, of)), follow=True)

    pause.refresh_from_db()
    assert pause.resumed_by_id == member.user_id
    assert messages_of(resumed) == ["It goes on, but for what another pause covers."]
    assert 'name="reason"' in client.get(page).content.decode()


def test_run_whose_workflow_is_paused_has_no_button_to_resume_it(actor, superuser, sent):
    run = start_run(actor, {"a": ""})
    pauses.pause(actor=actor, target=PauseTarget(workflow=run.workflow.name), reason="")

    page = superuser.get(address("workflows_workflowrun_change", run.id)).content.decode()

    assert f"Workflow {run.workflow.name} is paused by " in page
    assert "Resume" not in page


@pytest.mark.parametrize(("name", "of"), [("workflowrun", "id"), ("workflow", "workflow_id")])
def test_viewer_cannot_pause(sent, name, of):
    member, client = staff(Role.VIEWER)
    run = start_run(make_owner_of(member), {"a": ""})

    page = client.get(address(f"workflows_{name}_change", getattr(run, of))).content.decode()
    answer = client.post(address(f"workflows_{name}_pause", getattr(run, of)), {"reason": ""}, follow=True)

    assert 'name="reason"' not in page
    assert "runs.pause" in messages_of(answer)[0]
    assert not Pause.objects.filter(organization_id=member.organization_id).exists()


@pytest.mark.parametrize("verb", ["pause", "resume"])
@pytest.mark.parametrize(("name", "of"), [("workflowrun", "id"), ("workflow", "workflow_id")])
def test_what_a_stranger_owns_can_be_neither_paused_nor_resumed(actor, sent, name, of, verb):
    run = start_run(actor, {"a": ""})
    _, client = staff(Role.OWNER)

    assert client.post(address(f"workflows_{name}_{verb}", getattr(run, of))).status_code == 404
    assert client.get(address(f"workflows_{name}_{verb}", getattr(run, of))).status_code == 405
    assert not Pause.objects.filter(organization_id=actor.organization_id).exists()


def test_reason_that_cannot_be_stored_is_refused_with_why(actor, superuser, sent):
    run = start_run(actor, {"a": ""})

    answer = superuser.post(address("workflows_workflowrun_pause", run.id), {"reason": "x" * 1001}, follow=True)

    assert "at most 1000 characters" in messages_of(answer)[0]
    assert not Pause.objects.filter(run=run).exists()


def test_member_approves_by_the_form_with_typed_answers(sent):
    member, client = staff(Role.OPERATOR)
    form = {"carrier": {"type": "string"}, "days": {"type": "integer", "default": 3}}
    task = waiting_task(make_owner_of(member), form=form)
    decide = address("workflows_taskexecution_decide", task.id)
    page = client.get(address("workflows_taskexecution_change", task.id)).content.decode()
    assert ("Ship it?" in page, decide in page) == (True, True)

    refused = client.post(decide, {"outcome": "approved", "input-days": "soon"})
    missing = client.post(decide, {"outcome": "approved", "input-days": "7"})
    answer = client.post(
        decide, {"outcome": "approved", "input-carrier": "dhl", "input-days": "7", "comment": "ok"}, follow=True
    )

    assert refused.context["form"].errors == {"input-days": ["This is no integer."]}
    assert missing.context["form"].errors == {"input-carrier": ["is required; it has no default"]}
    assert messages_of(answer) == ["a is approved."]
    decision = ApprovalDecision.objects.get(task_execution=task)
    assert (decision.user_id, decision.comment, decision.form) == (member.user_id, "ok", {"carrier": "dhl", "days": 7})
    assert decide not in client.get(address("workflows_taskexecution_change", task.id)).content.decode()


@pytest.mark.parametrize("sent_with", [{}, {"outcome": "maybe"}])
def test_form_without_a_decision_decides_nothing(actor, superuser, sent, sent_with):
    task = waiting_task(actor)

    answer = superuser.post(address("workflows_taskexecution_decide", task.id), {"comment": "ok"} | sent_with)

    assert answer.status_code == 200
    task.refresh_from_db()
    assert task.status == "waiting"


def test_member_rejects_without_answers(sent):
    member, client = staff(Role.OPERATOR)
    task = waiting_task(make_owner_of(member), form={"carrier": {"type": "string"}})

    answer = client.post(
        address("workflows_taskexecution_decide", task.id), {"outcome": "rejected", "comment": "no"}, follow=True
    )

    assert messages_of(answer) == ["a is rejected."]
    task.refresh_from_db()
    assert (task.status, task.error_code) == ("failed", "rejected")


def test_who_is_no_approver_sees_no_button_and_is_refused(sent):
    member, client = staff(Role.OPERATOR)
    task = waiting_task(make_owner_of(member), approvers={"roles": ["owner"]})
    decide = address("workflows_taskexecution_decide", task.id)

    page = client.get(address("workflows_taskexecution_change", task.id)).content.decode()
    answer = client.post(decide, {"outcome": "approved"})

    assert ("Ship it?" in page, decide in page) == (True, False)
    assert answer.context["form"].non_field_errors() == ["You may not decide this; a member with the role owner may."]
    assert not ApprovalDecision.objects.filter(task_execution=task).exists()


def test_approval_of_a_stranger_is_not_there(actor, sent):
    task = waiting_task(actor)
    _, client = staff(Role.OWNER)

    assert client.post(address("workflows_taskexecution_decide", task.id), {"outcome": "approved"}).status_code == 404
    assert not ApprovalDecision.objects.filter(task_execution=task).exists()


def test_task_that_waits_for_no_decision_says_so(actor, superuser, sent):
    run = start_run(actor, {"a": ""})

    answer = superuser.get(address("workflows_taskexecution_decide", run.task_executions.get().id), follow=True)

    assert messages_of(answer) == ["a does not wait for a decision."]
