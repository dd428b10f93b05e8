"""Tables and named values."""

from __future__ import annotations

import json

import pytest

from maestro.cli import output


def test_table_lines_up_wide_characters_and_colours(capsys: pytest.CaptureFixture[str]):
    output.print_table(("name", "status", ""), [("飛行", output.status("failed"), "why"), ("b", "ok", "")])

    assert capsys.readouterr().out.splitlines() == [
        "NAME  STATUS",
        "飛行  failed  why",
        "b     ok",
    ]


def test_table_in_a_pipe_is_not_cut(capsys: pytest.CaptureFixture[str]):
    output.print_table(("name", "description"), [("a", "x" * 500)])

    assert "x" * 500 in capsys.readouterr().out


def test_table_on_a_terminal_is_cut_to_its_width(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")

    output.print_table(("name", "description"), [("a", "x" * 500)])

    assert capsys.readouterr().out.splitlines()[1] == "a     " + "x" * 33 + "…"


def test_table_that_does_not_fit_has_the_first_cell_of_each_row_on_a_line_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")

    output.print_table(
        ("run", "workflow", "status", "note"),
        [("r" * 36, "flights v1", "failed", "x" * 20), ("q" * 36, "f v2", "running", "")],
    )

    assert capsys.readouterr().out.splitlines() == [
        "RUN",
        "  WORKFLOW    STATUS   NOTE",
        "r" * 36,
        "  flights v1  failed   " + "x" * 16 + "…",
        "q" * 36,
        "  f v2        running",
    ]


def test_table_whose_other_columns_do_not_fit_either_is_paragraphs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")

    output.print_table(
        ("kind", "options", "summary"),
        [
            ("shell", "command [env] [cwd] [shell]", "Runs a command with /bin/sh in a directory."),
            ("noop", "", "None."),
        ],
    )

    assert capsys.readouterr().out.splitlines() == [
        "KIND     shell",
        "OPTIONS  command [env] [cwd] [shell]",
        "SUMMARY  Runs a command with /bin/sh in",
        "         a directory.",
        "",
        "KIND     noop",
        "SUMMARY  None.",
    ]


def test_report_is_printed_as_text(capsys: pytest.CaptureFixture[str]):
    output.print_values({"report": "# Delays\n\nAA\t12\n\x1b[2J\n", "worst": "AA", "count": 3, "none": None})

    assert capsys.readouterr().out == "report:\n\n# Delays\n\nAA\t12\n\\x1b[2J\n\nworst: AA\ncount: 3\nnone: null\n"


def test_short_structure_stays_on_its_line_and_a_long_one_is_indented(capsys: pytest.CaptureFixture[str]):
    output.print_values({"short": ["é"], "long": {"key": "x" * 80}})

    assert capsys.readouterr().out == 'short: ["é"]\nlong:\n  {\n    "key": "' + "x" * 80 + '"\n  }\n'


def test_json_is_ascii_so_that_no_terminal_obeys_it(capsys: pytest.CaptureFixture[str]):
    output.print_json({"message": "\x9b31m é"})

    printed = capsys.readouterr().out
    assert printed.isascii()
    assert json.loads(printed) == {"message": "\x9b31m é"}


@pytest.mark.parametrize(
    ("is_terminal", "term", "can"), [(True, "xterm", True), (True, "dumb", False), (False, "xterm", False)]
)
def test_lines_are_written_over_only_on_a_terminal_that_can(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool, term: str, can: bool
):
    monkeypatch.setattr(output, "is_terminal", lambda: is_terminal)
    monkeypatch.setenv("TERM", term)

    assert output.can_redraw() is can
