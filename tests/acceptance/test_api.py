"""The REST API over HTTP, as a client uses it."""

import json
import uuid

import psycopg
import pytest
import requests

from tests.patience import PATIENCE_SECONDS, wait_until

DEFINITION = {
    "schema_version": 1,
    "inputs": {"who": {"type": "string", "default": "world"}},
    "tasks": {
        "greet": {"uses": "shell", "with": {"command": "echo hello $WHO", "env": {"WHO": "${{ inputs.who }}"}}},
        "after": {"needs": ["greet"], "uses": "noop", "with": {"output": "${{ tasks.greet.output.stdout }}"}},
    },
    "outputs": {"said": "${{ tasks.after.output }}"},
}
YAML = """
schema_version: 1
name: {name}
tasks:
  only: {{uses: noop}}
"""


@pytest.fixture
def name():
    return f"w-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def workflow(stack, name):
    answer = stack.request("POST", "/workflows", json={"definition": DEFINITION | {"name": name}})
    assert answer.status_code == 201, answer.text
    return answer.json()


def run_of(stack, name, **body):
    answer = stack.request("POST", f"/workflows/{name}/runs", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def ended(stack, run_id):
    def look():
        run = stack.request("GET", f"/workflow-runs/{run_id}").json()
        return run if run["finished_at"] else None

    return wait_until(look)


def test_health_answers_under_any_host_name_without_credentials(stack):
    answer = requests.get(f"{stack.url}/health", headers={"Host": "anything.example"}, timeout=PATIENCE_SECONDS)

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_other_paths_refuse_unknown_host_names(stack):
    answer = requests.get(
        f"{stack.url}/api/v1/workflows", headers={"Host": "anything.example"}, timeout=PATIENCE_SECONDS
    )

    assert (answer.status_code, answer.json()["code"]) == (400, "host_not_allowed")
    assert answer.headers["Content-Type"] == "application/problem+json"
    noted = f"[{answer.headers['X-Request-Id']}] A request for a host name not in MAESTRO_ALLOWED_HOSTS"
    wait_until(lambda: noted in stack.log)
    assert "DisallowedHost" not in stack.log


def test_root_leads_to_the_documentation(stack):
    assert requests.get(f"{stack.url}/", timeout=PATIENCE_SECONDS).url == f"{stack.url}/api/docs/"


def test_number_that_becomes_a_decimal_is_new_content(stack, name):
    tasks = {"only": {"uses": "noop", "with": {"output": 1}}}
    definition = {"schema_version": 1, "name": name, "tasks": tasks}
    stack.request("POST", "/workflows", json={"definition": definition})
    tasks["only"]["with"]["output"] = 1.0

    answer = stack.request("POST", "/workflows", json={"definition": definition})

    assert (answer.status_code, answer.json()["version"]) == (201, 2)


def test_integer_input_given_as_a_decimal_is_stored_as_an_integer(stack, name):
    tasks = {"only": {"uses": "noop", "with": {"output": "${{ inputs.n + 1 }}"}}}
    definition = {"schema_version": 1, "name": name, "inputs": {"n": {"type": "integer"}}, "tasks": tasks}
    stack.request("POST", "/workflows", json={"definition": definition})

    run = ended(stack, run_of(stack, name, inputs={"n": 1.0})["id"])

    assert (run["status"], repr(run["inputs"])) == ("succeeded", "{'n': 1}")


def test_same_content_is_unchanged_whether_json_or_yaml(stack, name):
    first = stack.request(
        "POST", "/workflows", data=YAML.format(name=name), headers={"Content-Type": "application/yaml"}
    )
    value = {"tasks": {"only": {"uses": "noop"}}, "name": name, "schema_version": 1}
    second = stack.request("POST", "/workflows", json={"definition": value})
    third = stack.request("POST", "/workflows", json={"definition": YAML.format(name=name) + "# a comment\n"})

    assert [answer.status_code for answer in (first, second, third)] == [201, 200, 200]
    assert {answer.json()["version"] for answer in (first, second, third)} == {1}


def test_content_of_an_older_version_activates_it_again(stack, name, workflow):
    stack.request("POST", "/workflows", data=YAML.format(name=name), headers={"Content-Type": "application/yaml"})

    again = stack.request("POST", "/workflows", json={"definition": DEFINITION | {"name": name}})

    assert (again.status_code, again.json()["version"]) == (200, 1)
    versions = stack.request("GET", f"/workflows/{name}/versions").json()["results"]
    assert [(version["number"], version["is_active"]) for version in versions] == [(2, False), (1, True)]


def test_version_is_activated_by_number(stack, name, workflow):
    stack.request("POST", "/workflows", data=YAML.format(name=name), headers={"Content-Type": "application/yaml"})

    answer = stack.request("POST", f"/workflows/{name}/versions/1/activate")

    assert (answer.status_code, answer.json()["version"]) == (200, 1)


def test_invalid_definition_is_refused_with_every_problem_and_its_place(stack, name):
    text = f"schema_version: 1\nname: {name}\ntasks:\n  a: {{uses: nop, needs: [b]}}\n  c: {{uses: noop, nedes: [a]}}\n"

    refused = stack.request("POST", "/workflows", data=text, headers={"Content-Type": "application/yaml"})

    assert refused.status_code == 422
    assert refused.headers["Content-Type"] == "application/problem+json"
    problem = refused.json()
    assert problem["code"] == "definition_invalid"
    assert {(error["path"], error["line"]) for error in problem["errors"]} == {
        ("tasks.a.uses", 4),
        ("tasks.a.needs[0]", 4),
        ("tasks.c.nedes", 5),
    }
    assert stack.request("GET", f"/workflows/{name}").status_code == 404


def test_function_of_a_module_that_is_not_allowed_is_refused_before_it_runs(stack, name):
    tasks = {
        "constant": {"uses": "python", "with": {"function": "os.system"}},
        "unknown": {"uses": "python", "with": {"function": "examples.no_such_module.function"}},
        "later": {"uses": "python", "with": {"function": "${{ inputs.path }}"}},
    }
    definition = {"schema_version": 1, "name": name, "inputs": {"path": {"default": "os.system"}}, "tasks": tasks}

    refused = stack.request("POST", "/workflows", json={"definition": definition})
    del tasks["constant"]
    applied = stack.request("POST", "/workflows", json={"definition": definition})
    run = ended(stack, run_of(stack, name)["id"])

    assert [(error["path"], error["code"]) for error in refused.json()["errors"]] == [
        ("tasks.constant.with.function", "module_not_allowed")
    ]
    assert applied.status_code == 201
    messages = {row["task_key"]: row["error_message"] for row in tasks_of(stack, run)}
    assert "the worker finds no module 'examples.no_such_module'" in messages["unknown"]
    assert "module 'os' is not allowed here" in messages["later"]


def tasks_of(stack, run):
    return stack.request("GET", f"/workflow-runs/{run['id']}/task-executions").json()["results"]


def test_validation_lists_problems_without_storing_anything(stack, name):
    answer = stack.request("POST", "/workflows/validate", json={"definition": {"name": name}})

    assert answer.status_code == 200
    assert answer.json()["valid"] is False
    assert stack.request("GET", f"/workflows/{name}").status_code == 404


def test_run_takes_inputs_and_gives_outputs(stack, name, workflow):
    run = run_of(stack, name, inputs={"who": "Ada"})

    finished = ended(stack, run["id"])

    assert set(run) == {
        "id",
        "workflow",
        "version",
        "status",
        "reason",
        "is_paused",
        "priority",
        "outcome",
        "inputs",
        "outputs",
        "error_message",
        "parent",
        "cancelled_by",
        "created_at",
        "start_at",
        "started_at",
        "deadline_at",
        "finished_at",
    }
    assert (finished["status"], finished["outputs"]) == ("succeeded", {"said": "hello Ada"})
    assert (finished["workflow"], finished["version"], finished["inputs"]) == (name, 1, {"who": "Ada"})


def test_times_are_rfc_3339_with_microseconds_and_z(stack, name, workflow):
    run = run_of(stack, name)

    assert len(run["created_at"]) == len("2026-01-01T00:00:00.000000Z")
    assert run["created_at"].endswith("Z")


def test_wrong_inputs_are_all_named(stack, name, workflow):
    answer = stack.request("POST", f"/workflows/{name}/runs", json={"inputs": {"who": 7, "whom": "x"}})

    assert answer.status_code == 422
    assert answer.json()["code"] == "inputs_invalid"
    assert len(answer.json()["errors"]) == 2


def test_misspelt_member_of_a_run_request_is_refused(stack, name, workflow):
    answer = stack.request("POST", f"/workflows/{name}/runs", json={"input": {"who": "x"}})

    assert answer.status_code == 422
    assert "input" in answer.json()["detail"]


def test_task_executions_come_in_topological_order_with_all_fields(stack, name, workflow):
    run = run_of(stack, name)
    ended(stack, run["id"])

    rows = stack.request("GET", f"/workflow-runs/{run['id']}/task-executions").json()["results"]

    assert [row["task_key"] for row in rows] == ["greet", "after"]
    assert set(rows[0]) == {
        "id",
        "run",
        "task_key",
        "section",
        "map_index",
        "kind",
        "status",
        "reason",
        "attempt",
        "lost_attempts",
        "wake_at",
        "child_run_id",
        "needs",
        "continue_on_error",
        "output",
        "error_code",
        "error_message",
        "created_at",
        "queued_at",
        "started_at",
        "finished_at",
        "worker",
    }
    assert (rows[1]["needs"], rows[1]["status"], rows[1]["attempt"], rows[1]["kind"]) == (
        ["greet"],
        "succeeded",
        1,
        "noop",
    )


def test_logs_are_read_in_order_and_from_a_line_on(stack, name):
    tasks = {"a": {"uses": "shell", "with": {"command": "for i in 1 2 3 4 5; do echo line $i; done"}}}
    stack.request("POST", "/workflows", json={"definition": {"schema_version": 1, "name": name, "tasks": tasks}})
    run = run_of(stack, name)
    ended(stack, run["id"])

    lines = stack.request("GET", f"/workflow-runs/{run['id']}/logs?task_key=a").json()["results"]
    later = stack.request("GET", f"/workflow-runs/{run['id']}/logs?after={lines[2]['id']}").json()["results"]

    assert [line["message"] for line in lines] == [f"line {i}" for i in range(1, 6)]
    assert [line["message"] for line in later] == ["line 4", "line 5"]
    assert {line["stream"] for line in lines} == {"stdout"}


def test_log_is_followed_by_its_last_id(stack, name):
    tasks = {"a": {"uses": "shell", "with": {"command": "for i in 1 2 3 4 5; do echo line $i; done"}}}
    stack.request("POST", "/workflows", json={"definition": {"schema_version": 1, "name": name, "tasks": tasks}})
    run = run_of(stack, name)
    ended(stack, run["id"])
    logs = f"/workflow-runs/{run['id']}/logs"

    first = stack.request("GET", f"{logs}?limit=3").json()
    rest = stack.request("GET", f"{logs}?limit=3&after={first['last_id']}").json()
    nothing = stack.request("GET", f"{logs}?limit=3&after={rest['last_id']}").json()
    narrowed = stack.request("GET", f"{logs}?level=error").json()

    assert [line["message"] for line in first["results"] + rest["results"]] == [f"line {i}" for i in range(1, 6)]
    assert nothing == {"results": [], "next": None, "previous": None, "last_id": rest["last_id"], "is_pruned": False}
    assert (narrowed["results"], narrowed["last_id"]) == ([], rest["last_id"])


def test_run_is_cancelled_before_its_tasks_start(stack, name):
    tasks = {"slow": {"uses": "noop", "with": {"duration": "20s"}}, "next": {"uses": "noop", "needs": ["slow"]}}
    stack.request("POST", "/workflows", json={"definition": {"schema_version": 1, "name": name, "tasks": tasks}})
    run = run_of(stack, name)

    answer = stack.request("POST", f"/workflow-runs/{run['id']}/cancel")

    assert answer.status_code == 200
    assert ended(stack, run["id"])["status"] == "cancelled"
    assert stack.request("POST", f"/workflow-runs/{run['id']}/cancel").status_code == 200


def test_finished_run_cannot_be_cancelled(stack, name, workflow):
    run = ended(stack, run_of(stack, name)["id"])

    answer = stack.request("POST", f"/workflow-runs/{run['id']}/cancel")

    assert (answer.status_code, answer.json()["code"]) == (409, "run_already_finished")
    assert (answer.json()["status"], answer.json()["run_status"]) == (409, "succeeded")


def test_runs_are_filtered_and_paged(stack, name, workflow):
    runs = [run_of(stack, name)["id"] for _ in range(3)]

    first = stack.request("GET", f"/workflow-runs?workflow={name}&limit=2").json()
    rest = requests.get(
        first["next"], headers={"Authorization": f"Bearer {stack.key}"}, timeout=PATIENCE_SECONDS
    ).json()

    assert [run["id"] for run in first["results"] + rest["results"]] == list(reversed(runs))
    assert rest["next"] is None
    assert (
        stack.request("GET", f"/workflow-runs?workflow={name}&created_before=2020-01-01T00:00:00Z").json()["results"]
        == []
    )


def test_runs_are_filtered_by_the_id_of_a_workflow_too(stack, name, workflow):
    run = run_of(stack, name)

    found = stack.request("GET", f"/workflow-runs?workflow={workflow['id']}").json()["results"]

    assert [each["id"] for each in found] == [run["id"]]


@pytest.mark.parametrize(
    "path",
    [
        *("/workflow-runs?status=done", "/workflow-runs?limit=0", "/workflow-runs?limit=1000"),
        *("/workflow-runs?colour=red", "/workflow-runs?created_after=yesterday", "/workflow-runs?workflow=%00"),
        *("/workflows?limit=abc", "/workflows?limit=0", "/workflows?limit=201", "/workflows?bogus=1"),
        *("/workflows?format=xml", "/workflows/{name}?bogus=1", "/workflows/{name}/versions?limit=abc"),
        *("/workflows/{name}/canvas?version=x", "/workflows/{name}/canvas?cursor=x", "/kinds?x=1", "/kinds?limit=1"),
    ],
)
def test_wrong_query_parameter_is_refused_by_name(stack, name, workflow, path):
    answer = stack.request("GET", path.format(name=name))

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == path.partition("?")[2].partition("=")[0]
    assert "Input should" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        *("/workflow-runs?cursor=cD14", "/workflow-runs?cursor=x", "/workflow-runs?cursor=cD0lMDA="),
        *("/workflows?cursor=cD0lMDA=", "/workflows?cursor=%C3%A9", "/workflows/{name}/versions?cursor=cD14"),
    ],
)
def test_cursor_nobody_was_given_is_refused_by_name(stack, name, workflow, path):
    answer = stack.request("GET", path.format(name=name))

    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "cursor")
    assert "`next`" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/workflows/%00", "/workflows/a%00b/canvas", "/workflow-runs/%00", "/%00"])
