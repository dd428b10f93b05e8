import datetime

import pytest

from maestro.sdk import DefinitionError, Reference, error_message, expression, size, status
from maestro.sdk.references import text_of

ROWS = Reference("tasks.read.output")
DAY = Reference("inputs.day")


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        (ROWS.count, "tasks.read.output.count"),
        (ROWS["count"], "tasks.read.output.count"),
        (ROWS["odd name"], 'tasks.read.output["odd name"]'),
        (ROWS["in"], 'tasks.read.output["in"]'),
        (ROWS[0].x, "tasks.read.output[0].x"),
        (ROWS[DAY], "tasks.read.output[inputs.day]"),
        (ROWS.a > 3, "tasks.read.output.a > 3"),
        (
            (ROWS.a > 3) & ~(DAY == "x") | (ROWS.b != None),  # noqa: E711
            '((tasks.read.output.a > 3) && (!(inputs.day == "x"))) || (tasks.read.output.b != null)',
        ),
        (ROWS.a + 1 - 2, "(tasks.read.output.a + 1) - 2"),
        (1 - ROWS.a % 2, "1 - (tasks.read.output.a % 2)"),
        (2 * (6 / ROWS.a), "2 * (6 / tasks.read.output.a)"),
        ("no. " + DAY, '"no. " + inputs.day'),
        (ROWS.a * 2 / 3 <= 1, "((tasks.read.output.a * 2) / 3) <= 1"),
        ((ROWS.a + ROWS.b).c, "(tasks.read.output.a + tasks.read.output.b).c"),
        ([True, {"a": datetime.date(2013, 1, 5)}] == DAY, 'inputs.day == [true, {"a": "2013-01-05"}]'),
        (size(ROWS.a) >= 1, "size(tasks.read.output.a) >= 1"),
        (status(ROWS) == "failed", 'tasks.read.status == "failed"'),
        (error_message(ROWS), "tasks.read.error_message"),
        (expression("run.id"), "run.id"),
        (expression("1 > 2") & (DAY < 1), "(1 > 2) && (inputs.day < 1)"),
    ],
)
def test_reference_is_written_as_an_expression(reference, text):
    assert text_of(reference) == text
    assert str(expression(text)) == f"${{{{ {text} }}}}"  # the language takes it


def test_text_around_references_becomes_a_template():
    assert f"{ROWS.count} rows on {DAY}" == "${{ tasks.read.output.count }} rows on ${{ inputs.day }}"


@pytest.mark.parametrize(
    ("misuse", "wish"),
    [
        (lambda: not ROWS.a > 3, "decide by it"),
        (lambda: list(ROWS), "loop over it"),
        (lambda: len(ROWS), "count it"),
        (lambda: 3 in ROWS, "look into it"),
        (ROWS.keys, "call it"),
        (lambda: f"{ROWS.a:.2f}", "format it as '.2f'"),
    ],
)
def test_what_python_cannot_know_yet_is_refused(misuse, wish):
    with pytest.raises(DefinitionError, match=f"so Python cannot {wish}"):
        misuse()


def test_wrong_expression_is_refused_where_it_is_written():
    with pytest.raises(DefinitionError, match="`size\\(` is no expression"):
        expression("size(")


@pytest.mark.parametrize("value", [DAY, ROWS.count, "read"])
def test_status_is_asked_of_a_task(value):
    with pytest.raises(DefinitionError, match="is not what a call of a task returned"):
        status(value)
