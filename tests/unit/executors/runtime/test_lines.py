import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.runtime.lines import CONTINUES, LINE_LIMIT, LineSplitter, escape_unprintable, split_lines


def split(*chunks):
    lines: list[str] = []
    splitter = LineSplitter(lines.append)
    for chunk in chunks:
        splitter.feed(chunk)
    splitter.close()
    return lines


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ([], []),
        ([b"a\nb\n"], ["a", "b"]),
        ([b"a", b"b\nc", b"\n"], ["ab", "c"]),
        ([b"a\n\nb"], ["a", "", "b"]),
        ([b"a\r", b"\nb\r\n"], ["a", "b"]),
        ([b"10%\r20%\r30%"], ["10%", "20%", "30%"]),
        ([b"end\r"], ["end"]),
        ([b"\xc3", b"\xa9\n"], ["é"]),
        ([b"a\xffb"], ["a\ufffdb"]),
        ([b"a\xc3"], ["a\ufffd"]),
    ],
)
def test_bytes_become_lines(chunks, lines):
    assert split(*chunks) == lines


def test_line_is_emitted_as_soon_as_it_is_complete():
    lines: list[str] = []
    splitter = LineSplitter(lines.append)

    splitter.feed(b"one\ntw")

    assert lines == ["one"]


def test_long_line_comes_in_pieces_that_say_so():
    text = "x" * (LINE_LIMIT * 2 + 10)

    pieces = split(text.encode(), b"\nnext\n")

    assert [len(piece) for piece in pieces[:2]] == [LINE_LIMIT, LINE_LIMIT]
    assert [piece.endswith(CONTINUES) for piece in pieces] == [True, True, False, False]
    assert "".join(piece.removesuffix(CONTINUES) for piece in pieces[:3]) == text
    assert pieces[3] == "next"


def test_line_of_exactly_the_limit_is_one_line():
    assert split(b"x" * LINE_LIMIT + b"\n") == ["x" * LINE_LIMIT]


@given(st.text(alphabet="ab\n", max_size=60), st.lists(st.integers(0, 60), max_size=5))
def test_lines_do_not_depend_on_how_the_bytes_arrive(text, cuts):
    content = text.encode()
    edges = [0, *sorted(cuts), len(content)]

    lines = split(*(content[start:end] for start, end in itertools.pairwise(edges)))

    assert lines == list(split_lines(text))[: None if text and not text.endswith("\n") else -1]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain\ttext é 😀", "plain\ttext é 😀"),
        ("a\x00b", "a\\x00b"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("del\x7f c1\x9b", "del\\x7f c1\\x9b"),
        ("\ud800", "\\ud800"),
    ],
)
def test_unprintable_characters_are_escaped(raw, shown):
    assert escape_unprintable(raw) == shown
