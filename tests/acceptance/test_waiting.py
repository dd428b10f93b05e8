"""Signals and approvals as people and programs meet them: by the command line and by HTTP, on a real stack."""

import json
import uuid

import pytest

from tests.patience import wait_until

TASKS = {
    "paid": {
        "uses": "signal",
        "with": {
            "name": "payment",
            "schema": {"type": "object", "properties": {"amount": {"type": "number"}}, "required": ["amount"]},
        },
    },
    "allowed": {
        "needs": ["paid"],
        "uses": "approval",
        "with": {
            "message": "Ship for ${{ tasks.paid.output.amount }}, ${{ inputs.password }}?",
            "form": {"reason": {"type": "string"}, "boxes": {"type": "integer", "default": 1}},
        },
    },
    "ship": {
        "needs": ["allowed"],
        "uses": "noop",
        "with": {"output": "${{ tasks.allowed.output.form.reason }}"},
    },
}
DEFINITION = {
    "schema_version": 1,
    "inputs": {"password": {"type": "string", "writeOnly": True}},
    "tasks": TASKS,
    "outputs": {"shipped": "${{ tasks.ship.output }}", "boxes": "${{ tasks.allowed.output.form.boxes }}"},
}


@pytest.fixture
def run(stack):
    """A run whose first task waits for a signal."""
    name = f"w-{uuid.uuid4().hex[:12]}"
    stack.request("POST", "/workflows", json={"definition": DEFINITION | {"name": name}})
    started = stack.request("POST", f"/workflows/{name}/runs", json={"inputs": {"password": "open-sesame"}}).json()
    wait_until_waiting(stack, started["id"], "paid")
    yield started["id"]
    stack.request("POST", f"/workflow-runs/{started['id']}/cancel")


def wait_until_waiting(stack, run, key):
    wait_until(lambda: {task["task_key"]: task["status"] for task in stack.tasks_of(run)}[key] == "waiting")


def approvals_of(stack, run):
    listed = stack.request("GET", "/approvals?limit=200").json()["results"]
    return [approval for approval in listed if approval["run"] == run]


def test_run_goes_on_by_the_command_line(stack, run):
    refused = stack.run("signal", run, "payment", "--payload", "{}")
    assert (refused.returncode, 'payload: needs the key "amount"' in refused.stderr) == (1, True)

    sent = stack.run("signal", run, "payment", "--payload", '{"amount": 7.5}')
    assert sent.stdout == f"Sent the signal payment to run {run}. Task paid took it.\n"
    wait_until_waiting(stack, run, "allowed")
    (listed,) = [each for each in json.loads(stack.run("approvals", "--json").stdout) if each["run"] == run]
    assert (listed["message"], listed["may_decide"]) == ("Ship for 7.5, ••••••?", True)
    assert "Ship for 7.5, ••••••?" in stack.run("approvals").stdout
    decided = stack.run("approve", run, "allowed", "--form", "reason=paid", "--form", "boxes=2", "--comment", "go")
    assert decided.stdout == f"Approved task allowed of run {run}.\n"

    followed = stack.run("show", run, "--follow", "--json")
    ended = json.loads(followed.stdout.splitlines()[-1])["run"]
    assert (ended["status"], ended["outputs"]) == ("succeeded", {"shipped": "paid", "boxes": 2})
    assert not approvals_of(stack, run)


def test_run_goes_on_by_http(stack, run):
    signal = {"name": "payment", "payload": {"amount": 1}, "id": "order-7"}
    first, again = (stack.request("POST", f"/workflow-runs/{run}/signals", json=signal) for _ in range(2))
    assert (first.status_code, first.json()) == (201, again.json())
    assert (first.json()["taken_by"], first.json()["id"]) == ("paid", "order-7")
    wait_until_waiting(stack, run, "allowed")

    path = f"/workflow-runs/{run}/task-executions/allowed"
    approved = stack.request("POST", f"{path}/approve", json={"form": {"reason": "paid"}})
    other = stack.request("POST", f"{path}/reject", json={})

    assert approved.json()["form"] == {"reason": "paid", "boxes": 1}
    assert (other.status_code, other.json()["code"], other.json()["by"]) == (
        409,
        "already_decided",
        approved.json()["by"],
    )
    assert stack.run("show", run, "--follow").returncode == 0


def test_rejection_fails_the_run_and_says_who_and_why(stack, run):
    stack.request("POST", f"/workflow-runs/{run}/signals", json={"name": "payment", "payload": {"amount": 1}})
    wait_until_waiting(stack, run, "allowed")

    stack.run("reject", run, "allowed", "--comment", "out of boxes")

    shown = stack.run("show", run, "--follow")
    assert shown.returncode == 1
    assert "Rejected by admin@" in shown.stdout
    assert "out of boxes" in shown.stdout


def test_nothing_that_waits_shows_the_secrets_of_its_run(stack, run):
    stack.request("POST", f"/workflow-runs/{run}/signals", json={"name": "payment", "payload": {"amount": 1}})
    wait_until_waiting(stack, run, "allowed")

    shown = [json.dumps(approvals_of(stack, run)), stack.run("show", run).stdout, stack.run("approvals").stdout]

    assert "••••••" in stack.run("approvals").stdout
    assert "sesame" not in "".join(shown)


def test_signals_of_a_run_are_listed_with_who_sent_them(stack, run):
    stack.request("POST", f"/workflow-runs/{run}/signals", json={"name": "payment", "payload": {"amount": 1}})
    sent = stack.request("GET", f"/workflow-runs/{run}/signals").json()["results"]

    assert [(each["name"], each["sent_by"].partition("@")[0]) for each in sent] == [("payment", "admin")]
