import datetime
import tempfile
import threading
from typing import ClassVar

import pytest

from executors.base import CANCELLED, LogLine, Options, TaskError, TaskResult, timed_out
from executors.kinds import registry
from executors.kinds.errors import BrokenKind
from executors.runtime import attempt_log, workspace
from executors.runtime.attempt import MESSAGE_LIMIT, run_attempt
from tests.unit.executors.context import ORGANIZATION_ID, RUN_ID


class SampleExecutor:
    """A kind that does what the test says."""

    kind: ClassVar[str] = "sample"
    summary: ClassVar[str] = "Does what the test says."
    Options = Options

    def __init__(self, execute):
        self.execute = execute


@pytest.fixture(autouse=True)
def temporary_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def install(monkeypatch):
    def install_sample(execute):
        monkeypatch.setattr(registry, "installed_kinds", lambda: {"sample": SampleExecutor(execute)})

    return install_sample


def run(kind="sample", lines=None, is_cancelled=lambda: False, map_index=None, **options):
    return run_attempt(
        kind=kind,
        raw_options=options,
        run_id=RUN_ID,
        organization_id=ORGANIZATION_ID,
        workflow_name="flight-delays",
        task_key="clean",
        map_index=map_index,
        attempt=2,
        idempotency_token="token-of-clean",
        write_lines=(lambda batch: None) if lines is None else lines.extend,
        is_cancelled=is_cancelled,
        now=lambda: datetime.datetime.now(datetime.UTC),
    )


def test_request_carries_what_the_attempt_is(install):
    requests = []

    def execute(request, context):
        requests.append(request)
        return TaskResult(output=1)

    install(execute)

    assert run(map_index=3) == TaskResult(output=1)
    request = requests[0]
    assert (request.run_id, request.organization_id) == (RUN_ID, ORGANIZATION_ID)
    assert (request.workflow_name, request.task_key, request.map_index) == ("flight-delays", "clean", 3)
    assert (request.attempt, request.idempotency_token) == (2, "token-of-clean")


def test_lines_are_written_before_the_result_is_returned(install):
    lines: list[LogLine] = []
    install(lambda request, context: context.write_line("hello", stream="stderr") or TaskResult())

    run(lines=lines)

    assert [(line.stream, line.message) for line in lines] == [("stderr", "hello")]


def test_cancel_reaches_the_kind():
    assert run("noop", is_cancelled=lambda: True, duration="1d") == TaskResult(error=CANCELLED)


def test_wrong_options_fail_without_a_retry(install):
    install(lambda request, context: TaskResult(output="ran"))

    assert run(color="red") == TaskResult(
        error=TaskError(code="invalid_options", message="with.color: there is no such option", is_retryable=False)
    )


def test_unknown_kind_is_the_platforms_fault():
    error = run("shel").error

    assert (error.code, error.is_platform_fault) == ("unknown_kind", True)


def test_broken_kind_is_the_platforms_fault(monkeypatch):
    def find(name):
        raise BrokenKind("The kind 'x' of acme 1.2 cannot be loaded.")

    monkeypatch.setattr(registry, "get_kind", find)

    error = run().error

    assert (error.code, error.is_platform_fault) == ("broken_kind", True)
    assert error.message == "The kind 'x' of acme 1.2 cannot be loaded."


def test_exception_of_a_kind_is_a_failure_of_the_platform(install, caplog):
    lines: list[LogLine] = []

    def execute(request, context):
        context.write_line("before")
        raise RuntimeError("no disk")

    install(execute)

    error = run(lines=lines).error

    assert (error.code, error.is_platform_fault, error.is_retryable) == ("unexpected_error", True, True)
    assert error.message == "The kind 'sample' broke: RuntimeError: no disk"
    assert [line.message for line in lines] == ["before"]
    record = caplog.records[0]
    assert (record.event, record.task_key, record.run_id) == ("attempt_failed_unexpectedly", "clean", str(RUN_ID))
    assert record.exc_info[0] is RuntimeError


def test_kind_that_returns_something_else_is_named(install):
    install(lambda request, context: {"output": 1})

    assert run().error.message == "The kind 'sample' returned a dict where a TaskResult belongs."


