"""The `maestro` command: which commands there are and where they live. A command is imported when it is called."""

from __future__ import annotations

import difflib
import errno
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from typing import Any

import click
from click.shell_completion import CompletionItem

from maestro.cli import colours, failures

# What a full disk, a broken one, a limit or a closed file says to whoever writes.
OUTPUT_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})


@dataclass(frozen=True, slots=True)
class Entry:
    """One command of the overview."""

    section: str
    """The heading it stands under."""
    location: str
    """Where it is defined: `module:attribute`."""
    summary: str
    """One line for the overview."""


COMMANDS: Mapping[str, Entry] = {
    "up": Entry("Stack", "maestro.cli.stack:up", "Start Maestro on this machine."),
    "down": Entry("Stack", "maestro.cli.stack:down", "Stop it."),
    "status": Entry("Stack", "maestro.cli.stack:status", "Show what runs, and where."),
    "open": Entry("Stack", "maestro.cli.opening:open_command", "Print the addresses of its pages."),
    "exec": Entry("Stack", "maestro.cli.executing:exec_command", "Run a program as one of the stack's own."),
    "chaos": Entry("Stack", "maestro.cli.chaos:chaos_command", "Break a stack of its own on purpose, and check it."),
    "validate": Entry("Workflows", "maestro.cli.workflows:validate_command", "Check a definition file."),
    "apply": Entry("Workflows", "maestro.cli.workflows:apply_command", "Make a definition file the active version."),
    "workflows": Entry("Workflows", "maestro.cli.workflows:workflows_command", "List the workflows."),
    "canvas": Entry("Workflows", "maestro.cli.workflows:canvas_command", "Show the Celery canvas of a workflow."),
    "activate": Entry("Workflows", "maestro.cli.workflows:activate_command", "Make another version the active one."),
    "archive": Entry("Workflows", "maestro.cli.workflows:archive_command", "Archive a workflow."),
    "run": Entry("Runs", "maestro.cli.starting:run_command", "Start a run of a workflow or a definition file."),
    "runs": Entry("Runs", "maestro.cli.runs:runs_command", "List runs, the latest first."),
    "show": Entry("Runs", "maestro.cli.runs:show_command", "Show one run, or follow it."),
    "why": Entry("Runs", "maestro.cli.why:why_command", "Tell why a run or a task does not go on."),
    "attempts": Entry("Runs", "maestro.cli.attempts:attempts_command", "List how often tasks were tried, and why."),
    "logs": Entry("Runs", "maestro.cli.logs:logs_command", "Print what tasks wrote."),
    "signal": Entry("Runs", "maestro.cli.signals:signal_command", "Send a signal to a run that waits for it."),
    "signals": Entry("Runs", "maestro.cli.signals:signals_command", "List the signals that were sent to a run."),
    "approvals": Entry("Runs", "maestro.cli.approvals:approvals_command", "List what waits for a decision."),
    "approve": Entry("Runs", "maestro.cli.approvals:approve_command", "Approve what a task asks."),
    "reject": Entry("Runs", "maestro.cli.approvals:reject_command", "Reject what a task asks."),
    "cancel": Entry("Runs", "maestro.cli.runs:cancel_command", "Cancel a run."),
    "pause": Entry("Runs", "maestro.cli.pausing:pause_command", "Let nothing begin in a run, a workflow, or at all."),
    "resume": Entry("Runs", "maestro.cli.pausing:resume_command", "Let what is paused go on."),
    "pauses": Entry("Runs", "maestro.cli.pausing:pauses_command", "List what is paused, by whom and why."),
    "kinds": Entry("Reference", "maestro.cli.reference:kinds_command", "List the kinds of task."),
    "schema": Entry("Reference", "maestro.cli.reference:schema_command", "Print the JSON Schema of definitions."),
    "completion": Entry("Reference", "maestro.cli.completion:completion_command", "Print a shell's completion script."),
}


class CommandTable(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the overview."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.location.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, or name the nearest."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            near = " or ".join(f"'{each}'" for each in difflib.get_close_matches(name, COMMANDS, n=2))
            hint = f"Did you mean {near}?" if near else "`maestro --help` lists the commands."
            ctx.fail(f"There is no command {name!r}. {hint}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer the commands without importing them, and the options."""
        commands = [
            CompletionItem(name, help=entry.summary) for name, entry in COMMANDS.items() if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview by section."""
        for section in dict.fromkeys(entry.section for entry in COMMANDS.values()):
            with formatter.section(section):
                formatter.write_dl(
                    [(name, entry.summary) for name, entry in COMMANDS.items() if entry.section == section],
                    col_max=12,
                )

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command line and exit; with --json among the arguments, wrong ones too, a failure is JSON."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        given = sys.argv[1:] if args is None else list(args)
        try:
            sys.exit(super().main(given, prog_name, complete_var, standalone_mode=False, **extra))
        except click.ClickException as error:
            failure = error
        except OSError as error:
            if error.errno not in OUTPUT_ERRORS or error.filename is not None:
                raise
            _give_up_output()
            failure = failures.Failure(f"The output cannot be written: {error.strerror}.", code="output_not_written")
        with click.Context(self, color=colours.wants_colours(os.environ)):
            if "--json" in given:
                failures.show_as_json(failure)
            else:
                failure.show()
        sys.exit(failure.exit_code)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; Ctrl-C ends it with 130, as shells expect."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise failures.Interrupted("Interrupted.") from error


@click.group(cls=CommandTable, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="maestro-conductor", prog_name="maestro", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Run workflows: DAGs of tasks, on Celery and PostgreSQL.

    \b
    maestro up                        start everything (in another terminal)
    maestro run FILE --follow         apply a definition, run it, watch it
    """
    ctx.color = colours.wants_colours(os.environ)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A character the terminal's encoding lacks is shown as its number instead of ending the command.
            stream.reconfigure(errors="backslashreplace")
    cli(prog_name="maestro")


def _give_up_output() -> None:
    """Let what is still to be written go nowhere: Python writes it at its end, and would fail once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