def test_nul_in_a_path_is_404(stack, path):
    assert stack.request("GET", path).status_code == 404


@pytest.mark.parametrize("path", ["/static/a%00b", "/a%00b", "/admin/a%00b"])
def test_nul_in_a_path_outside_of_the_api_is_404_too(stack, path):
    assert requests.get(f"{stack.url}{path}", timeout=PATIENCE_SECONDS, allow_redirects=False).status_code in (302, 404)


def test_key_that_stands_twice_in_a_body_is_refused_by_name(stack, name):
    text = '{"definition": {"schema_version": 1, "name": "%s", "tasks": {"a": {"uses": "noop", "uses": "shell"}}}}'

    answer = stack.request("POST", "/workflows", data=text % name, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (400, "parse_error")
    assert '"uses"' in answer.json()["detail"]
    assert stack.request("GET", f"/workflows/{name}").status_code == 404


@pytest.mark.parametrize("route", ["/workflows", "/workflows/validate"])
def test_unknown_member_beside_a_definition_is_refused_by_name(stack, name, route):
    answer = stack.request("POST", route, json={"definition": DEFINITION | {"name": name}, "dry_run": True})

    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "dry_run")
    assert stack.request("GET", f"/workflows/{name}").status_code == 404


def test_misspelt_definition_is_named_beside_the_missing_one(stack, name):
    answer = stack.request("POST", "/workflows", json={"defnition": {}})

    assert {error["path"] for error in answer.json()["errors"]} == {"definition", "defnition"}


