"""The page about the command line."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence

import click

from docs.generator.markdown import code, table
from maestro.cli.main import COMMANDS, cli

_PAGE = """# The command line

Written by `make docs` from `maestro/cli/`. `maestro --help` and `maestro COMMAND --help` say the same at the terminal.

| exit code | meaning |
|---|---|
| 0 | done; of a run that was followed: it succeeded |
| 1 | refused or failed; of a run that was followed: it failed |
| 2 | the command line itself is wrong |
| 130 | interrupted by Ctrl-C; of a run that was followed: it was cancelled |

With `--json`, data goes to standard output, and a failure is one object with `code` and `message` on standard error. Colours are left out in pipes and
where `NO_COLOR` is set.

{sections}"""
_ANNOTATION = re.compile(r"\s*\[(?:(?:env|env var|default)[:=] ?[^\]]*)\]")
_ENVIRONMENT = re.compile(r"\benv(?: var)?: (\w+)")
_DEFAULT = re.compile(r"\bdefault: ([^\];]+)")


def page() -> str:
    """Return the page."""
    sections = dict.fromkeys(entry.section for entry in COMMANDS.values())
    return _PAGE.format(sections="\n".join("".join(_section(name)) for name in sections))


def _section(section: str) -> Iterator[str]:
    yield f"## {section}\n"
    for name, entry in COMMANDS.items():
        if entry.section == section:
            command = cli.get_command(click.Context(cli, info_name="maestro"), name)
            assert command is not None
            yield from _command(command, f"maestro {name}")


def _command(command: click.Command, path: str) -> Iterator[str]:
    context = click.Context(command, info_name=path)
    yield f"\n### `{path}`\n\n```text\n{' '.join([path, *command.collect_usage_pieces(context)])}\n```\n\n"
    yield from _help(inspect.cleandoc(command.help or ""))
    yield table(
        ("option", "default", "environment", "meaning"),
        (
            _option(option, context)
            for option in command.params
            if isinstance(option, click.Option) and not option.hidden
        ),
    )
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _command(inner, f"{path} {name}")


def _help(text: str) -> Iterator[str]:
    """Yield the paragraphs of a command's help; those that click leaves as they are, as they are."""
    for paragraph in text.split("\n\n"):
        verbatim = paragraph.startswith("\b\n")
        yield f"```text\n{paragraph[2:]}\n```\n\n" if verbatim else f"{' '.join(paragraph.split())}\n\n"


def _option(option: click.Option, context: click.Context) -> Sequence[str]:
    metavar = "" if option.is_flag or option.count else f" {option.make_metavar(context)}"
    text = option.help or ""
    environment = option.envvar or next(iter(_ENVIRONMENT.findall(text)), "")
    default = next(iter(_DEFAULT.findall(text)), "")
    if not default and not option.is_flag and isinstance(option.default, str | int | float):
        default = code(str(option.default))
    names = ", ".join(f"`{name}{metavar if name == option.opts[-1] else ''}`" for name in option.opts)
    return (
        names + ("; may be repeated" if option.multiple else ""),
        default or ("required" if option.required else "" if option.is_flag else "none"),
        code(environment) if isinstance(environment, str) and environment else "",
        _ANNOTATION.sub("", text),
    )
