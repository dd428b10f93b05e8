"""What each page of the admin takes, from few runs to a million: `python -m tests.benchmarks.admin`."""

import argparse
import time

# First: it chooses the servers' ports and sets Django up.
from tests.conftest import HOME, POSTGRES_PORT, VALKEY_PORT

from django.test import Client, override_settings  # isort: skip
from django.urls import reverse  # isort: skip
from psycopg.types.json import Jsonb  # isort: skip
from accounts.models import User  # isort: skip
from maestro.core import sql  # isort: skip
from tests.builders import make_actor, start_run  # isort: skip
from tests.servers import Servers  # isort: skip
from workflows.models import TaskExecution, WorkflowRun  # isort: skip

REPEATS = 5
WORKFLOWS = 200
# Runs spread over thirty days: one of 50 failed, one of 1,000 runs; two tasks each, with the run's status.
_MAKE_WORKFLOWS = """
WITH made AS (
    INSERT INTO workflows (id, organization_id, name, description, created_at, updated_at)
    SELECT uuidv7(), %(organization_id)s, 'many-' || n, '', now(), now() FROM generate_series(1, %(workflows)s) n
    RETURNING id
), versions AS (
    INSERT INTO workflow_versions (
        id, organization_id, workflow_id, number, content_hash, definition, plan, plan_version, created_at
    )
    SELECT uuidv7(), %(organization_id)s, made.id, 1, made.id::text, %(definition)s, v.plan, v.plan_version, now()
    FROM made CROSS JOIN workflow_versions v WHERE v.id = %(version_id)s
    RETURNING id, workflow_id
)
SELECT array_agg(workflow_id), array_agg(id) FROM versions
"""
_MAKE_RUNS = """
WITH made AS (
    INSERT INTO workflow_runs (
        id, organization_id, environment_id, workflow_id, workflow_version_id, user_id, trigger_type, status, reason,
        hold, inputs, error_message, created_at, started_at, finished_at
    )
    SELECT uuidv7(age), %(organization_id)s, %(environment_id)s, (%(workflow_ids)s::uuid[])[1 + n %% %(workflows)s],
           (%(version_ids)s::uuid[])[1 + n %% %(workflows)s], %(user_id)s, 'manual', status, '', 0, '{}', '',
           now() + age, now() + age, CASE WHEN status <> 'running' THEN now() + age + interval '1 second' END
    FROM generate_series(1, %(count)s) n
         CROSS JOIN LATERAL (SELECT interval '-30 days' * (1 - n / %(count)s::float8) AS age) aged
         CROSS JOIN LATERAL (
             SELECT CASE WHEN n %% 50 = 7 THEN 'failed' WHEN n %% 1000 = 3 THEN 'running' ELSE 'succeeded' END AS status
         ) stated
    RETURNING id, status, created_at
)
INSERT INTO task_executions (
    run_id, organization_id, task_key, position, kind, needs, run_if, status, reason, attempt, tries,
    platform_failures, generation, hold, worker, queue, priority, error_code, error_message, created_at,
    queued_at, started_at, finished_at
)
SELECT made.id, %(organization_id)s, key, position, 'noop', CASE position WHEN 1 THEN '{a}'::text[] ELSE '{}' END,
       'all_succeeded', CASE WHEN made.status = 'running' AND position = 1 THEN 'waiting' ELSE made.status END,
       '', 1, 0, 0, 0, 0, 'w', 'maestro', 0, '', '', made.created_at, made.created_at, made.created_at,
       CASE WHEN made.status <> 'running' THEN made.created_at END
FROM made CROSS JOIN (VALUES ('a', 0), ('b', 1)) task (key, position)
"""


def make_many_runs(actor, count, *, workflows=WORKFLOWS):
    """Make runs of many workflows, by two statements."""
    template = start_run(actor, {"a": "", "b": "a"}, name="template")
    connection = sql.engine_connection()
    shared = {
        "organization_id": actor.organization_id,
        "environment_id": actor.environment_id,
        "user_id": actor.user_id,
        "workflows": workflows,
        "version_id": template.workflow_version_id,
        "definition": Jsonb(template.workflow_version.definition),
    }
    workflow_ids, version_ids = connection.execute(_MAKE_WORKFLOWS, shared).fetchone()
    made = {"workflow_ids": workflow_ids, "version_ids": version_ids, "count": count}
    connection.execute(_MAKE_RUNS, shared | made)
    connection.execute("ANALYZE workflow_runs")
    connection.execute("ANALYZE task_executions")


