import json
import sys
import time

import pytest

from executors.base import CANCELLED, MAX_OUTPUT_BYTES, TaskResult
from executors.kinds.shell import ShellExecutor, ShellOptions
from tests.unit.executors.context import FakeContext, make_request


@pytest.fixture
def context(tmp_path):
    return FakeContext(tmp_path)


def run(context, command, **options):
    return ShellExecutor().execute(make_request(ShellOptions.model_validate({"command": command, **options})), context)


def test_stdout_is_the_output_of_a_command_that_writes_no_file(context):
    result = run(context, "echo one; echo two; echo")

    assert result == TaskResult(output={"exit_code": 0, "stdout": "one\ntwo", "stdout_truncated": False})


def test_json_in_the_output_file_is_the_output(context):
    result = run(context, """echo seen; echo '{"worst": ["UA", 1.5]}' > "$MAESTRO_OUTPUT" """)

    assert result == TaskResult(output={"worst": ["UA", 1.5]})
    assert context.messages("stdout") == ["seen"]


@pytest.mark.parametrize(
    ("content", "reason"), [("{", "Expecting property name"), ("", "Expecting value"), ("NaN", "NaN is no JSON")]
)
def test_output_file_that_is_not_json_fails_and_says_so(context, content, reason):
    error = run(context, f"printf '{content}' > $MAESTRO_OUTPUT").error

    assert error.code == "invalid_output_file"
    assert error.message.startswith("$MAESTRO_OUTPUT is not JSON in UTF-8: ")
    assert reason in error.message


def test_integer_longer_than_python_reads_is_one_beyond_64_bits(context):
    assert run(context, "head -c 5000 /dev/zero | tr '\\0' 9 > $MAESTRO_OUTPUT").output > 2**63


def test_output_path_that_is_not_a_file_fails(context):
    assert run(context, "mkfifo $MAESTRO_OUTPUT").error.code == "invalid_output_file"


def test_output_file_over_the_limit_fails_without_being_read(context):
    error = run(context, f"head -c {MAX_OUTPUT_BYTES + 1} /dev/zero > $MAESTRO_OUTPUT").error

    assert error.code == "output_too_large"
    assert error.message == "$MAESTRO_OUTPUT is 1,048,577 bytes; at most 1,048,576 are read."


def test_long_stdout_is_cut_at_its_beginning_and_says_so(context):
    output = run(context, "head -c 100000 /dev/zero | tr '\\0' 'a'; printf z").output

    assert output["stdout"] == "a" * 65535 + "z"
    assert output["stdout_truncated"] is True


def test_cut_inside_a_character_leaves_no_half_of_it(context):
    script = "import sys; sys.stdout.write('é' * 40000 + 'z')"

    output = run(context, f'"{sys.executable}" -c "{script}"').output

    assert output["stdout"] == "é" * 32767 + "z"


def test_lines_keep_their_order_and_stream(context):
    run(context, "echo a; sleep 0.03; echo b >&2; sleep 0.03; echo c; printf d")

    assert context.lines == [
        ("stdout", "info", "a"),
        ("stderr", "info", "b"),
        ("stdout", "info", "c"),
        ("stdout", "info", "d"),
    ]


def test_bytes_that_are_no_text_are_replaced(context):
    result = run(context, r"printf 'a\377b\000c'")

    assert result.output["stdout"] == "a\ufffdb\\x00c"


def test_environment_of_the_worker_is_not_passed_on(context, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "canary-secret")

    output = run(context, "env; cat /proc/$$/environ 2>/dev/null | tr '\\0' '\\n'").output

    assert "canary-secret" not in output["stdout"]
    assert "DATABASE_URL" not in output["stdout"]


def test_environment_is_the_workspace_and_the_options(context, tmp_path):
    lines = (
        run(context, "env", env={"NAME": 'O\'Hare "ORD" $x', "TOP": 5, "EXACT": 0.5, "ON": True})
        .output["stdout"]
        .split("\n")
    )

    assert set(lines) - {f"PWD={tmp_path}", "_=/usr/bin/env", "SHLVL=0", "SHLVL=1", "OLDPWD"} == {
        "PATH=/usr/bin:/bin",
        f"HOME={tmp_path}",
        f"MAESTRO_OUTPUT={tmp_path}/output.json",
        'NAME=O\'Hare "ORD" $x',
        "TOP=5",
        "EXACT=0.5",
        "ON=true",
    }


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"command": ""}, "at least 1 character"),
        ({"command": "a\x00b"}, "has a NUL character"),
        ({"command": ":", "cwd": "a\ud800b"}, "has a lone surrogate"),
        ({"command": ":", "env": {"A B": "1"}}, "is no name of an environment variable"),
        ({"command": ":", "env": {"MAESTRO_RUN_ID": "1"}}, "is reserved"),
        ({"command": ":", "env": {"A": "x\x00"}}, "has a NUL character"),
        ({"command": ":", "env": {"A": ["x"]}}, "valid string"),
        ({"command": ":", "shell": "bash"}, "Extra inputs"),
        ({}, "Field required"),
    ],
)
def test_wrong_options_are_refused(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        ShellOptions.model_validate(options)


def test_command_runs_in_the_attempts_directory(context, tmp_path):
    assert run(context, "pwd -P").output["stdout"] == str(tmp_path.resolve())


def test_cwd_may_be_relative_to_the_attempts_directory(context, tmp_path):
    (tmp_path / "inner").mkdir()

    assert run(context, "pwd -P", cwd="inner").output["stdout"] == str((tmp_path / "inner").resolve())


def test_cwd_that_does_not_exist_is_named(context):
    error = run(context, "pwd", cwd="/no/such/directory").error

    assert error.code == "directory_not_found"
    assert error.message == "with.cwd: /no/such/directory is not a directory on this worker."
    assert not error.is_retryable


def test_stdin_is_empty(context):
    assert run(context, "cat; echo end").output["stdout"] == "end"


def test_exit_status_fails_with_the_last_line_of_stderr(context):
    error = run(context, "echo first >&2; echo 'No such table.' >&2; echo >&2; exit 3").error

    assert (error.code, error.message) == ("exit_status", "The command exited with status 3: No such table.")
    assert error.is_retryable


def test_exit_status_without_stderr(context):
    assert run(context, "exit 4").error.message == "The command exited with status 4."


def test_command_killed_by_a_signal_names_it(context):
    error = run(context, "kill -TERM $$").error

    assert (error.code, error.message) == ("killed_by_signal", "The command was killed by SIGTERM.")


def test_program_killed_by_a_signal_is_explained(context):
    error = run(context, "sh -c 'kill -KILL $$'; exit $?").error

    assert error.code == "exit_status"
    assert "status 137 (a program it ran was killed by SIGKILL)" in error.message


def test_command_longer_than_the_system_takes_fails_clearly(context):
    error = run(context, "echo $BIG", env={"BIG": "x" * 3_000_000}).error

    assert error.code == "command_too_long"
    assert not error.is_retryable


def test_cancelled_command_is_terminated(tmp_path):
    context = FakeContext(tmp_path, is_cancelled=lambda: True)
    started = time.monotonic()

    result = run(context, "sleep 60")

    assert result == TaskResult(error=CANCELLED)
    assert time.monotonic() - started < 30


def test_schema_of_env_allows_numbers_and_booleans():
    schema = json.dumps(ShellOptions.model_json_schema()["properties"]["env"])

    assert all(f'"type": "{name}"' in schema for name in ("string", "integer", "number", "boolean"))
