"""The reader of documentation, and what every page of it must keep to."""

import shlex
from pathlib import Path

import click
import pytest

from maestro.cli.main import COMMANDS, cli
from tests import pages
from tests.pages import Block, Step

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
each_page = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])


@each_page
def test_every_block_is_run_or_says_why_not(page):
    blocks = pages.read_blocks(page.read_text())

    wrong = [
        f"{page.name}:{block.line}: {block.language or 'no language'}"
        for block in blocks
        if block.language not in pages.RUNNABLE | pages.SHOWN or (block.not_run is not None and len(block.not_run) < 10)
    ]

    assert wrong == []


@each_page
def test_no_command_hides_in_a_block_that_is_only_shown(page):
    blocks = pages.read_blocks(page.read_text())

    hidden = [
        f"{page.name}:{block.line}: {line}"
        for block in blocks
        for line in block.text.splitlines()
        if block.language == "text" and line.startswith("$ ")
    ]

    assert hidden == []


@each_page
def test_commands_named_in_the_text_exist_with_their_options(page):
    spans = [span for span in pages.read_code_spans(page.read_text()) if span.split()[:1] == ["maestro"]]

    assert [span for span in spans if not _is_command(span)] == []


@each_page
def test_links_lead_to_files_that_exist(page):
    links = [link.partition("#")[0] for link in pages.read_links(page.read_text()) if "://" not in link]

    assert [link for link in links if link and not (page.parent / link).exists()] == []


def _is_command(span):
    """Tell whether `maestro NAME --option …` is a command; `maestro` alone and `maestro COMMAND` are no claim."""
    words = shlex.split(span)[1:]
    if not words or words[0] == "COMMAND" or words[0].startswith("-"):
        return True
    if words[0] not in COMMANDS:
        return False
    command = cli.get_command(click.Context(cli), words[0])
    known = {"--help", "-h", *(flag for option in command.params for flag in option.opts)}
    given = {word.strip("[]").partition("=")[0] for word in words[1:] if word.strip("[]").startswith("-")}
    return given <= known or bool(command.context_settings.get("ignore_unknown_options"))


def test_a_comment_speaks_of_the_next_block_only():
    page = "<!-- file: a.yaml -->\n```yaml\na: 1\n```\n\n<!-- exits 1 -->\n\n```sh\nfalse\n```\n\n```sh\ntrue\n```\n"

    assert pages.read_blocks(page) == [
        Block(line=2, language="yaml", text="a: 1\n", file="a.yaml"),
        Block(line=8, language="sh", text="false\n", exits=1),
        Block(line=12, language="sh", text="true\n"),
    ]


def test_a_comment_before_other_text_is_spent():
    page = "<!-- not run: starts a second stack -->\n\nText.\n\n```sh\ntrue\n```\n"

    assert [block.not_run for block in pages.read_blocks(page)] == [None]


def test_blocks_in_lists_are_read_too():
    page = "1. Do\n\n   <!-- not run: starts a second stack -->\n   ```sh\n   make up\n   ```\n"

    assert pages.read_blocks(page) == [Block(line=4, language="sh", text="make up\n", not_run="starts a second stack")]


def test_console_is_split_at_its_prompts():
    block = Block(line=1, language="console", text="$ one \\\n>   more\nshown\n\n$ two\n")

    assert pages.steps_of(block) == [
        Step(command="one \\\n  more\n", shown="shown\n\n"),
        Step(command="two\n"),
    ]


def test_console_that_begins_with_output_is_refused():
    with pytest.raises(ValueError, match="line 7"):
        pages.steps_of(Block(line=7, language="console", text="shown\n"))


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("a  b\n", "a    b\n"),
        ("a: succeeded in 0.1s\n", "a: succeeded in 1m 05s\n"),
        ("created  2026-01-02 03:04:05Z\n", "created  2027-11-12 13:14:15Z\n"),
        ("name  just now\n", "name    3 minutes ago\n"),
        ("first\n…\nlast\n", "first\nlast\n"),
        ("first\n…\nlast\n", "first\nmore\nand more\nlast\n"),
        ("a … d\n", "a b c d\n"),
        ("(x) [y] *\n", "(x) [y] *\n"),
    ],
)
def test_what_varies_may_differ(shown, printed):
    assert pages.compare(shown, printed) == {}


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("a\n", "b\n"),
        ("a\n", "a\nb\n"),
        ("first\n…\nlast\n", "first\nmore\n"),
        ("a … d\n", "a b\nd\n"),
        ("a.c\n", "abc\n"),
    ],
)
def test_anything_else_must_be_as_shown(shown, printed):
    assert pages.compare(shown, printed) is None


def test_ids_of_a_page_are_paired_with_those_printed():
    shown = "run 00000000-0000-0000-0000-000000000001, again 00000000-0000-0000-0000-000000000001\n"
    printed = "run 11111111-0000-0000-0000-000000000001, again 11111111-0000-0000-0000-000000000001\n"
    other = "run 11111111-0000-0000-0000-000000000001, again 22222222-0000-0000-0000-000000000001\n"

    assert pages.compare(shown, printed) == {
        "00000000-0000-0000-0000-000000000001": "11111111-0000-0000-0000-000000000001"
    }
    assert pages.compare(shown, other) is None
