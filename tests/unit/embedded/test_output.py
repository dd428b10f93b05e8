import asyncio
import io

import pytest

from maestro.embedded.output import LONGEST_LINE_BYTES, Log, split_lines


class BrokenStream(io.RawIOBase):
    """A pipe nobody reads."""

    def __init__(self):
        self.attempts = 0

    def write(self, content):
        self.attempts += 1
        raise BrokenPipeError


def lines_of(*chunks):
    async def collect():
        stream = asyncio.StreamReader()
        for chunk in chunks:
            stream.feed_data(chunk)
        stream.feed_eof()
        lines = []
        await split_lines(stream, lines.append)
        return lines

    return asyncio.run(collect())


def test_prefixes_are_equally_wide():
    stream = io.BytesIO()
    log = Log(stream, is_coloured=False)
    log.introduce(["api", "postgres"])

    log.line("api", "one")
    log.line("postgres", "two")
    log.say("three")

    assert stream.getvalue() == b"api      | one\npostgres | two\nmaestro  | three\n"


def test_colours_mark_only_the_prefix():
    stream = io.BytesIO()
    log = Log(stream, is_coloured=True)
    log.introduce(["api"])

    log.line("api", "one")

    assert stream.getvalue() == b"\x1b[36mapi     | \x1b[0mone\n"


def test_control_characters_of_a_process_do_not_reach_the_terminal():
    stream = io.BytesIO()

    Log(stream, is_coloured=False).say("a\x1b]0;title\x07\rb\tc")

    assert stream.getvalue() == b"maestro | a\\x1b]0;title\\x07\\x0db\tc\n"


def test_a_log_nobody_reads_says_so_once():
    stream = BrokenStream()
    log = Log(stream, is_coloured=False)
    told = []
    log.on_broken = lambda: told.append("broken")

    log.say("one")
    log.say("two")

    assert told == ["broken"]
    assert stream.attempts == 1


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([b"one\ntwo\n"], ["one", "two"]),
        ([b"o", b"ne\nt", b"wo"], ["one", "two"]),
        ([b"one\r\n\ntwo\r\n"], ["one", "", "two"]),
        ([b"caf\xc3", b"\xa9\n"], ["café"]),
        ([b"\xff\xfe\n"], ["��"]),
        ([], []),
    ],
)
def test_output_is_split_into_lines(chunks, expected):
    assert lines_of(*chunks) == expected


def test_an_endless_line_is_handed_over_in_pieces():
    lines = lines_of(b"x" * LONGEST_LINE_BYTES, b"x" * 10, b"\nend\n")

    assert lines == ["x" * LONGEST_LINE_BYTES, "x" * 10, "end"]