def pages(actor):
    """Name → address of each page, for rows of an organization."""
    runs, tasks = reverse("admin:workflows_workflowrun_changelist"), reverse("admin:workflows_taskexecution_changelist")
    own = WorkflowRun.objects.filter(organization_id=actor.organization_id)
    run = own.filter(status="failed").order_by("-created_at").select_related("workflow").first()
    oldest = own.order_by("created_at").first()
    task = TaskExecution.objects.filter(run=run).first()
    return {
        "home": reverse("admin:index"),
        "workflows": reverse("admin:workflows_workflow_changelist"),
        "workflow": reverse("admin:workflows_workflow_change", args=[run.workflow_id]),
        "versions": reverse("admin:workflows_workflowversion_changelist"),
        "version": reverse("admin:workflows_workflowversion_change", args=[run.workflow_version_id]),
        "runs": runs,
        "runs, page 200": f"{runs}?p=200",
        "runs, failed": f"{runs}?status=failed",
        "runs, running": f"{runs}?status=running",
        "runs, cancelled (none)": f"{runs}?status=cancelled",
        "runs, failed of the last day": f"{runs}?status=failed&created=24h",
        "runs of a workflow": f"{runs}?workflow__id__exact={run.workflow_id}",
        "runs, failed, of a workflow": f"{runs}?status=failed&workflow__id__exact={run.workflow_id}",
        "runs, search for a workflow": f"{runs}?q={run.workflow.name}",
        "runs, search for several": f"{runs}?q=many-1",
        "runs, search for an id": f"{runs}?q={oldest.id}",
        "runs, search for nothing": f"{runs}?q=nothing-of-this-name",
        "run": reverse("admin:workflows_workflowrun_change", args=[run.id]),
        "tasks": tasks,
        "tasks, waiting": f"{tasks}?status=waiting",
        "tasks, failed": f"{tasks}?status=failed",
        "tasks of a run": f"{tasks}?run__id__exact={run.id}",
        "task": reverse("admin:workflows_taskexecution_change", args=[task.id]),
        "attempts": reverse("admin:workflows_taskattempt_changelist"),
        "workers": reverse("admin:executors_worker_changelist"),
    }


def make_client(actor, *, is_superuser):
    """A browser of the actor's user, who may open the admin."""
    User.objects.filter(id=actor.user_id).update(is_staff=True, is_superuser=is_superuser)
    client = Client()
    client.force_login(User.objects.get(id=actor.user_id))
    return client


def main():
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.admin", description=__doc__)
    parser.add_argument("--runs", default="1000,1000000", help="numbers of runs, ascending (default %(default)s)")
    arguments = parser.parse_args()
    servers = Servers(HOME, postgres_port=POSTGRES_PORT, valkey_port=VALKEY_PORT)
    servers.start()
    try:
        with override_settings(ALLOWED_HOSTS=["testserver"]):
            _measure([int(number) for number in arguments.runs.split(",")])
    finally:
        servers.stop()


def _measure(numbers):
    # A small organization whose rows are all older than the large one's: what a scan of the newest would have to pass.
    small, large = make_actor(), make_actor()
    make_many_runs(small, 500, workflows=5)
    sql.engine_connection().execute("UPDATE workflow_runs SET created_at = created_at - interval '60 days'")
    made = 0
    results = {}
    for number in numbers:
        actor = make_actor()
        make_many_runs(actor if number < numbers[-1] else large, number - made)
        made = number
        biggest = actor if number < numbers[-1] else large
        for who, person in (("superuser", biggest), ("member", biggest), ("small", small)):
            client = make_client(person, is_superuser=who == "superuser")
            for name, address in pages(person).items():
                results.setdefault(name, {})[f"{number:,} {who}"] = min(_time(client, address) for _ in range(REPEATS))
    columns = list(next(iter(results.values())))
    print(f"| page (ms) | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}")
    for name, row in results.items():
        print(f"| {name} | {' | '.join(f'{row[column] * 1000:.0f}' if column in row else '' for column in columns)} |")


def _time(client, address):
    started = time.perf_counter()
    answer = client.get(address)
    taken = time.perf_counter() - started
    # 302: there are fewer pages. 403: a page for superusers only.
    assert answer.status_code in (200, 302, 403), (address, answer.status_code)
    return taken


if __name__ == "__main__":
    main()
