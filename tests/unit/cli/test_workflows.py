"""validate, apply, workflows, canvas, activate, archive."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Maestro
from tests.unit.client.fake_api import FakeApi, Reply, problem

WORKFLOW = {"id": "w1", "name": "flights", "version": 3, "task_count": 1200, "description": "Who is late\x1b[2J"}
PROBLEMS = [
    {"path": "tasks.clean.needs[0]", "code": "missing_need", "message": "no task 'rea'", "line": 12, "column": 5},
    {"path": "name", "code": "required", "message": "is missing", "line": None, "column": None},
]
PROBLEM_LINES = (
    "flow.yaml:12:5: tasks.clean.needs[0]: no task 'rea' [missing_need]\nflow.yaml: name: is missing [required]\n"
)


@pytest.fixture(autouse=True)
def flow(directory: Path) -> Path:
    file = directory / "flow.yaml"
    file.write_text("name: flights\n")
    return file


def test_valid_file_is_said_to_be_valid(api: FakeApi, maestro: Maestro):
    api.on("POST", "/workflows/validate", {"valid": True, "problems": []})

    result = maestro("validate", "flow.yaml")

    assert (result.exit_code, result.stdout) == (0, "flow.yaml is valid.\n")
    assert api.requests[0].body == b"name: flights\n"


def test_problems_of_a_file_are_listed_where_an_editor_finds_them(api: FakeApi, maestro: Maestro):
    api.on("POST", "/workflows/validate", {"valid": False, "problems": PROBLEMS})

    result = maestro("validate", "flow.yaml")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"{PROBLEM_LINES}Error: 2 problems in flow.yaml.\n"


def test_problems_as_json_are_one_document_and_still_a_failure(api: FakeApi, maestro: Maestro):
    api.on("POST", "/workflows/validate", {"valid": False, "problems": PROBLEMS})

    result = maestro("validate", "flow.yaml", "--json")

    assert result.exit_code == 1
    assert json.loads(result.stdout)["problems"][0]["line"] == 12


def test_definition_may_come_from_standard_input(api: FakeApi, maestro: Maestro):
    api.on("POST", "/workflows/validate", {"valid": False, "problems": PROBLEMS[:1]})

    result = maestro("validate", "-", stdin="name: piped")

    assert api.requests[0].body == b"name: piped"
    assert result.stderr.startswith("standard input:12:5: tasks.clean.needs[0]: ")


@pytest.mark.parametrize(("status", "news"), [(201, "new"), (200, "unchanged")])
def test_apply_says_which_version_and_whether_it_is_new(api: FakeApi, maestro: Maestro, status: int, news: str):
    api.on("POST", "/workflows", WORKFLOW, status=status)

    assert maestro("apply", "flow.yaml").stdout == f"flights version 3 ({news}).\n"


def test_apply_of_a_wrong_file_lists_its_problems(api: FakeApi, maestro: Maestro):
    api.on_turns("POST", "/workflows", problem(422, "definition_invalid", "It has problems.", errors=PROBLEMS))

    result = maestro("apply", "flow.yaml")

    assert result.exit_code == 1
    assert result.stderr == f"{PROBLEM_LINES}Error: 2 problems in flow.yaml. Nothing was applied.\n"


def test_workflows_are_listed_up_to_the_limit(api: FakeApi, maestro: Maestro):
    api.on_list("/workflows", [WORKFLOW, {**WORKFLOW, "name": "second"}, {**WORKFLOW, "name": "third"}])

    result = maestro("workflows", "--limit", "2")

    assert result.stdout.splitlines() == [
        "NAME     VERSION  TASKS  UPDATED  DESCRIPTION",
        r"flights  3        1,200           Who is late\x1b[2J",
        r"second   3        1,200           Who is late\x1b[2J",
    ]
    assert api.requests[0].query["limit"] == "2"


def test_no_workflows_say_how_to_make_one_and_leave_standard_output_empty(api: FakeApi, maestro: Maestro):
    api.on_list("/workflows", [])

    result = maestro("workflows")

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "No workflows yet. `maestro apply FILE` makes one.\n"
    assert json.loads(maestro("workflows", "--json").stdout) == []


def test_canvas_is_printed_as_the_server_draws_it(api: FakeApi, maestro: Maestro):
    canvas = {"workflow": "flights", "version": 2, "canvas": [{"chain": []}], "text": "chain\n  read\n"}
    api.on("GET", "/workflows/flights/canvas", canvas)

    assert maestro("canvas", "flights", "--version", "2").stdout == "chain\n  read\n"
    assert json.loads(maestro("canvas", "flights", "--json").stdout) == canvas
    assert [request.query for request in api.requests] == [{"version": "2"}, {}]


def test_canvas_of_a_file_says_to_apply_it_first(api: FakeApi, maestro: Maestro):
    result = maestro("canvas", "flow.yaml")

    assert result.exit_code == 2
    assert "first `maestro apply flow.yaml`" in result.stderr
    assert api.requests == []


def test_unknown_workflow_is_answered_with_the_nearest_names(api: FakeApi, maestro: Maestro):
    api.on_list("/workflows", [WORKFLOW, {**WORKFLOW, "name": "weather"}])

    result = maestro("archive", "flihgts")

    assert result.exit_code == 1
    assert result.stderr == (
        "Error: There is no workflow 'flihgts'. Did you mean flights? `maestro workflows` lists them.\n"
    )


def test_unknown_version_of_a_known_workflow_is_told_in_the_servers_words(api: FakeApi, maestro: Maestro):
    api.on_list("/workflows", [WORKFLOW])
    api.on_turns(
        "POST", "/workflows/flights/versions/9/activate", problem(404, "version_not_found", "There is no version 9.")
    )

    assert maestro("activate", "flights", "9").stderr == "Error: There is no version 9.\n"


def test_activate_and_archive_say_what_they_did(api: FakeApi, maestro: Maestro):
    api.on("POST", "/workflows/flights/versions/2/activate", WORKFLOW)
    api.on_call("POST", "/workflows/flights/archive", lambda request: Reply(body=WORKFLOW))

    assert maestro("activate", "flights", "2").stdout == "flights version 2 is active.\n"
    assert maestro("archive", "flights").stdout == "flights is archived.\n"
    assert json.loads(maestro("archive", "flights", "--json").stdout) == WORKFLOW


@pytest.mark.parametrize(
    "arguments",
    [
        ("archive", ".."),
        ("archive", "a/b"),
        ("archive", ""),
        ("activate", "flights", "0"),
        ("activate", "flights"),
        ("canvas", "-x"),
        ("workflows", "--limit", "0"),
        ("validate",),
    ],
)
def test_wrong_usage_exits_with_2_and_asks_nothing(api: FakeApi, maestro: Maestro, arguments: tuple[str, ...]):
    assert maestro(*arguments).exit_code == 2
    assert api.requests == []
