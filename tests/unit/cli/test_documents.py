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
    assert documents.parse_inputs([pair], SCHEMAS) == {pair.partition("=")[0]: value}


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("limit=many", "Input 'limit' is of type integer; 'many' is not."),
        ("limit=1.5", "Input 'limit' is of type integer; '1.5' is not."),
        ("limit=true", "Input 'limit' is of type integer; 'true' is not."),
        ("share=NaN", "Input 'share' is of type number; 'NaN' is not."),
        ("dry=yes", "Input 'dry' is of type boolean; 'yes' is not (write true or false)."),
        ("carriers=AA", "Input 'carriers' is of type array; 'AA' is not (write JSON, for example [\"a\", \"b\"])."),
        ("options=3", "Input 'options' is of type null or object; '3' is not (write JSON, for example {\"a\": 1})."),
        ("limt=3", "The workflow has no input 'limt'. Did you mean limit?"),
        ("day", "--input needs the form name=value, not 'day'."),
        ("=x", "--input needs the form name=value, not '=x'."),
    ],
)
def test_wrong_input_is_refused_by_name(pair: str, message: str):
    with pytest.raises(click.UsageError) as caught:
        documents.parse_inputs([pair], SCHEMAS)

    assert caught.value.message.startswith(message)


def test_number_no_document_can_carry_is_refused_by_name():
    with pytest.raises(click.UsageError, match="Input 'anything'"):
        documents.parse_inputs(["anything=1e999"], SCHEMAS)


def test_input_nested_too_deep_is_text_where_any_type_will_do():
    brackets = "[" * 100_000

    assert documents.parse_inputs([f"anything={brackets}"], SCHEMAS) == {"anything": brackets}


def test_everything_wrong_with_inputs_is_told_at_once():
    with pytest.raises(click.UsageError) as caught:
        documents.parse_inputs(["limit=x", "limit=2", "day", "share=y", "limit=3"], SCHEMAS)

    assert caught.value.message.splitlines() == [
        "Input 'limit' is of type integer; 'x' is not.",
        "Input 'limit' is given twice; give it once.",
        "--input needs the form name=value, not 'day'.",
        "Input 'share' is of type number; 'y' is not.",
        "Input 'limit' is given twice; give it once.",
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
