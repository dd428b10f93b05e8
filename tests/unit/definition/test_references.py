"""What expressions read must be there, and upstream."""

import pytest

from workflows.definition.expressions import compile_template
from workflows.definition.graph import TaskGraph
from workflows.definition.references import check_references

GRAPH = TaskGraph.of({"extract": [], "clean": ["extract"], "report": ["clean"], "other": []})


def problems_in(*, report="", outputs=""):
    problems = check_references(
        GRAPH,
        in_tasks={"report": compile_template(report, ("tasks", "report", "with")).expressions},
        in_outputs=compile_template(outputs, ("outputs", "x")).expressions,
        inputs={"day": {}},
    )
    return [(problem.code, problem.pointer, problem.message) for problem in problems]


def test_what_is_there_and_upstream_may_be_read():
    text = "${{ inputs.day }} ${{ tasks.clean.output }} ${{ tasks.extract.status }} ${{ run.id }} ${{ inputs }}"

    assert problems_in(report=text, outputs="${{ tasks.other.error_message }} ${{ platform.url }}") == []


@pytest.mark.parametrize(
    ("expression", "code", "message"),
    [
        ("inputs.dya", "unknown_input", 'there is no input "dya"; did you mean "day"?'),
        ("tasks.claen.output", "unknown_task", 'there is no task "claen"; did you mean "clean"?'),
        (
            "tasks.clean.outptu",
            "unknown_member",
            'a task has output, status and error_message, not outptu; did you mean "output"?',
        ),
        ("run.ident", "unknown_member", "`run` has id, workflow and created_at, not ident"),
        ("platform.uri", "unknown_member", '`platform` has url, not uri; did you mean "url"?'),
        (
            "tasks[inputs.day]",
            "bad_expression",
            "`tasks` must be followed by the key of a task, as in `tasks.load.output`",
        ),
        (
            "tasks.other.output",
            "reference_not_upstream",
            'the task "other" is not upstream of "report"; add "other" to the needs of "report"',
        ),
        (
            "tasks.report.output",
            "reference_not_upstream",
            'the task "report" is not upstream of "report"; a task cannot read itself',
        ),
    ],
)
def test_wrong_reference_is_told_with_its_expression(expression, code, message):
    assert problems_in(report=f"${{{{ {expression} }}}}") == [
        (code, "tasks.report.with", f"`${{{{ {expression} }}}}`: {message}")
    ]


def test_outputs_are_checked_too():
    assert [code for code, _, _ in problems_in(outputs="${{ tasks.no.output }} ${{ inputs.no }}")] == [
        "unknown_task",
        "unknown_input",
    ]
