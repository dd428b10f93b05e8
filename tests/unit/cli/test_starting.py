"""run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.builders import RUN_ID, run_json, task_json
from tests.unit.cli.conftest import Maestro
from tests.unit.client.fake_api import FakeApi, Reply, problem

WORKFLOW = {
    "id": "w1",
    "name": "flights",
    "version": 3,
    "inputs": {"day": {"type": "string"}, "limit": {"type": "integer"}},
}
STARTED = f"Started run {RUN_ID} of flights version 3.\n"


@pytest.fixture(autouse=True)
def workflow(api: FakeApi) -> FakeApi:
    api.on("GET", "/workflows/flights", WORKFLOW)
    api.on("POST", "/workflows/flights/runs", run_json("running"), status=201)
    return api


@pytest.fixture
def flow(directory: Path) -> Path:
    file = directory / "flow.yaml"
    file.write_text("name: flights\n")
    return file


def test_named_workflow_is_run_with_inputs_of_its_types(api: FakeApi, maestro: Maestro):
    result = maestro("run", "flights", "--input", "day=2026", "-i", "limit=20")

    assert result.stdout == f"{STARTED}Watch it: maestro show {RUN_ID} --follow\n"
    assert api.asked("/workflows/flights/runs")[0].document == {"inputs": {"day": "2026", "limit": 20}}


def test_input_flags_come_before_the_inputs_file(api: FakeApi, maestro: Maestro):
    maestro("run", "flights", "--inputs-file", "-", "--input", "limit=2", stdin="day: 2026-01-31\nlimit: 1\n")

    assert api.requests[-1].document == {"inputs": {"day": "2026-01-31", "limit": 2}}


def test_secret_may_come_from_standard_input(api: FakeApi, maestro: Maestro):
    result = maestro("run", "flights", "--input", "day=@-", stdin="hunter22\n")

    assert api.requests[-1].document == {"inputs": {"day": "hunter22"}}
    assert "hunter22" not in result.output


def test_bare_name_asks_at_a_terminal_without_echo(api: FakeApi, maestro: Maestro, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _: True, raising=False)

    result = maestro("run", "flights", "--input", "day", stdin="hunter22\n")

    assert "day: " in result.stderr
    assert "hunter22" not in result.output
    assert api.requests[-1].document == {"inputs": {"day": "hunter22"}}


def test_inputs_are_read_as_the_types_of_the_version_asked_for(api: FakeApi, maestro: Maestro):
    old = {"number": 1, "definition": {"inputs": {"limit": {"type": "string"}}}}
    api.on_list("/workflows/flights/versions", [{"number": 3}, {"number": 2}, old])

    maestro("run", "flights", "--version", "1", "--input", "limit=20")

    assert api.requests[-1].document == {"inputs": {"limit": "20"}, "version": 1}


@pytest.mark.parametrize(("status", "news"), [(201, "new"), (200, "unchanged")])
def test_file_is_applied_and_the_version_it_holds_is_run(
    api: FakeApi, maestro: Maestro, flow: Path, status: int, news: str
):
    api.on("POST", "/workflows", WORKFLOW, status=status)

    result = maestro("run", str(flow))

    assert result.stdout.startswith(f"Applied flights version 3 ({news}).\n{STARTED}")
    assert api.requests[-1].document == {"inputs": {}, "version": 3}


def test_json_is_the_run_alone(api: FakeApi, maestro: Maestro, flow: Path):
    api.on("POST", "/workflows", WORKFLOW, status=201)

    assert json.loads(maestro("run", str(flow), "--json").stdout) == run_json("running")


def test_following_shows_the_run_to_its_end(api: FakeApi, maestro: Maestro):
    api.on("GET", f"/workflow-runs/{RUN_ID}", run_json("succeeded", outputs={"worst": "AA"}))
    api.on_list(f"/workflow-runs/{RUN_ID}/task-executions", [task_json("read")])

    result = maestro("run", "flights", "--follow")

    assert result.exit_code == 0
    assert result.stdout == (
        f"{STARTED}read: succeeded in 12.3s\nRun succeeded in 12.3s. 1 task: 1 succeeded.\n\nworst: AA\n"
    )


@pytest.mark.parametrize(
    ("flags", "sent"),
    [
        (("--at", "2030-01-31T09:00+01:00"), {"start_at": "2030-01-31T09:00:00+01:00"}),
        (("--delay", "2h", "--deadline", "45m"), {"delay": "2h", "deadline": "45m"}),
        (("--deadline", "2030-01-31T08:00Z"), {"deadline": "2030-01-31T08:00:00+00:00"}),
        (("--priority", "low"), {"priority": "low"}),
    ],
)
def test_times_and_priority_are_sent(api: FakeApi, maestro: Maestro, flags: tuple[str, ...], sent: dict[str, str]):
    maestro("run", "flights", *flags)

    assert api.requests[-1].document == {"inputs": {}, **sent}


def test_run_that_begins_later_is_said_to(api: FakeApi, maestro: Maestro):
    delayed = run_json("pending", reason="delayed", start_at="2030-01-31T08:00:00.000000Z")
    api.on("POST", "/workflows/flights/runs", delayed, status=201)

    result = maestro("run", "flights", "--at", "2030-01-31T08:00:00Z")

    assert result.stdout.startswith(f"Run {RUN_ID} of flights version 3 begins 2030-01-31 08:00:00Z.\n")


def test_run_is_started_under_a_key_of_its_own_each_time(api: FakeApi, maestro: Maestro):
    maestro("run", "flights")
    maestro("run", "flights")

    keys = {request.idempotency_key for request in api.asked("/workflows/flights/runs")}
    assert len(keys) == 2
    assert "" not in keys


def test_run_that_was_there_under_the_key_given_is_said_to_be(api: FakeApi, maestro: Maestro):
    replayed = {"Idempotency-Replayed": "true"}
    api.on("POST", "/workflows/flights/runs", run_json("running"), status=201, headers=replayed)

    result = maestro("run", "flights", "--idempotency-key", "today")

    assert api.requests[-1].idempotency_key == "today"
    assert result.stdout.startswith(f"Run {RUN_ID} of flights version 3 was there already; none was started.\n")


def test_start_is_sent_again_under_the_same_key_until_it_is_answered(
    api: FakeApi, maestro: Maestro, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("maestro.client.transport.RETRY_DELAYS_SECONDS", (0, 0))
    busy = problem(409, "request_in_progress", "Wait.")
    started = Reply(body=run_json("running"), status=201, headers={"Idempotency-Replayed": "true"})
    api.on_turns("POST", "/workflows/flights/runs", problem(503, "unavailable", "Wait."), busy, started)

    result = maestro("run", "flights")

    assert result.stdout.startswith(STARTED)
    assert len({request.idempotency_key for request in api.asked("/workflows/flights/runs")}) == 1


def test_unknown_name_is_answered_with_the_nearest(api: FakeApi, maestro: Maestro):
    api.on_list("/workflows", [WORKFLOW])

    result = maestro("run", "flight")

    assert result.exit_code == 1
    assert "There is no workflow 'flight'. Did you mean flights?" in result.stderr


def test_file_that_does_not_exist_is_not_taken_for_a_name(api: FakeApi, maestro: Maestro):
    result = maestro("run", "gone.yaml")

    assert (
        result.stderr == f"Error: There is no file gone.yaml. Its directory {Path.cwd()} has no file of such a name.\n"
    )
    assert api.requests == []


def test_refused_inputs_are_listed(api: FakeApi, maestro: Maestro):
    errors = [
        {"path": "day", "code": "required", "message": "is missing"},
        {"path": "limit", "code": "type", "message": "must be an integer"},
    ]
    api.on_turns("POST", "/workflows/flights/runs", problem(422, "inputs_invalid", "2 problems", errors=errors))

    result = maestro("run", "flights")

    assert result.exit_code == 1
    assert result.stderr == (
        "day: is missing [required]\nlimit: must be an integer [type]\nError: 2 problems; no run was started.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("flights", "--input", "=3"), "--input needs the form name=value; the name is missing."),
        (("flights", "--input", "limit"), "Input 'limit' has no value: write limit=VALUE"),
        (("-", "-i", "day=@-"), "Standard input can be the definition, the inputs or one input"),
        (("flights", "-i", "day=@-", "-i", "limit=@-"), "Standard input can be the definition, the inputs or one"),
        (("a/b",), "'a/b' is no workflow name"),
        (("flow.yaml", "--version", "2"), "--version goes with a workflow's NAME"),
        (
            ("-", "--inputs-file", "-"),
            "Standard input can be the definition, the inputs or one input, not several of them.",
        ),
        (("flights", "--version", "0"), "'--version'"),
        (("flights", "--version", "x"), "'x' is no whole number of at least 1."),
        (("flights", "-i", "limit=1", "-i", "limit=2"), "Input 'limit' is given twice; give it once."),
        ((), "Missing argument 'NAME|FILE'"),
    ],
)
def test_wrong_usage_exits_with_2_and_starts_nothing(
    api: FakeApi, maestro: Maestro, flow: Path, arguments: tuple[str, ...], message: str
):
    result = maestro("run", *arguments)

    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert [request for request in api.requests if request.method == "POST"] == []


@pytest.mark.parametrize("wrong", [["--input", "day"], ["--input", "day=@none.txt"], ["--inputs-file", "none.yaml"]])
def test_nothing_is_applied_when_an_input_cannot_be_read(api: FakeApi, maestro: Maestro, flow: Path, wrong: list[str]):
    result = maestro("run", str(flow), *wrong)

    assert result.exit_code != 0
    assert not api.requests
