"""An input marked `writeOnly` reaches the tasks and is shown to nobody."""

import json

SECRET = 'correct horse "battery" größer'
DEFINITION = {
    "schema_version": 1,
    "name": "with-secret",
    "inputs": {
        "password": {"type": "string", "writeOnly": True, "minLength": 8},
        "login": {"type": "object", "properties": {"user": {}, "pin": {"type": "integer", "writeOnly": True}}},
    },
    "tasks": {
        "measure": {
            "uses": "shell",
            "with": {
                "command": 'echo "using $PASSWORD"; echo "pin $PIN" >&2; printf %s "$PASSWORD" | wc -m',
                "env": {"PASSWORD": "${{ inputs.password }}", "PIN": "${{ inputs.login.pin }}", "LANG": "C.UTF-8"},
            },
        },
        "lose": {
            "needs": ["measure"],
            "uses": "noop",
            "with": {"fail": "cannot sign in with ${{ inputs.password }} and ${{ string(inputs.login.pin) }}"},
        },
    },
}


def start(stack, tmp_path, *arguments, definition=DEFINITION, **options):
    (tmp_path / "flow.json").write_text(json.dumps(definition))
    return stack.run("run", str(tmp_path / "flow.json"), *arguments, **options)


def test_secret_reaches_the_task_and_is_shown_nowhere(stack, tmp_path):
    login = 'login={"user": "ada", "pin": 48151623}'

    finished = start(stack, tmp_path, "-i", "password=@-", "-i", login, "--follow", "--json", input=f"{SECRET}\n")

    run = json.loads(finished.stdout.splitlines()[-1])["run"]
    assert run["inputs"] == {"password": "••••••", "login": {"user": "ada", "pin": "••••••"}}
    assert run["error_message"] == "Task lose failed: cannot sign in with •••••• and ••••••"
    shown = [stack.run(*command).stdout for command in (["show", run["id"]], ["logs", run["id"]])]
    tasks = stack.request("GET", f"/workflow-runs/{run['id']}/task-executions").json()["results"]
    assert tasks[0]["output"]["stdout"] == f"using ••••••\n{len(SECRET)}"
    assert "using ••••••" in shown[1]
    assert "pin ••••••" in shown[1]
    everything = finished.stdout + finished.stderr + "".join(shown) + json.dumps(tasks, ensure_ascii=False)
    assert "battery" not in everything
    assert "48151623" not in everything


def test_outputs_of_a_run_hide_its_secrets_but_tasks_pass_them_on(stack, tmp_path):
    definition = {
        "schema_version": 1,
        "name": "pass-secret",
        "inputs": {"token": {"type": "string", "writeOnly": True}},
        "tasks": {
            "make": {"uses": "noop", "with": {"output": "Bearer ${{ inputs.token }}"}},
            "check": {
                "needs": ["make"],
                "uses": "noop",
                "with": {"output": "${{ tasks.make.output == 'Bearer ' + inputs.token }}"},
            },
        },
        "outputs": {"header": "${{ tasks.make.output }}", "was_passed": "${{ tasks.check.output }}"},
    }

    finished = start(stack, tmp_path, "-i", "token=open-sesame", "--follow", definition=definition)

    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "header: Bearer ••••••" in finished.stdout
    assert "was_passed: true" in finished.stdout
    assert "open-sesame" not in finished.stdout + finished.stderr


def test_everything_wrong_with_inputs_is_told_at_once_and_no_secret_with_it(stack, tmp_path):
    finished = start(stack, tmp_path, "-i", "password=hunter2", "-i", "login=[1]", "-i", "logn=1")

    assert finished.returncode == 1
    assert "password: must have at least 8 characters [too_short]" in finished.stderr
    assert "login: must be a mapping, not a list [wrong_type]" in finished.stderr
    assert 'logn: is not an input; did you mean "login"? [unknown_input]' in finished.stderr
    assert "hunter2" not in finished.stdout + finished.stderr
