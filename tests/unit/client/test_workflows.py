"""The workflow routes: what is sent, and what comes back as values."""

from __future__ import annotations

from maestro.client import Client, Problem
from tests.unit.client.fake_api import FakeApi

WORKFLOW = {
    "id": "0192",
    "name": "flights",
    "version": 3,
    "inputs": {"day": {"type": "string"}},
    "task_count": 7,
    "created_at": "2026-01-02T03:04:05.000006Z",
    "a_newer_member": [1],
}


def test_applied_text_is_sent_as_yaml_and_201_means_a_new_version(api: FakeApi, client: Client):
    api.on("POST", "/workflows", WORKFLOW, status=201)

    applied = client.workflows.apply("name: flights # ü")

    assert api.requests[0].content_type == "application/yaml"
    assert api.requests[0].body == "name: flights # ü".encode()
    assert applied.is_new_version
    assert (applied.workflow.name, applied.workflow.version, applied.workflow.task_count) == ("flights", 3, 7)


def test_applied_object_is_sent_as_json_and_200_means_unchanged(api: FakeApi, client: Client):
    api.on("POST", "/workflows", WORKFLOW)

    applied = client.workflows.apply({"name": "flights"})

    assert api.requests[0].document == {"definition": {"name": "flights"}}
    assert not applied.is_new_version


def test_unknown_members_are_kept_and_times_keep_their_microseconds(api: FakeApi, client: Client):
    api.on("GET", "/workflows/flights", WORKFLOW)

    workflow = client.workflows.get("flights")

    assert workflow.to_json() == WORKFLOW


def test_validation_lists_every_problem(api: FakeApi, client: Client):
    problem = {"path": "tasks.a", "code": "unknown_key", "message": "no such key", "line": 3, "column": 5}
    api.on("POST", "/workflows/validate", {"valid": False, "problems": [problem]})

    validation = client.workflows.validate("tasks: {}")

    assert not validation.is_valid
    assert validation.problems == (
        Problem(path="tasks.a", code="unknown_key", message="no such key", line=3, column=5),
    )


def test_workflows_are_listed_over_all_pages_though_the_link_names_another_host(api: FakeApi, client: Client):
    names = [f"flow-{number}" for number in range(5)]
    api.on_list("/workflows", [{**WORKFLOW, "name": name} for name in names])

    listed = [workflow.name for workflow in client.workflows.iterate(page_size=2)]

    assert listed == names
    assert [request.query.get("cursor") for request in api.requests] == [None, "2", "4"]


def test_versions_canvas_activation_and_archiving_have_their_paths(api: FakeApi, client: Client):
    api.on_list("/workflows/flights/versions", [{"number": 2, "is_active": True, "definition": {"name": "flights"}}])
    api.on("GET", "/workflows/flights/canvas", {"workflow": "flights", "version": 2, "canvas": [], "text": "chain"})
    api.on("POST", "/workflows/flights/versions/2/activate", WORKFLOW)
    api.on("POST", "/workflows/flights/archive", WORKFLOW)

    versions = list(client.workflows.iterate_versions("flights"))
    canvas = client.workflows.get_canvas("flights", version=2)
    activated = client.workflows.activate_version("flights", 2)
    archived = client.workflows.archive("flights")

    assert [(version.number, version.is_active) for version in versions] == [(2, True)]
    assert canvas.text == "chain"
    assert api.asked("/workflows/flights/canvas")[0].query == {"version": "2"}
    assert activated == archived == WORKFLOW


def test_run_is_started_with_inputs_version_and_priority(api: FakeApi, client: Client):
    api.on("POST", "/workflows/flights/runs", {"id": "r", "workflow": "flights", "status": "running"}, status=201)

    run = client.workflows.start_run("flights", inputs={"day": "2026-01-31"}, version=2, priority="low").run

    assert api.requests[0].document == {"inputs": {"day": "2026-01-31"}, "version": 2, "priority": "low"}
    assert run.status == "running"
    assert not run.is_finished


def test_name_cannot_leave_its_place_in_the_path(api: FakeApi, client: Client):
    api.on("GET", "/workflows/a%2Fb%3Fc", WORKFLOW)

    assert client.workflows.get("a/b?c").name == "flights"
