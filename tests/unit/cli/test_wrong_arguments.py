"""Every command with arguments that are wrong, missing or nearly right: exit code, and a sentence that leads on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from maestro.cli.main import COMMANDS
from tests.unit.cli.builders import RUN_ID, run_json, task_json
from tests.unit.cli.conftest import Maestro
from tests.unit.client.fake_api import FakeApi, problem

NOBODY = "01920000-0000-7000-8000-00000000ffff"
NO_RUN = "There is no such run."
NO_WORKFLOW = "There is no workflow 'flihgts'. Did you mean flights? `maestro workflows` lists them."
WRONG = [
    ("logz", 2, "There is no command 'logz'. Did you mean 'logs'?"),
    ("frobnicate", 2, "There is no command 'frobnicate'. `maestro --help` lists the commands."),
    ("--jsn", 2, "No such option '--jsn'."),
    ("run", 2, "Missing argument 'NAME|FILE'. Name a definition file, or a workflow: `maestro workflows` lists them."),
    ("run flihgts", 1, NO_WORKFLOW),
    ("run a/b", 2, "'a/b' is no workflow name"),
    ("run folw.yaml", 1, "There is no file folw.yaml. Did you mean flow.yaml?"),
    ("run none/flow.yaml", 1, "There is no file none/flow.yaml. There is no directory none either."),
    ("run directory.yaml", 1, "directory.yaml cannot be read: Is a directory."),
    ("run binary.yaml", 1, "binary.yaml is not UTF-8 text (byte 0). Save it as UTF-8."),
    ("run flights --version x", 2, "'x' is no whole number of at least 1."),
    ("run flow.yaml --version 1", 2, "--version goes with a workflow's NAME; a FILE runs the version it holds."),
    ("run flights --input =1", 2, "--input needs the form name=value; the name is missing."),
    ("run flights --input late", 2, "Input 'late' has no value: write late=VALUE or late=@FILE"),
    ("run flights --inputs-file none.json", 1, "There is no file none.json."),
    ("run flights --inputs-file list.json", 1, "list.json must hold a mapping of input names to values, for example"),
    ("run flights --at tomorrow", 2, "'tomorrow' is no time with its zone, such as 2030-01-31T08:00:00Z or "),
    ("run flights --at 2030-01-31T08:00:00", 2, "'2030-01-31T08:00:00' is no time with its zone, such as "),
    ("run flights --delay soon", 2, "'soon' is no duration such as 90s, 5m, 2h or 1d."),
    ("run flights --at 2030-01-31T08:00Z --delay 5m", 2, "--at and --delay both say when the run begins; give one of"),
    ("run flights --deadline later", 2, "'later' is neither a duration such as 45m or 2h nor a time with its zone "),
    ("run flights --priority urgent", 2, "'urgent' is not one of 'high', 'normal', 'low'."),
    ("run flights --idempotency-key ü", 2, "'ü' is no key: give 1 to 255 printable ASCII characters."),
    ("run flights extra", 2, "Got unexpected extra argument (extra)"),
    ("run flights --folow", 2, "No such option '--folow'. Did you mean '--follow'?"),
    ("runs --status done", 2, "'done' is not one of 'pending', 'running', 'succeeded', 'failed', 'cancelled'."),
    ("runs --limit 0", 2, "'0' is no whole number from 1 to 1,000,000."),
    ("runs --workflow flihgts", 1, NO_WORKFLOW),
    ("show", 2, "Missing argument 'RUN'. `maestro runs` lists the runs."),
    ("show flights", 2, "'flights' is no run id. `maestro runs` lists the runs."),
    (f"show {NOBODY}", 1, NO_RUN),
    ("why", 2, "Missing argument 'RUN'. `maestro runs` lists the runs."),
    (f"why {NOBODY}", 1, NO_RUN),
    (f"why {RUN_ID} raed", 1, "The run has no task 'raed'. Did you mean read?"),
    ("attempts", 2, "Missing argument 'RUN'. `maestro runs` lists the runs."),
    (f"attempts {NOBODY}", 1, NO_RUN),
    (f"attempts {RUN_ID} raed", 1, "The run has no task 'raed'. Did you mean read?"),
    ("logs", 2, "Missing argument 'RUN'. `maestro runs` lists the runs."),
    (f"logs {NOBODY}", 1, NO_RUN),
    (f"logs {NOBODY} --follow", 1, NO_RUN),
    (f"logs {RUN_ID} raed", 1, f"The run has no task 'raed'. Did you mean read? `maestro show {RUN_ID}` lists them."),
    (f"logs {RUN_ID} raed --follow", 1, "The run has no task 'raed'. Did you mean read?"),
    (f"logs {RUN_ID} --level warn", 2, "'warn' is not one of 'debug', 'info', 'warning', 'error'."),
    (f"logs {RUN_ID} --attempt first", 2, "'first' is no whole number of at least 1."),
    ("signal", 2, "Missing argument 'RUN'. `maestro runs` lists the runs."),
    (f"signal {RUN_ID}", 2, "Missing argument 'NAME'. Name a signal that a task of the run waits for."),
    (f"signal {NOBODY} payment", 1, NO_RUN),
    (f"signal {RUN_ID} payment --payload three", 2, "--payload needs JSON, for example '{\"amount\": 3}'"),
    (f"signal {RUN_ID} payment --payload @none.json", 1, "There is no file none.json."),
    ("signals", 2, "Missing argument 'RUN'. `maestro runs` lists the runs."),
    (f"signals {NOBODY}", 1, NO_RUN),
    ("approvals --limit 0", 2, "'0' is no whole number from 1 to 1,000,000."),
    ("approve flights", 2, "'flights' is no run id. `maestro runs` lists the runs."),
    (f"approve {RUN_ID}", 2, "Missing argument 'TASK'. `maestro approvals` lists what waits."),
    (f"approve {NOBODY} read", 1, NO_RUN),
    (f"approve {RUN_ID} raed", 1, "The run has no task 'raed'. Did you mean read?"),
    (f"approve {RUN_ID} read --form reason", 2, "Answer 'reason' has no value: write reason=VALUE or reason=@FILE"),
    (f"approve {RUN_ID} read --form =x", 2, "--form needs the form name=value; the name is missing."),
    (f"reject {RUN_ID}", 2, "Missing argument 'TASK'. `maestro approvals` lists what waits."),
    (f"reject {NOBODY} read", 1, NO_RUN),
    ("cancel", 2, "Missing argument 'RUN'. `maestro runs` lists the runs."),
    (f"cancel {NOBODY}", 1, NO_RUN),
    ("pause", 2, "Give one of RUN, WORKFLOW, --queue NAME and --all."),
    (f"pause {RUN_ID} --all", 2, "Give one of RUN, WORKFLOW, --queue NAME and --all."),
    ("pause flihgts", 1, NO_WORKFLOW),
    (f"pause {NOBODY}", 1, NO_RUN),
    ("resume", 2, "Give one of RUN, WORKFLOW, --queue NAME and --all."),
    ("resume flihgts", 1, NO_WORKFLOW),
    ("resume a/b", 2, "'a/b' is no workflow name"),
    ("pauses --run x", 2, "'x' is no run id. `maestro runs` lists the runs."),
    ("canvas", 2, "Missing argument 'NAME'. `maestro workflows` lists them."),
    ("canvas flihgts", 1, NO_WORKFLOW),
    ("canvas flow.yaml", 2, "Name an applied workflow; first `maestro apply flow.yaml`."),
    ("activate flights", 2, "Missing argument 'VERSION'. `maestro apply` prints the number it gives."),
    ("activate flights x", 2, "'x' is no whole number of at least 1."),
    ("activate flihgts 1", 1, NO_WORKFLOW),
    ("archive", 2, "Missing argument 'NAME'. `maestro workflows` lists them."),
    ("archive flihgts", 1, NO_WORKFLOW),
    ("apply", 2, "Missing argument 'FILE'. Name a definition file, for example examples/flight-delays.yaml, or '-'"),
    ("apply folw.yaml", 1, "There is no file folw.yaml. Did you mean flow.yaml?"),
    ("validate directory.yaml", 1, "directory.yaml cannot be read: Is a directory."),
    ("workflows --limit many", 2, "'many' is no whole number from 1 to 1,000,000."),
    ("kinds extra", 2, "Got unexpected extra argument (extra)"),
    ("kinds --home", 2, "Option '--home' requires an argument."),
    ("kinds --home none", 1, "Is it the home of a stack? `maestro up --home "),
    ("kinds --profile none", 1, "There is no profile 'none'. Add to "),
    ("kinds --url nonsense", 1, "The server's URL must look like http://127.0.0.1:3000."),
    ("schema extra", 2, "Got unexpected extra argument (extra)"),
    ("completion", 2, "Missing argument 'SHELL'. Choose from:"),
    ("completion tcsh", 2, "'tcsh' is not one of 'bash', 'zsh', 'fish'."),
    ("open flights", 2, "'flights' is no run id. `maestro runs` lists the runs."),
    (f"open {NOBODY}", 1, NO_RUN),
    ("exec", 2, "Missing argument 'PROGRAM [ARGUMENT]...'. Name a program, for example `celery -A maestro status`."),
    ("exec celery", 1, "No stack runs in .maestro. Start one by `maestro up`."),
    ("chaos --faults kill-worker,pauze", 2, "there is no fault 'pauze'. Did you mean pause?"),
    (
        "chaos --faults frobnicate",
        2,
        "there is no fault 'frobnicate'. There are kill-worker, kill-child, kill-api,",
    ),
    ("chaos --faults ,", 2, "name at least one of kill-worker, kill-child, kill-api,"),
    ("chaos --runs 0", 2, "'0' is no number of runs: give a whole number from 1 to 100,000."),
    ("chaos --seed now", 2, "'now' is no seed: give a whole number from 0 to 2,147,483,647."),
    ("chaos --report none/report.md", 1, "There is no directory none."),
    ("chaos --report flow.yaml/report.md", 1, "There is no directory flow.yaml."),
    ("up --port 0", 2, "'0' is no port: give a whole number from 1 to 65,535."),
    ("up --concurrency none", 2, "'none' is no number of tasks: give a whole number from 1 to 1,000."),
    ("up --workers 0", 2, "'0' is no number of workers: give a whole number from 1 to 100."),
    ("up --autoscale 2,8", 2, "'2,8' is not MAX,MIN: give the most processes and the least, from 1,000 to 1, for "),
    ("up --autoscale 8,2 --concurrency 4", 2, "--concurrency says how many tasks run at a time, --autoscale lets it "),
    ("up --drain-seconds 20s", 2, "'20s' is no number of seconds: give a whole number from 0 to 86,400."),
    ("up --json", 2, "--json needs --detach."),
    ("down --home flow.yaml", 1, "flow.yaml is no directory. Choose another home by --home."),
    ("status --home flow.yaml", 1, "flow.yaml is no directory. Choose another home by --home."),
]


NO_RUN_AT = [
    ("GET", ""),
    ("GET", "/logs"),
    ("GET", "/explanation"),
    ("GET", "/task-executions"),
    ("GET", "/signals"),
    ("POST", "/cancel"),
    ("POST", "/pause"),
    ("POST", "/signals"),
    ("POST", "/task-executions/read/approve"),
    ("POST", "/task-executions/read/reject"),
]


@pytest.fixture(autouse=True)
def server(api: FakeApi, directory: Path) -> None:
    """A server with one workflow and one run, and files of every bad sort."""
    flights = {"id": "1", "name": "flights", "version": 1, "inputs": {"late": {"type": "integer"}}}
    api.on_list("/workflows", [flights])
    api.on("GET", "/workflows/flights", flights)
    api.on("GET", f"/workflow-runs/{RUN_ID}", run_json())
    api.on_list("/workflow-runs", [])
    api.on_list(f"/workflow-runs/{RUN_ID}/task-executions", [task_json("read")])
    api.on_turns("GET", f"/workflow-runs/{RUN_ID}/logs", problem(404, "task_not_found", "No such task."))
    api.on_turns("GET", f"/workflow-runs/{RUN_ID}/explanation", problem(404, "task_not_found", "No such task."))
    api.on_turns("GET", f"/workflow-runs/{RUN_ID}/past-attempts", problem(404, "task_not_found", "No such task."))
    for method, path in NO_RUN_AT:
        api.on_turns(method, f"/workflow-runs/{NOBODY}{path}", problem(404, "run_not_found", NO_RUN))
    (directory / "flow.yaml").write_text("name: flow\n")
    (directory / "directory.yaml").mkdir()
    (directory / "binary.yaml").write_bytes(b"\xff\xfe")
    (directory / "list.json").write_text("[1]")


@pytest.mark.parametrize(("typed", "exit_code", "said"), WRONG, ids=[typed for typed, *_ in WRONG])
def test_wrong_argument_is_answered_by_what_to_do(maestro: Maestro, typed: str, exit_code: int, said: str):
    result = maestro(*typed.split())

    assert result.exit_code == exit_code, result.output
    assert said in result.stderr
    assert result.stdout == ""
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize(("typed", "exit_code", "said"), WRONG[3:12], ids=[typed for typed, *_ in WRONG[3:12]])
def test_the_same_is_an_object_for_programs(maestro: Maestro, typed: str, exit_code: int, said: str):
    result = maestro(*typed.split(), "--json")

    assert result.exit_code == exit_code
    assert said in json.loads(result.stderr)["message"]


def test_every_command_is_tried_here():
    assert {typed.split()[0] for typed, *_ in WRONG} >= set(COMMANDS)
