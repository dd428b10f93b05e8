import logging
import sys
import types

import pytest
from pydantic import ValidationError

from executors.base import CANCELLED, TaskError, TaskResult
from executors.kinds import python
from executors.kinds.python import PythonExecutor, PythonOptions
from tests.unit.executors.context import RUN_ID, FakeContext, make_request

SAMPLES = "tests.unit.executors.kinds.sample_functions"


@pytest.fixture(autouse=True)
def allowed_modules(monkeypatch):
    allowed = (SAMPLES, "tests.unit.executors.kinds.broken_module")
    monkeypatch.setattr(python, "settings", types.SimpleNamespace(MAESTRO_TASK_MODULES=allowed))


@pytest.fixture
def context():
    return FakeContext()


def call(context, function, **args):
    options = PythonOptions.model_validate({"function": function, "args": args})
    return PythonExecutor().execute(make_request(options), context)


def test_return_value_is_the_output(context):
    assert call(context, f"{SAMPLES}.add", left=2, right=3) == TaskResult(output=5)


def test_async_function_is_run(context):
    assert call(context, f"{SAMPLES}.wait_and_add", left=2, right=3) == TaskResult(output=5)


def test_output_and_records_become_lines_in_order(context):
    call(context, f"{SAMPLES}.talk")

    assert context.lines == [
        ("stdout", "info", "to stdout"),
        ("stderr", "info", "to stderr"),
        ("log", "info", "level info"),
        ("log", "warning", "careful"),
        ("log", "error", "wrong"),
        ("stdout", "info", "bytes \ufffd"),
        ("stdout", "info", "no newline"),
    ]


def test_record_with_wrong_arguments_is_still_a_line(context, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own raises

    call(context, f"{SAMPLES}.log_badly")

    assert context.lines == [
        (
            "log",
            "info",
            "%d rows (cannot be formatted with ('many',): TypeError: %d format: a real number is required, not str)",
        )
    ]


def test_streams_and_logging_are_restored_after_a_failure(context):
    root = logging.getLogger()
    before = (sys.stdout, sys.stderr, root.level, list(root.handlers))

    call(context, f"{SAMPLES}.fail")

    assert (sys.stdout, sys.stderr, root.level, root.handlers) == before


def test_exception_is_the_error_and_its_traceback_the_log(context):
    error = call(context, f"{SAMPLES}.fail").error

    assert (error.code, error.message) == ("value_error", "ValueError: no such day")
    assert error.is_retryable
    assert not error.is_platform_fault
    assert [(stream, level) for stream, level, _ in context.lines] == [("log", "error")]
    text = context.lines[0][2]
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith("ValueError: no such day")
    assert "sample_functions.py" in text
    assert "executors/kinds/python.py" not in text


def test_log_of_a_failure_tells_nothing_of_what_the_worker_was_in_the_midst_of(context):
    # A worker starts processes while it handles the loss of its broker, and they go on from there.
    try:
        raise ConnectionError("the broker is away")
    except ConnectionError:
        call(context, f"{SAMPLES}.fail")
        call(context, f"{SAMPLES}.fail_with_cause")

    text = "".join(line for _, _, line in context.lines)
    assert "no such day" in text
    assert "inner" in text
    assert "the broker is away" not in text


def test_exception_class_becomes_the_code(context):
    error = call(context, f"{SAMPLES}.fail_with_cause").error

    assert (error.code, error.message) == ("http_timeout_error", "HTTPTimeoutError")
    assert "ValueError: inner" in context.lines[0][2]


def test_task_failed_says_code_and_whether_and_when_to_try_again(context):
    error = call(context, f"{SAMPLES}.fail_as_said").error

    assert error == TaskError(code="table_locked", message="the table is locked", is_retryable=False, retry_after=30)


@pytest.mark.parametrize(
    ("function", "code", "message"),
    [
        ("leave", "system_exit", "SystemExit: 3"),
        ("interrupt", "keyboard_interrupt", "KeyboardInterrupt"),
        ("cancel_itself", "cancelled_error", "CancelledError"),
    ],
)
def test_user_code_cannot_end_the_worker(context, function, code, message):
    error = call(context, f"{SAMPLES}.{function}").error

    assert (error.code, error.message) == (code, message)


def test_worker_that_is_being_stopped_is_not_held_up(context, monkeypatch):
    handler = types.ModuleType("billiard.common")
    exec("def stop():\n    raise SystemExit(-241)", handler.__dict__)

    def interrupted():
        handler.stop()

    interrupted.__module__ = SAMPLES
    monkeypatch.setattr(f"{SAMPLES}.add", interrupted)

    with pytest.raises(SystemExit):
        call(context, f"{SAMPLES}.add")


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        ({}, "missing a required argument: 'left'"),
        ({"left": 1, "middle": 2}, "got an unexpected keyword argument 'middle'"),
    ],
)
def test_arguments_that_do_not_fit_are_named(context, args, complaint):
    error = call(context, f"{SAMPLES}.add", **args).error

    assert error.code == "invalid_arguments"
    assert error.message == f"with.args: {SAMPLES}.add() does not take them: {complaint}."
    assert not error.is_retryable


