"""Definition files, inputs files and `--input name=value`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from maestro.cli import documents
from maestro.cli.failures import Failure

SCHEMAS: dict[str, Any] = {
    "day": {"type": "string"},
    "limit": {"type": "integer"},
    "share": {"type": "number"},
    "dry": {"type": "boolean"},
    "carriers": {"type": "array"},
    "options": {"type": ["object", "null"]},
    "anything": {},
}


def parse_inputs(pairs: list[str]) -> dict[str, Any]:
    return documents.typed_inputs(documents.read_inputs(pairs), SCHEMAS)


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("day=2026-01-31", "2026-01-31"),
        ("day=12", "12"),
        ("day=a=b", "a=b"),
        ("day=", ""),
        ("limit=12", 12),
        ("share=0.5", 0.5),
        ("share=3", 3),
        ("dry=true", True),
        ('carriers=["AA", "BB"]', ["AA", "BB"]),
        ("options=null", None),
        ('options={"a": 1}', {"a": 1}),
        ("anything=12", 12),
        ("anything=some text", "some text"),
    ],
)
def test_input_is_read_as_the_type_its_schema_says(pair: str, value: Any):
    assert parse_inputs([pair]) == {pair.partition("=")[0]: value}


@pytest.mark.parametrize("pair", ["limit=many", "share=NaN", "dry=yes", "carriers=AA", "anything=1e999", "limt=three"])
def test_value_that_is_no_json_stays_text_for_the_server_to_judge(pair: str):
    name, _, value = pair.partition("=")

    assert parse_inputs([pair]) == {name: value}


def test_input_nested_too_deep_is_text():
    brackets = "[" * 100_000

    assert parse_inputs([f"anything={brackets}"]) == {"anything": brackets}


def test_value_may_stand_in_a_file(directory: Path):
    (directory / "password").write_text("hunter22\n")
    (directory / "options.json").write_text('{"a": 1}\n')

    assert parse_inputs(["day=@password", "options=@options.json"]) == {
        "day": "hunter22",
        "options": {"a": 1},
    }


def test_text_that_begins_with_an_at_sign_is_written_with_two():
    assert parse_inputs(["day=@@ada"]) == {"day": "@ada"}


def test_file_that_cannot_be_read_is_told_with_the_way_out():
    with pytest.raises(click.UsageError) as caught:
        parse_inputs(["day=@ada"])

    assert caught.value.message.startswith("Input 'day': There is no file ada.")
    assert caught.value.message.endswith(" For a text that begins with @ write day=@@ada.")


def test_everything_that_keeps_values_from_being_read_is_told_at_once():
    with pytest.raises(click.UsageError) as caught:
        parse_inputs(["limit=1", "limit=2", "day", "=x"])

    assert caught.value.message.splitlines() == [
        "Input 'limit' is given twice; give it once.",
        (
            "Input 'day' has no value: write day=VALUE or day=@FILE (@- reads standard input). "
            "At a terminal, the bare name asks for it."
        ),
        "--input needs the form name=value; the name is missing.",
    ]


@pytest.mark.parametrize("target", ["flow.yaml", "flow.YML", "dir/flow.json", "-"])
def test_target_that_looks_like_a_file_is_one(target: str):
    assert documents.is_file_name(target)


def test_existing_file_is_a_file_but_a_directory_is_a_name(directory: Path):
    (directory / "definition").write_text("name: x")
    (directory / "flights").mkdir()

    assert documents.is_file_name("definition")
    assert not documents.is_file_name("flights")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name: \xff", "flow.yaml is not UTF-8 text (byte 6). Save it as UTF-8."),
        (b"x" * (4 * 1024 * 1024 + 1), "flow.yaml is larger than 4 MB, the most a document may have."),
    ],
    ids=["encoding", "size"],
)
def test_file_that_cannot_be_a_definition_is_refused(directory: Path, content: bytes, message: str):
    (directory / "flow.yaml").write_bytes(content)

    with pytest.raises(Failure) as caught:
        documents.read_definition("flow.yaml")

    assert caught.value.message == message


def test_missing_file_is_told():
    with pytest.raises(Failure, match=r"There is no file .*flow\.yaml\."):
        documents.read_definition("flow.yaml")


def test_byte_order_mark_is_left_out(directory: Path):
    (directory / "flow.yaml").write_bytes(b"\xef\xbb\xbfname: x")

    assert documents.read_definition("flow.yaml") == "name: x"


def test_inputs_file_may_be_yaml_whose_dates_stay_text(directory: Path):
    (directory / "inputs.yaml").write_text("day: 2026-01-31\nlimit: 3\ndry: no\ncarriers: [AA]\n")

    assert documents.read_inputs_file("inputs.yaml") == {
        "day": "2026-01-31",
        "limit": 3,
        "dry": "no",
        "carriers": ["AA"],
    }


def test_inputs_file_may_be_json_or_empty(directory: Path):
    (directory / "inputs.json").write_text('{"name": "\\ud83d\\ude00"}')
    (directory / "empty.yaml").write_text("# nothing\n")

    assert documents.read_inputs_file("inputs.json") == {"name": "😀"}
    assert documents.read_inputs_file("empty.yaml") == {}


@pytest.mark.parametrize("content", ["- a\n", "text\n", "3\n"])
def test_inputs_file_must_hold_a_mapping(directory: Path, content: str):
    (directory / "inputs.yaml").write_text(content)

    with pytest.raises(Failure, match=r"inputs\.yaml must hold a mapping of input names to values"):
        documents.read_inputs_file("inputs.yaml")


def test_broken_inputs_file_is_told_with_its_place(directory: Path):
    (directory / "inputs.yaml").write_text("a: 1\nb: [1\n")

    with pytest.raises(Failure) as caught:
        documents.read_inputs_file("inputs.yaml")

    assert caught.value.message == "1 problem in inputs.yaml. No run was started."
    assert caught.value.lines[0].startswith("inputs.yaml:3:1: ")
