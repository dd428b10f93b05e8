"""Reading YAML and JSON text."""

import json

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from workflows.definition.document import MAX_DOCUMENT_BYTES, Document, parse_document
from workflows.definition.problems import DefinitionInvalid, Position
from workflows.definition.values import MAX_DEPTH

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), children, max_size=4
        )
    ),
    max_leaves=15,
)


class QuotingDumper(yaml.SafeDumper):
    """Quotes every text: what may stand bare differs between the YAML 1.1 that PyYAML writes and the 1.2 we read."""


QuotingDumper.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)


def as_yaml(value):
    return yaml.dump(value, Dumper=QuotingDumper, sort_keys=False)


def refused(text):
    with pytest.raises(DefinitionInvalid) as caught:
        parse_document(text)
    return [(problem.code, problem.pointer, problem.line, problem.column) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[on, off, yes, no, y, n]", ["on", "off", "yes", "no", "y", "n"]),
        ("[true, True, TRUE, false, False, FALSE]", [True, True, True, False, False, False]),
        ("[null, Null, NULL, ~, ]", [None, None, None, None]),
        ("a:", {"a": None}),
        ("[0, 12, -7, +5, 012, 0o17, 0x1F]", [0, 12, -7, 5, 12, 15, 31]),
        ("[1.5, .5, 5., 1e3, -2.5E-1]", [1.5, 0.5, 5.0, 1000.0, -0.25]),
        ("[1_000, 0b1, 12:30, -0x1, 1.2.3, '5', \"true\"]", ["1_000", "0b1", "12:30", "-0x1", "1.2.3", "5", "true"]),
        ("[2024-01-01, 2024-01-01T00:00:00Z]", ["2024-01-01", "2024-01-01T00:00:00Z"]),
        ("on: 1\n'<<': 2", {"on": 1, "<<": 2}),
        ("a: &x [1]\nb: *x\nc: &y t\nd: *y", {"a": [1], "b": [1], "c": "t", "d": "t"}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("\ufeffa: 1", {"a": 1}),
        ("9223372036854775807", 2**63 - 1),
        ("", None),
        ("# nothing\n", None),
    ],
)
def test_yaml_follows_the_core_schema_of_yaml_1_2(text, value):
    assert parse_document(text).value == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: b: c", ("bad_syntax", "", 1, 5)),
        ("a: 1\nb: [1,\n", ("bad_syntax", "b[1]", 3, 1)),
        ("a:\n\t- b", ("bad_syntax", "a", 2, 1)),
        ("é: 1\nb: é\x07", ("control_character", "", 2, 5)),
        ("a: 1\n---\nb: 2", ("several_documents", "", 2, 1)),
        ("a:\n  b: 1\n  b: 2", ("duplicate_key", "a", 3, 3)),
        ("a: {1: x}", ("key_not_text", "a", 1, 5)),
        ("true: x", ("key_not_text", "", 1, 1)),
        ("? [a]\n: b", ("key_not_text", "", 1, 3)),
        ("a:\n  <<: {b: 1}", ("merge_key", "a", 2, 3)),
        ("a: [!!int 3]", ("tag", "a[0]", 1, 5)),
        ("a: !python/object:os.system {}", ("tag", "a", 1, 4)),
        ("a: .nan", ("number_not_finite", "a", 1, 4)),
        ("a: -.INF", ("number_not_finite", "a", 1, 4)),
        ("a: 1e999", ("number_not_finite", "a", 1, 4)),
        ("a: 9223372036854775808", ("integer_out_of_range", "a", 1, 4)),
        ("a: " + "9" * 5000, ("integer_out_of_range", "a", 1, 4)),
        ('a: "x\\0"', ("nul_character", "a", 1, 4)),
        ("a: *x", ("unknown_alias", "a", 1, 4)),
        ("a: &x [*x]", ("recursive_alias", "a[0]", 1, 8)),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), ("too_deep", f"{'[0]' * 12}…{'[0]' * 12}", 1, MAX_DEPTH + 1)),
    ],
)
def test_yaml_is_refused_with_line_and_column(text, problem):
    assert refused(text) == [problem]


@pytest.mark.parametrize(
    "text", ["a:\n\tb: 1", "a:\n  b: 1\n\tc: 2", "a:\n  - x\n  \t- y", "a: |\n\tx", "- a\n-\tb: 1"], ids=repr
)
def test_tab_that_indents_is_named(text):
    with pytest.raises(DefinitionInvalid, match="a tab indents this line; indent with spaces"):
        parse_document(text)


def test_every_problem_of_a_yaml_text_is_told_at_once():
    problems = refused("a: {x: 1, x: 2}\nb:\n  - !t 3\n  - .inf\n1: 2\n")

    assert [problem[0] for problem in problems] == ["duplicate_key", "tag", "number_not_finite", "key_not_text"]


def test_aliases_that_multiply_are_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 10)]

    assert [problem[0] for problem in refused("\n".join(lines))] == ["too_many_aliases"]


