"""How problems are written down."""

import pytest

from workflows.definition.problems import (
    DefinitionInvalid,
    InputsInvalid,
    Position,
    Problem,
    Suggester,
    dotted,
    suggestion,
)


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ((), ""),
        (("tasks", "clean", "needs", 0), "tasks.clean.needs[0]"),
        (("a-b", "c d", 1, "é"), 'a-b["c d"][1]["é"]'),
        ((0, "a"), "[0].a"),
        (("a", *[0] * 99), f"a{'[0]' * 11}…{'[0]' * 12}"),
    ],
)
def test_path_is_written_with_dots_and_brackets(path, written):
    assert dotted(path) == written


def test_problem_is_shown_as_a_flat_mapping():
    problem = Problem(
        code="missing_need", path=("tasks", "a", "needs", 0), message="there is no task", line=3, column=7
    )

    assert problem.as_dict() == {
        "code": "missing_need",
        "path": "tasks.a.needs[0]",
        "message": "there is no task",
        "line": 3,
        "column": 7,
    }


def test_problem_keeps_the_place_it_has():
    problem = Problem(code="x", path=(), message="m")

    placed = problem.at(Position(line=2, column=4))

    assert (placed.line, placed.column) == (2, 4)
    assert placed.at(Position(line=9, column=9)) == placed
    assert problem.at(None) == problem


def test_problems_are_told_in_the_order_of_the_text_and_those_without_a_place_last():
    late = Problem(code="late", path=("b",), message="is late", line=9, column=1)
    early = Problem(code="early", path=("a",), message="is early", line=2, column=5)
    nowhere = Problem(code="nowhere", path=(), message="is nowhere")

    error = DefinitionInvalid([nowhere, late, early])

    assert error.problems == (early, late, nowhere)
    assert str(error) == (
        "The definition has 3 problems:\n  line 2, column 5: a: is early\n  line 9, column 1: b: is late\n  is nowhere"
    )


def test_inputs_are_spoken_of_in_the_plural():
    error = InputsInvalid([Problem(code="x", path=("day",), message="is required")])

    assert str(error) == "The inputs have a problem:\n  day: is required"


def test_nearest_name_is_suggested_and_a_far_one_is_not():
    assert suggestion("comand", ["command", "env"]) == '; did you mean "command"?'
    assert suggestion("zzz", ["command", "env"]) == ""
    assert suggestion("x" * 1_000_000, ["x" * 1_000_000]) == ""


def test_suggester_gives_up_after_a_score_of_names():
    suggester = Suggester(["extract"])

    answers = [suggester.suggest("extrac") for _ in range(21)]

    assert answers == ['; did you mean "extract"?'] * 20 + [""]