def test_typed_function_takes_and_returns_what_its_annotations_say(context):
    delays = [{"day": "2013-02-08", "minutes": 20}, {"day": "2013-02-09", "minutes": "50"}]

    result = call(context, f"{SAMPLES}.longest", delays=delays)

    assert result == TaskResult(output={"day": "2013-02-09", "minutes": 50})


@pytest.mark.parametrize(
    ("function", "args", "code", "message"),
    [
        (
            "longest",
            {"delays": [{"day": "soon", "minutes": 3}], "limit": None},
            "invalid_arguments",
            (
                f"with.args: {SAMPLES}.longest() does not take them: delays[0].day: Input should be a valid date or "
                "datetime, input is too short; limit: Input should be a valid integer."
            ),
        ),
        (
            "longest",
            {"limits": 3},
            "invalid_arguments",
            f"with.args: {SAMPLES}.longest() does not take them: missing a required argument: 'delays'.",
        ),
        (
            "unusable",
            {"aircraft": {}},
            "unusable_signature",
            f"with.function: {SAMPLES}.unusable(): the type of parameter 'aircraft' cannot come as JSON",
        ),
        ("aircraft", {}, "output_not_json", f"What {SAMPLES}.aircraft() returned: <{SAMPLES}.Aircraft object at"),
    ],
)
def test_typed_function_names_what_does_not_fit(context, function, args, code, message):
    error = call(context, f"{SAMPLES}.{function}", **args).error

    assert error.code == code
    assert error.message.startswith(message)
    assert not error.is_retryable


def test_function_and_its_threads_know_their_attempt_and_tell_progress(context):
    result = call(context, f"{SAMPLES}.current_in_thread")

    assert result.output == {
        "is_same": True,
        "run_id": str(RUN_ID),
        "workflow": "flight-delays",
        "task": "clean",
        "attempt": 1,
        "token": "token",
        "is_cancelled": False,
    }
    assert context.lines == [("log", "info", "progress 40%: loading"), ("log", "info", "progress 100%")]


@pytest.mark.parametrize(
    ("function", "code", "message"),
    [
        (f"{SAMPLES}.nothing", "function_not_found", f"module '{SAMPLES}' has no 'nothing'."),
        (f"{SAMPLES}.NUMBER", "function_not_found", f"{SAMPLES}.NUMBER is a int, not a function."),
        (f"{SAMPLES}.Aircraft", "function_not_found", f"{SAMPLES}.Aircraft is a type, not a function."),
        (f"{SAMPLES}.inner.add", "function_not_found", f"the worker finds no module '{SAMPLES}.inner'."),
        (f"{SAMPLES}.run", "module_not_allowed", f"{SAMPLES}.run comes from module 'subprocess', which is not allowed"),
    ],
)
def test_function_that_cannot_be_called_is_refused(context, function, code, message):
    error = call(context, function).error

    assert error.code == code
    assert message in error.message
    assert not error.is_retryable


@pytest.mark.parametrize("module", ["os", "antigravity", f"{SAMPLES}_two", "tests"])
def test_module_outside_the_list_is_refused_and_not_even_imported(module, monkeypatch):
    monkeypatch.delitem(sys.modules, "antigravity", raising=False)

    with pytest.raises(ValidationError) as caught:
        PythonOptions.model_validate({"function": f"{module}.function"})

    [problem] = caught.value.errors()
    assert problem["type"] == "module_not_allowed"
    assert problem["msg"].startswith(
        f"module '{module}' is not allowed here; allowed are (MAESTRO_TASK_MODULES): {SAMPLES},"
    )
    assert "antigravity" not in sys.modules


def test_module_that_cannot_be_imported_fails_with_its_own_error(context):
    error = call(context, "tests.unit.executors.kinds.broken_module.add").error

    assert error.code == "module_not_found_error"
    assert error.message == "ModuleNotFoundError: No module named 'there_is_no_such_package'"
    assert "broken_module.py" in context.lines[0][2]
    assert "importlib" not in context.lines[0][2]


@pytest.mark.parametrize("function", ["", "add", "a.", ".a", "a..b", "a.b-c", "a.b()", "1a.b"])
def test_path_that_is_no_function_path_is_refused(function):
    with pytest.raises(ValueError, match=r"should be the path of a function: package\.module\.function"):
        PythonOptions.model_validate({"function": function})


@pytest.mark.parametrize("function", ["fail_to_clean_up", "wait_in_a_group"])
def test_code_that_fails_because_it_was_interrupted_has_stopped(function):
    result = call(FakeContext(seconds_left=0.1), f"{SAMPLES}.{function}")

    assert result == TaskResult(error=CANCELLED)


def test_code_that_was_interrupted_may_say_itself_why_it_failed():
    result = call(FakeContext(seconds_left=0.1), f"{SAMPLES}.explain_itself")

    assert result.error is not None
    assert (result.error.code, result.error.is_retryable) == ("half_done", False)