def test_output_is_checked(install):
    install(lambda request, context: TaskResult(output={"days": {1}}))

    error = run().error

    assert (error.code, error.is_retryable) == ("output_not_json", False)
    assert error.message.startswith("output.days is of type set")


def test_output_is_made_plain(install):
    install(lambda request, context: TaskResult(output=(1, 2)))

    assert run() == TaskResult(output=[1, 2])


def test_error_message_can_be_stored(install):
    install(lambda request, context: TaskResult(error=TaskError(code="x", message="a\x00\ud800" + "b" * 10_000)))

    message = run().error.message

    assert message.startswith("a\\x00\\ud800bbb")
    assert len(message) == MESSAGE_LIMIT
    assert message.endswith("…")


def test_failed_result_has_no_output(install):
    install(lambda request, context: TaskResult(output={1}, error=TaskError(code="x", message="m")))

    assert run() == TaskResult(error=TaskError(code="x", message="m"))


def test_workspace_is_made_once_and_removed(install, temporary_directory):
    seen = []

    def execute(request, context):
        seen.append((context.workspace(), context.workspace().directory.is_dir()))
        assert context.workspace() is seen[0][0]
        return TaskResult()

    install(execute)

    assert run(map_index=4).error is None
    workspace, existed = seen[0]
    assert existed
    assert list(temporary_directory.iterdir()) == []
    variables = {name: value for name, value in workspace.environment.items() if name.startswith("MAESTRO_")}
    assert variables == {
        "MAESTRO_RUN_ID": str(RUN_ID),
        "MAESTRO_WORKFLOW": "flight-delays",
        "MAESTRO_TASK_KEY": "clean",
        "MAESTRO_MAP_INDEX": "4",
        "MAESTRO_ATTEMPT": "2",
        "MAESTRO_IDEMPOTENCY_TOKEN": "token-of-clean",
        "MAESTRO_OUTPUT": str(workspace.output_file),
    }


def test_workspace_is_removed_after_a_failure(install, temporary_directory):
    def execute(request, context):
        (context.workspace().directory / "file").write_text("x")
        raise RuntimeError

    install(execute)

    run()

    assert list(temporary_directory.iterdir()) == []


def test_stopping_worker_passes_through_after_tidying_up(install, temporary_directory):
    lines: list[LogLine] = []

    def execute(request, context):
        context.workspace()
        context.write_line("last words")
        raise SystemExit(1)

    install(execute)

    with pytest.raises(SystemExit):
        run(lines=lines)

    assert list(temporary_directory.iterdir()) == []
    assert [line.message for line in lines] == ["last words"]


def test_log_that_cannot_be_written_does_not_fail_the_task(install, monkeypatch):
    monkeypatch.setattr(attempt_log, "CLOSE_DELAYS_SECONDS", (0.0,))
    install(lambda request, context: context.write_line("x") or TaskResult(output=1))

    def refuse(batch):
        raise ConnectionError

    result = run_attempt(
        kind="sample",
        raw_options={},
        run_id=RUN_ID,
        organization_id=ORGANIZATION_ID,
        workflow_name="w",
        task_key="t",
        map_index=None,
        attempt=1,
        idempotency_token="i",
        write_lines=refuse,
        is_cancelled=lambda: False,
        now=lambda: datetime.datetime.now(datetime.UTC),
    )

    assert result == TaskResult(output=1)


def test_noop_needs_no_thread_and_no_directory(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("must not be used")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr(workspace, "make_workspace", refuse)

    assert run("noop", output="done") == TaskResult(output="done")


def test_shell_and_workspace_work_together(temporary_directory):
    lines: list[LogLine] = []

    result = run("shell", lines, command='echo "$MAESTRO_TASK_KEY"; echo "{\\"at\\": \\"$PWD\\"}" > "$MAESTRO_OUTPUT"')

    assert result.output["at"].startswith(str(temporary_directory))
    assert [line.message for line in lines] == ["clean"]


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.3000012, "0.3"), (1800, "1800"), (90_061.25, "90061.25"), (-2.5, "0")]
)
def test_time_limit_is_told_in_seconds(seconds, shown):
    assert timed_out(seconds).message == f"The attempt took longer than the {shown} s it may take."
