"""The served OpenAPI document against what the API really answers, route by route."""

import time
import uuid
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator, FormatChecker

from tests.patience import PATIENCE_SECONDS

DEFINITION = {
    "schema_version": 1,
    "description": "One task.",
    "inputs": {"who": {"type": "string", "default": "world"}},
    "tasks": {"greet": {"uses": "shell", "with": {"command": "echo hello"}}},
}
ASKS = {"uses": "approval", "with": {"message": "Go on?"}}
WAITING = {
    "schema_version": 1,
    "tasks": {
        "paid": {"uses": "signal"},
        "allow": {"uses": "approval", "with": {"message": "Go on?", "form": {"n": {"type": "integer"}}}},
        "doubt": ASKS,
        "other": {"uses": "approval", "with": {"message": "Go on?", "approvers": {"users": ["ann@example.org"]}}},
        "later": ASKS,
    },
}
NOWHERE = f"/workflow-runs/{uuid.UUID(int=7)}"
# Operation, method, path, body, status; in this order, for the last ones archive the workflow.
CALLS: list[tuple[str, str, str, Any, int]] = [
    ("list_workflows", "GET", "/workflows?limit=1", None, 200),
    ("list_workflows", "GET", "/workflows?limit=x", None, 422),
    ("apply_workflow", "POST", "/workflows", {"definition": DEFINITION}, 200),
    ("apply_workflow", "POST", "/workflows", {"definition": DEFINITION | {"description": "Another."}}, 201),
    ("apply_workflow", "POST", "/workflows", {"definition": {}}, 422),
    ("apply_workflow", "POST", "/workflows", {"definition": "tasks: 1"}, 422),
    ("apply_workflow", "POST", "/workflows", "{", 400),
    ("validate_workflow", "POST", "/workflows/validate", {"definition": DEFINITION}, 200),
    ("validate_workflow", "POST", "/workflows/validate", {"definition": "tasks: 1"}, 200),
    ("validate_workflow", "POST", "/workflows/validate", {}, 422),
    ("get_workflow", "GET", "/workflows/{name}", None, 200),
    ("get_workflow", "GET", "/workflows/none-such", None, 404),
    ("list_workflow_versions", "GET", "/workflows/{name}/versions", None, 200),
    ("list_workflow_versions", "GET", "/workflows/none-such/versions", None, 404),
    ("get_workflow_canvas", "GET", "/workflows/{name}/canvas", None, 200),
    ("get_workflow_canvas", "GET", "/workflows/{name}/canvas?version=9", None, 404),
    ("activate_workflow_version", "POST", "/workflows/{name}/versions/1/activate", None, 200),
    ("activate_workflow_version", "POST", "/workflows/{name}/versions/9/activate", None, 404),
    ("start_run", "POST", "/workflows/{name}/runs", {"inputs": {"who": "Ada"}}, 201),
    ("start_run", "POST", "/workflows/{name}/runs", {"delay": "2h", "deadline": "45m", "priority": "low"}, 201),
    ("start_run", "POST", "/workflows/{name}/runs", {"priority": "urgent"}, 422),
    ("start_run", "POST", "/workflows/{name}/runs", {"inputs": {"whom": "Ada"}}, 422),
    ("start_run", "POST", "/workflows/{name}/runs", {"start_at": "tomorrow"}, 422),
    ("start_run", "POST", "/workflows/{name}/runs", [], 422),
    ("list_runs", "GET", "/workflow-runs?limit=2", None, 200),
    ("list_runs", "GET", "/workflow-runs?cursor=x", None, 422),
    ("get_run", "GET", "/workflow-runs/{run}", None, 200),
    ("get_run", "GET", NOWHERE, None, 404),
    ("list_task_executions", "GET", "/workflow-runs/{run}/task-executions", None, 200),
    ("list_task_executions", "GET", "/workflow-runs/{run}/task-executions?task_key=x", None, 404),
    ("explain_run", "GET", "/workflow-runs/{run}/explanation", None, 200),
    ("explain_run", "GET", "/workflow-runs/{run}/explanation?task_key=greet", None, 200),
    ("explain_run", "GET", "/workflow-runs/{run}/explanation?task_key=x", None, 404),
    ("explain_run", "GET", "/workflow-runs/{run}/explanation?x=1", None, 422),
    ("list_past_attempts", "GET", "/workflow-runs/{run}/past-attempts?task_key=greet", None, 200),
    ("list_past_attempts", "GET", "/workflow-runs/{run}/past-attempts?task_key=x", None, 404),
    ("list_log_lines", "GET", "/workflow-runs/{run}/logs", None, 200),
    ("list_log_lines", "GET", "/workflow-runs/{run}/logs?task_key=greet&attempt=1&level=warning&after=0", None, 200),
    ("list_log_lines", "GET", "/workflow-runs/{run}/logs?level=loud", None, 422),
    ("cancel_run", "POST", "/workflow-runs/{run}/cancel", None, 409),
    ("cancel_run", "POST", f"{NOWHERE}/cancel", None, 404),
    ("pause_run", "POST", "/workflow-runs/{run}/pause", {}, 409),
    ("pause_run", "POST", f"{NOWHERE}/pause", {}, 404),
    ("resume_run", "POST", "/workflow-runs/{run}/resume", None, 409),
    ("pause_workflow", "POST", "/workflows/{name}/pause", {"reason": "Moving."}, 200),
    ("pause_workflow", "POST", "/workflows/{name}/pause", {"why": "Moving."}, 422),
    ("list_pauses", "GET", "/pauses", None, 200),
    ("list_pauses", "GET", "/pauses?run=x", None, 422),
    ("resume_workflow", "POST", "/workflows/{name}/resume", None, 200),
    ("resume_workflow", "POST", "/workflows/{name}/resume", None, 409),
    ("pause_queue", "POST", "/queues/maestro/pause", None, 200),
    ("pause_queue", "POST", "/queues/none/pause", None, 404),
    ("resume_queue", "POST", "/queues/maestro/resume", None, 200),
    ("resume_queue", "POST", "/queues/none/resume", None, 404),
    ("pause_organization", "POST", "/organization/pause", {"reason": "x"}, 200),
    ("resume_organization", "POST", "/organization/resume", None, 200),
    ("resume_organization", "POST", "/organization/resume", None, 409),
    ("list_signals", "GET", "/workflow-runs/{waiting}/signals", None, 200),
    ("list_signals", "GET", f"{NOWHERE}/signals", None, 404),
    ("send_signal", "POST", "/workflow-runs/{waiting}/signals", {"name": "paid", "payload": 1, "id": "a"}, 201),
    ("send_signal", "POST", "/workflow-runs/{waiting}/signals", {"name": "paid", "payload": 1, "id": "a"}, 201),
    ("send_signal", "POST", "/workflow-runs/{waiting}/signals", {"name": "paid", "payload": 2, "id": "a"}, 422),
    ("send_signal", "POST", "/workflow-runs/{waiting}/signals", {"name": "piad"}, 422),
    ("send_signal", "POST", "/workflow-runs/{waiting}/signals", {}, 422),
    ("send_signal", "POST", "/workflow-runs/{run}/signals", {"name": "paid"}, 422),
    ("send_signal", "POST", f"{NOWHERE}/signals", {"name": "paid"}, 404),
    ("list_approvals", "GET", "/approvals?limit=1", None, 200),
    ("list_approvals", "GET", "/approvals?mine=1", None, 422),
    ("approve", "POST", "/workflow-runs/{waiting}/task-executions/allow/approve", {"form": {}}, 422),
    ("approve", "POST", "/workflow-runs/{waiting}/task-executions/allow/approve", {"form": {"n": 1}}, 200),
    ("approve", "POST", "/workflow-runs/{waiting}/task-executions/allow/approve", {"form": {"n": 2}}, 409),
    ("approve", "POST", "/workflow-runs/{waiting}/task-executions/none/approve", {}, 404),
    ("reject", "POST", "/workflow-runs/{waiting}/task-executions/doubt/reject", {"comment": "no"}, 200),
    ("reject", "POST", "/workflow-runs/{waiting}/task-executions/allow/reject", {}, 409),
    ("reject", "POST", "/workflow-runs/{waiting}/task-executions/other/reject", {}, 403),
    ("reject", "POST", f"{NOWHERE}/task-executions/allow/reject", {}, 404),
    ("list_kinds", "GET", "/kinds", None, 200),
    ("list_kinds", "GET", "/kinds?x=1", None, 422),
    ("archive_workflow", "POST", "/workflows/{name}/archive", None, 200),
    ("start_run", "POST", "/workflows/{id}/runs", {}, 409),
    ("activate_workflow_version", "POST", "/workflows/{id}/versions/1/activate", None, 409),
]