@pytest.mark.parametrize("body", ["", "# nothing yet\n"])
def test_empty_definition_is_told_what_belongs_in_it(stack, body):
    answer = stack.request("POST", "/workflows", data=body, headers={"Content-Type": "application/yaml"})

    assert (answer.status_code, answer.json()["code"]) == (422, "definition_invalid")
    assert answer.json()["detail"] == (
        "The definition has a problem: is empty; a definition has at least `schema_version: 1`, a `name` and `tasks`"
    )


@pytest.mark.parametrize("media_type", ["application/yaml", "application/x-yaml", "text/yaml; charset=utf-8"])
def test_yaml_is_taken_under_each_of_its_names(stack, name, media_type):
    answer = stack.request("POST", "/workflows", data=YAML.format(name=name), headers={"Content-Type": media_type})

    assert answer.status_code == 201


def test_body_without_its_length_is_refused_not_dropped(stack, name, workflow):
    chunks = iter([b'{"inputs": {"who": "Ada"}}'])

    answer = stack.request("POST", f"/workflows/{name}/runs", data=chunks, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (411, "length_required")
    assert stack.request("GET", f"/workflow-runs?workflow={name}").json()["results"] == []


def test_client_that_accepts_only_problems_is_answered_in_json(stack):
    answer = stack.request("GET", "/kinds", headers={"Accept": "application/problem+json"})

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")


def test_integer_longer_than_python_reads_is_told_in_our_words(stack, name, workflow):
    body = '{"inputs": {"who": %s}}' % ("9" * 5000)

    answer = stack.request("POST", f"/workflows/{name}/runs", data=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "integer_out_of_range")


def test_archived_workflow_frees_its_name_and_starts_nothing(stack, name, workflow):
    archived = stack.request("POST", f"/workflows/{name}/archive")

    assert (archived.status_code, archived.json()["is_archived"]) == (200, True)
    assert stack.request("GET", f"/workflows/{name}").status_code == 404
    refused = stack.request("POST", f"/workflows/{workflow['id']}/runs", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "workflow_archived")
    fresh = stack.request("POST", "/workflows", json={"definition": DEFINITION | {"name": name}})
    assert (fresh.status_code, fresh.json()["id"] != workflow["id"]) == (201, True)


def test_canvas_shows_chains_groups_and_where_they_end(stack, name, workflow):
    answer = stack.request("GET", f"/workflows/{name}/canvas").json()

    assert answer["canvas"] == [
        {
            "canvas": [{"task": "greet"}, {"task": "after"}],
            "advance_after": "after",
            "because": "last task",
            "section": "tasks",
        }
    ]
    assert "chain" in answer["text"]


def test_kinds_are_listed_with_the_schema_of_their_options(stack):
    kinds = {kind["kind"]: kind for kind in stack.request("GET", "/kinds").json()["results"]}

    assert {"noop", "shell", "python"} <= set(kinds)
    assert "command" in kinds["shell"]["options_schema"]["properties"]


@pytest.mark.parametrize("key", ["", "nonsense", "mk_aaaaaaaaaaaa_" + "b" * 43])
def test_wrong_key_is_401(stack, key):
    headers = {"Authorization": f"Bearer {key}"}

    answer = requests.get(f"{stack.url}/api/v1/workflows", headers=headers, timeout=PATIENCE_SECONDS)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"]


def test_other_authorization_is_answered_with_the_one_to_use(stack):
    answer = requests.get(f"{stack.url}/api/v1/workflows", auth=("admin", "secret"), timeout=PATIENCE_SECONDS)

    assert answer.status_code == 401
    assert "Bearer" in answer.json()["detail"]


def test_missing_key_is_401(stack):
    assert requests.get(f"{stack.url}/api/v1/workflows", timeout=PATIENCE_SECONDS).status_code == 401


@pytest.mark.parametrize(
    "path", ["/workflows/none-such", f"/workflow-runs/{uuid.uuid4()}", "/nothing", "/workflow-runs/7"]
)
def test_what_does_not_exist_is_404(stack, path):
    answer = stack.request("GET", path)

    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_body_that_is_no_json_is_400(stack, name):
    answer = stack.request("POST", "/workflows", data="{", headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (400, "parse_error")


@pytest.mark.parametrize("body", ["[]", "3", '"x"', "null", "{}"])
def test_body_that_is_no_run_request_is_422_or_starts_with_defaults(stack, name, workflow, body):
    answer = stack.request("POST", f"/workflows/{name}/runs", data=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == (201 if body == "{}" else 422)
    assert "non_field_errors" not in answer.text


def test_openapi_schema_and_documentation_are_served(stack):
    schema = requests.get(f"{stack.url}/api/schema/?format=json", timeout=PATIENCE_SECONDS)
    docs = requests.get(f"{stack.url}/api/docs/", timeout=PATIENCE_SECONDS)

    assert schema.status_code == 200
    paths = schema.json()["paths"]
    assert {"/api/v1/workflows", "/api/v1/workflow-runs/{run_id}/task-executions"} <= set(paths)
    assert docs.status_code == 200
    assert "//cdn" not in docs.text


def test_admin_asks_for_a_sign_in_and_accepts_the_generated_password(stack):
    session = requests.Session()
    page = session.get(f"{stack.url}/admin/login/", timeout=PATIENCE_SECONDS)
    password = (stack.home / "admin-password").read_text().strip()
    form = {
        "username": "admin@localhost.localdomain",
        "password": password,
        "csrfmiddlewaretoken": session.cookies["maestro_csrf"],
        "next": "/admin/",
    }

    signed_in = session.post(page.url, data=form, headers={"Referer": page.url}, timeout=PATIENCE_SECONDS)

    assert signed_in.url.endswith("/admin/")
    assert session.get(f"{stack.url}/admin/workflows/workflowrun/", timeout=PATIENCE_SECONDS).status_code == 200
    assert session.get(f"{stack.url}/api/v1/workflows", timeout=PATIENCE_SECONDS).status_code == 200


def test_calls_are_recorded_under_their_route(stack, name, workflow):
    run_of(stack, name)

    wait_until(lambda: "/api/v1/workflows/<str:reference>/runs" in recorded_endpoints(stack))
    assert not any(name in endpoint for endpoint in recorded_endpoints(stack))


def recorded_endpoints(stack):
    with owner_connection(stack) as connection:
        return {row[0] for row in connection.execute("SELECT DISTINCT endpoint FROM api_requests")}


def owner_connection(stack):
    password = json.loads((stack.home / "secrets.json").read_text())["maestro_password"]
    port = json.loads((stack.home / "state.json").read_text())["ports"]["postgres"]
    return psycopg.connect(host="127.0.0.1", port=port, user="maestro", password=password, dbname="maestro")


def test_api_process_connects_as_the_role_that_is_bound(stack):
    stack.request("GET", "/workflows")

    assert connected_roles(stack, "maestro-api") == {"maestro_api"}
    assert connected_roles(stack, "maestro-worker") == {"maestro"}


def connected_roles(stack, application):
    with owner_connection(stack) as connection:
        found = connection.execute(
            "SELECT DISTINCT usename FROM pg_stat_activity WHERE application_name = %s", (application,)
        )
        return {row[0] for row in found}


def test_start_that_is_sent_twice_under_a_key_is_done_once(stack, name, workflow):
    key = {"Idempotency-Key": uuid.uuid4().hex}

    first = stack.request("POST", f"/workflows/{name}/runs", json={}, headers=key)
    again = stack.request("POST", f"/workflows/{name}/runs", json={}, headers=key)
    other = stack.request("POST", f"/workflows/{name}/runs", json={"inputs": {"who": "Ada"}}, headers=key)

    assert (first.status_code, again.status_code) == (201, 201)
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (first.json(), "true")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(stack.request("GET", f"/workflow-runs?workflow={name}").json()["results"]) == 1
