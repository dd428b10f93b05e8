"""The options of a task against the model of its kind."""

import pytest

from tests.unit.definition.kinds import KINDS
from workflows.definition.options import check_kind, check_options, option_names


def problems_of(kind, options):
    problems = check_options(options, kind, KINDS[kind], ("with",))
    return [(problem.code, problem.pointer, problem.message) for problem in problems]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("shell", {"command": "echo", "env": {"A": "b"}, "cwd": None, "retries": 3, "shell": "bash"}),
        ("shell", {"command": "${{ inputs.command }}", "env": "${{ inputs.env }}", "retries": "${{ inputs.n }}"}),
        ("shell", {"command": " ${{ inputs.a }}", "shell": "${{ inputs.shell }}", "env": {"A": "${{ inputs.a }}"}}),
        ("batch", {"steps": [{"run": "a", "after": {"run": "b"}}], "kind": "x"}),
        ("batch", {"steps": ["${{ inputs.step }}", {"run": "a", "after": "${{ inputs.step }}"}]}),
        ("batch", {"value": {"text": "a"}, "anything": [1, {"a": "${{ x }}"}]}),
        ("batch", {"value": {"number": "${{ inputs.n }}", "unit": "m"}}),
        ("batch", {"this": "${{ inputs.n }}", "that": "${{ inputs.n }}"}),
        ("noop", {}),
        ("noop", {"duration": 1}),
    ],
)
def test_fitting_options_are_taken(kind, options):
    assert problems_of(kind, options) == []


@pytest.mark.parametrize(
    ("kind", "options", "problem"),
    [
        ("shell", {}, ("missing_key", "with.command", "is required")),
        (
            "shell",
            {"command": "a", "comand": "${{ inputs.a }}"},
            ("unknown_option", "with.comand", '"comand" is not an option of the kind "shell"; did you mean "command"?'),
        ),
        (
            "shell",
            {"command": "a", "zzz": 1},
            (
                "unknown_option",
                "with.zzz",
                '"zzz" is not an option of the kind "shell"; it takes command, env, cwd, retries, shell',
            ),
        ),
        ("shell", {"command": 3}, ("wrong_type", "with.command", "must be text, not a whole number")),
        ("shell", {"command": "a", "env": ["${{ a }}"]}, ("wrong_type", "with.env", "must be a mapping, not a list")),
        ("shell", {"command": "a", "env": {"A": 1}}, ("wrong_type", "with.env.A", "must be text, not a whole number")),
        ("shell", {"command": "a", "retries": "3"}, ("wrong_type", "with.retries", "must be a whole number, not text")),
        ("shell", {"command": "a", "retries": 10}, ("out_of_range", "with.retries", "must be at most 9")),
        ("shell", {"command": ""}, ("too_short", "with.command", "must have at least 1 character")),
        (
            "shell",
            {"command": "a", "shell": "bsh"},
            ("not_allowed", "with.shell", "must be 'sh' or 'bash'; did you mean \"bash\"?"),
        ),
        ("shell", {"command": " a"}, ("wrong_format", "with.command", r"must match the pattern ^\S")),
        ("batch", {"steps": []}, ("too_short", "with.steps", "must have at least 1 entry; it has 0")),
        ("batch", {"steps": [{"run": "a", "x": "${{ a }}"}]}, ("unknown_option", "with.steps[0].x", None)),
        ("batch", {"this": 1, "that": 1}, ("invalid_value", "with", "this and that must differ")),
        ("batch", {"kind_of": "x"}, ("unknown_option", "with.kind_of", None)),
    ],
)
def test_other_options_are_refused(kind, options, problem):
    ((code, pointer, message),) = problems_of(kind, options)

    assert (code, pointer) == problem[:2]
    assert problem[2] is None or message == problem[2]


def test_value_that_fits_no_alternative_is_refused_though_it_holds_an_expression():
    problems = problems_of("batch", {"value": {"number": "${{ inputs.n }}"}})

    assert ("missing_key", "with.value.unit", "is required") in problems


def test_every_wrong_option_is_told():
    assert {pointer for _, pointer, _ in problems_of("shell", {"env": 1, "cwd": 2, "x": 3})} == {
        "with.command",
        "with.env",
        "with.cwd",
        "with.x",
    }


def test_options_are_named_as_authors_write_them():
    assert option_names(KINDS["batch"]) == ["steps", "value", "kind", "anything", "this", "that"]


@pytest.mark.parametrize(
    ("kind", "code", "message"),
    [
        ("shel", "unknown_kind", 'there is no kind "shel"; did you mean "shell"?'),
        ("zzz", "unknown_kind", 'there is no kind "zzz"; there are batch, noop, shell'),
        ("kubernetes", "not_supported_yet", 'the kind "kubernetes" is not supported yet'),
    ],
)
def test_kind_that_is_not_installed_is_refused(kind, code, message):
    (problem,) = check_kind(kind, KINDS, ("tasks", "a", "uses"))

    assert (problem.code, problem.pointer, problem.message) == (code, "tasks.a.uses", message)


def test_kind_announced_for_later_is_taken_once_it_is_installed():
    assert list(check_kind("kubernetes", {"kubernetes": KINDS["noop"]}, ())) == []