@pytest.fixture(scope="module")
def document(stack):
    return requests.get(f"{stack.url}/api/schema/?format=json", timeout=PATIENCE_SECONDS).json()


@pytest.fixture(scope="module")
def names(stack):
    """A workflow, a run of it that has ended, and one of which all tasks wait, for the paths of the calls."""
    name = f"w-{uuid.uuid4().hex[:12]}"
    workflow = stack.request("POST", "/workflows", json={"definition": DEFINITION | {"name": name}}).json()
    run = stack.request("POST", f"/workflows/{name}/runs", json={}).json()
    stack.run("show", run["id"], "--follow")
    stack.request("POST", "/workflows", json={"definition": WAITING | {"name": f"{name}-waits"}})
    waiting = stack.request("POST", f"/workflows/{name}-waits/runs", json={}).json()["id"]
    while {task["status"] for task in stack.tasks_of(waiting)} != {"waiting"}:
        time.sleep(0.1)
    return {"name": name, "id": workflow["id"], "run": run["id"], "waiting": waiting}


def operations(document):
    return {
        operation["operationId"]: (method.upper(), path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


def test_every_operation_is_called_here(document):
    assert set(operations(document)) == {operation for operation, *_ in CALLS}


@pytest.mark.parametrize(("operation_id", "method", "path", "body", "status"), CALLS)
def test_answer_is_as_described(stack, document, names, operation_id, method, path, body, status):
    sent = {"data": body} if isinstance(body, str) else {"json": named(body, names["name"])}

    answer = stack.request(method, path.format(**names), headers={"Content-Type": "application/json"}, **sent)

    assert answer.status_code == status, answer.text
    described = operations(document)[operation_id][2]["responses"][str(status)]["content"]
    schema = described[answer.headers["Content-Type"]]["schema"]
    assert not problems(document, schema, answer.json())


def named(body, name):
    """Give the definition of a body the name of the workflow."""
    is_definition = isinstance(body, dict) and isinstance(body.get("definition"), dict) and body["definition"]
    return {"definition": body["definition"] | {"name": name}} if is_definition else body


def problems(document, schema, value):
    validator = Draft202012Validator(schema | {"components": document["components"]}, format_checker=FormatChecker())
    return [error.message for error in validator.iter_errors(value)]


def test_call_without_a_key_is_refused_as_described(stack, document):
    for method, path, operation in operations(document).values():
        names = {"run_id": uuid.UUID(int=7), "reference": "x", "number": 1, "queue": "x", "task_key": "x"}
        address = f"{stack.url}{path}".format(**names)

        answer = requests.request(method, address, timeout=PATIENCE_SECONDS)

        assert answer.status_code == 401, path
        schema = operation["responses"]["401"]["content"]["application/problem+json"]["schema"]
        assert not problems(document, schema, answer.json())


def test_members_of_an_answer_are_all_required(document):
    for name, schema in document["components"]["schemas"].items():
        if name.endswith(("Entry", "Output", "Page")):
            assert set(schema["required"]) == set(schema["properties"]), name


def test_operations_say_how_they_are_refused(document):
    for method, path, operation in operations(document).values():
        expected = {"400", "401", "403", "503"}
        expected |= {"404"} if "{" in path else set()
        expected |= {"422"} if method == "GET" or "requestBody" in operation else set()

        assert expected <= set(operation["responses"]), path