def test_aliases_of_a_long_text_that_multiply_are_refused():
    text = f"a: &a {'x' * 1_000_000}\nb: [{', '.join(['*a'] * 50)}]"

    assert [problem[0] for problem in refused(text)] == ["too_many_aliases"]


def test_aliases_in_twenty_thousand_tasks_are_taken():
    text = "x: &x {uses: shell, with: {command: echo}}\n" + "".join(f"t{i}: *x\n" for i in range(20_000))

    assert len(parse_document(text).value) == 20_001


def test_deepest_allowed_nesting_is_taken():
    assert parse_document("[" * MAX_DEPTH + "]" * MAX_DEPTH).value is not None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": {"b": "\\u0000"}}', ("nul_character", "a.b", None, None)),
        ('{"a": ["\\ud800"]}', ("lone_surrogate", "a[0]", None, None)),
        ('{"a": NaN}', ("number_not_finite", "a", None, None)),
        ('{"a": 1e999}', ("number_not_finite", "a", None, None)),
        ('{"a": 123456789012345678901234567890}', ("integer_out_of_range", "a", None, None)),
        ('{"a": ' + "9" * 5000 + "}", ("integer_out_of_range", "a", None, None)),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', ("duplicate_key", "", None, None)),
        ('{"a":' * 5000 + "1" + "}" * 5000, ("too_deep", "", None, None)),
    ],
)
def test_json_is_refused_with_its_path(text, problem):
    assert refused(text) == [problem]


def test_json_with_escaped_surrogate_pairs_and_tabs_is_taken():
    assert parse_document('\n{\t"a": "\\ud83d\\ude00"}').value == {"a": "😀"}


def test_yaml_flow_mapping_is_taken_though_it_starts_like_json():
    assert parse_document("{a: [on, 1]}").value == {"a": ["on", 1]}


def test_broken_json_is_refused_with_line_and_column():
    assert refused('{"a": 1,\n "b" 2}') == [("bad_syntax", "", 2, 6)]


@pytest.mark.parametrize("text", [b"\xff\xfea\x00", "a: \ud800"])
def test_text_that_is_not_utf_8_is_refused(text):
    assert refused(text) == [("bad_encoding", "", None, None)]


def test_four_megabytes_are_taken_and_a_byte_more_is_refused():
    largest = "a: " + "é" * ((MAX_DOCUMENT_BYTES - 3) // 2) + "x"

    assert len(parse_document(largest).value["a"]) == MAX_DOCUMENT_BYTES // 2 - 1
    assert refused(largest + "x") == [("too_large", "", None, None)]


def test_decoded_value_is_checked_like_text():
    with pytest.raises(DefinitionInvalid) as caught:
        Document.of({"a": float("nan"), "b": "\0"})

    assert {problem.code for problem in caught.value.problems} == {"number_not_finite", "nul_character"}


def test_decoded_value_may_not_be_larger_than_a_text():
    with pytest.raises(DefinitionInvalid) as caught:
        Document.of({"a": "x" * MAX_DOCUMENT_BYTES})

    assert [problem.code for problem in caught.value.problems] == ["too_large"]


@pytest.mark.parametrize(
    ("path", "position"),
    [
        ((), Position(line=1, column=1)),
        (("tasks",), Position(line=2, column=1)),
        (("tasks", "clean"), Position(line=3, column=3)),
        (("tasks", "clean", "needs"), Position(line=4, column=5)),
        (("tasks", "clean", "needs", 1), Position(line=4, column=16)),
        (("tasks", "clean", "uses"), Position(line=3, column=3)),
        (("tasks", "clean", "needs", 7), Position(line=4, column=5)),
        (("tasks", "clean", "needs", 1, "deeper"), Position(line=4, column=16)),
    ],
)
def test_position_is_that_of_the_key_or_item_or_of_what_is_around_it(path, position):
    document = parse_document("name: a\ntasks:\n  clean:\n    needs: [a, b]\n")

    assert document.position(path) == position


def test_json_has_no_positions():
    assert parse_document('{"a": 1}').position(("a",)) is None
    assert Document.of({"a": 1}).position(("a",)) is None


@given(st.text() | st.text(alphabet="{}[]&*!|>'\"%@`#,:?-<= \n\tab01.~\\"))
@example("{")
@example("&a")
@example("? ")
@example("\x85")
@example("%YAML 3.0\n---\n")
@example("!<")
def test_any_text_is_read_or_refused(text):
    try:
        document = parse_document(text)
    except DefinitionInvalid as error:
        assert error.problems  # noqa: PT017 (the only exception there may be)
    else:
        json.dumps(document.value, allow_nan=False)


@given(st.binary())
def test_any_bytes_are_read_or_refused(encoded):
    try:
        parse_document(encoded)
    except DefinitionInvalid as error:
        assert error.problems  # noqa: PT017 (the only exception there may be)


@given(json_values)
def test_value_survives_being_written_as_json_and_as_yaml(value):
    wrapped = {"value": value}

    assert parse_document(json.dumps(wrapped)).value == wrapped
    assert parse_document(as_yaml(wrapped)).value == wrapped
