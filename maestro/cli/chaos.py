"""`maestro chaos`: a campaign of faults on a scratch stack. What it does is in `maestro.chaos`."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

from maestro.chaos.schedule import FaultKind
from maestro.cli import failures, output, text
from maestro.cli.options import WholeNumber, json_option

if TYPE_CHECKING:
    from maestro.chaos.campaign import Progress
    from maestro.chaos.findings import Findings
    from maestro.chaos.scratch import ScratchStack

DEFAULT_RUNS = 50
MOST_RUNS = 100_000
MOST_SEED = 2**31 - 1
# Where nothing can be written over, a line now and then.
LINE_EVERY_SECONDS = 10.0


class Faults(click.ParamType[tuple[FaultKind, ...]]):
    """Names of faults, separated by commas."""

    name = "names"

    def convert(
        self, value: str | tuple[FaultKind, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[FaultKind, ...]:
        """Read the names; refuse an unknown one with the nearest."""
        if isinstance(value, tuple):
            return value
        known = [kind.value for kind in FaultKind]
        names = [name.strip() for name in value.split(",") if name.strip()]
        for name in names:
            if name not in known:
                hint = failures.suggestion(name, known) or f" There are {', '.join(known)}."
                self.fail(f"there is no fault '{text.one_line(name)}'.{hint}", param, ctx)
        if not names:
            self.fail(f"name at least one of {', '.join(known)}.", param, ctx)
        return tuple(kind for kind in FaultKind if kind.value in names)


@click.command()
@click.option(
    "--runs",
    default=DEFAULT_RUNS,
    show_default=True,
    type=WholeNumber(1, MOST_RUNS, wanted="number of runs"),
    help="How many runs to start.",
)
@click.option(
    "--seed",
    type=WholeNumber(0, MOST_SEED, wanted="seed"),
    help="Draw graphs, faults and times from this number, to repeat a campaign.  [default: a random one]",
)
@click.option(
    "--faults",
    "kinds",
    metavar="NAME[,NAME]...",
    type=Faults(),
    help=f"Which faults happen: {', '.join(FaultKind)}.  [default: all]",
)
@click.option("--keep", is_flag=True, help="Keep the home of the scratch stack, also when nothing broke.")
@click.option(
    "--report",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the table to a Markdown file too.",
)
@json_option
def chaos_command(
    runs: int,
    seed: int | None,
    kinds: tuple[FaultKind, ...] | None,
    keep: bool,
    report: Path | None,
    as_json: bool,
) -> None:
    """Break a stack of its own on purpose while random workflows run, then check that nothing was lost or done twice.

    It starts a scratch stack with two workers, on free ports and in a home of its own; no other stack is touched. Exit
    code 1 when an invariant broke: then the run's history is printed, and the home is kept.

    \b
    maestro chaos                                    50 runs, all faults, a random seed
    maestro chaos --runs 200 --seed 7                repeat those graphs and faults
    maestro chaos --faults kill-worker,pause         only these
    """
    from maestro.chaos import campaign
    from maestro.chaos.findings import Plan
    from maestro.chaos.scratch import ScratchStack

    if report is not None:
        _require_writable(report)
    plan = Plan(
        runs=runs,
        seed=random.randint(0, MOST_SEED) if seed is None else seed,  # noqa: S311 - no secret
        kinds=kinds or tuple(FaultKind),
    )
    view = _ProgressLine(plan.runs)
    with _terminated_as_interrupted(), _scratch(ScratchStack(campaign.WORKERS), view, keep=keep) as stack:
        view.say(f"Seed {plan.seed}. Starting a stack of its own in {text.one_line(stack.home.path)}.")
        view.show(campaign.Progress(phase="starting the stack"))
        stack.start()
        try:
            findings = campaign.run_campaign(stack, plan, view.show)
        except campaign.StackLost as error:
            raise _Broken(text.one_line(error), code="stack_lost", details={"seed": plan.seed}) from error
        view.clear()
        _publish(findings, report, as_json=as_json)
        if findings.verdict.breaks:
            raise _broken(findings, stack)


class _Broken(failures.Failure):
    """The stack broke, or an invariant: its home is kept."""


@contextlib.contextmanager
def _scratch(stack: ScratchStack, view: _ProgressLine, *, keep: bool) -> Iterator[ScratchStack]:
    """Yield a stack to start; stop it and remove its home in any case, unless it is to be kept."""
    from maestro.client import ClientError
    from maestro.embedded.errors import StackError

    try:
        yield stack
    except _Broken:
        keep = True
        raise
    except (StackError, ClientError) as error:
        raise failures.Failure(str(error)) from error
    finally:
        view.clear()
        with _undisturbed():
            stack.stop()
            if keep:
                view.say(f"The stack's home is kept; look at it by `maestro up --home {stack.home.path}`.")
            else:
                stack.remove()


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Clean up also when told to end by SIGTERM or by a terminal that is closed."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    former = {sent: signal.signal(sent, interrupt) for sent in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for sent, action in former.items():
            signal.signal(sent, action)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Let no second Ctrl-C end the cleaning."""
    former = {sent: signal.signal(sent, signal.SIG_IGN) for sent in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for sent, action in former.items():
            signal.signal(sent, action)


def _require_writable(file: Path) -> None:
    """Refuse a file that cannot be written before a campaign of an hour, not after it."""
    if not file.absolute().parent.is_dir():
        raise failures.Failure(f"There is no directory {text.one_line(file.parent)}.", code="directory_not_found")
    try:
        file.open("a").close()
    except OSError as error:
        raise _unwritten(file, error) from error


def _unwritten(file: Path, error: OSError) -> failures.Failure:
    return failures.Failure(f"{text.one_line(file)} cannot be written: {error.strerror}.", code="report_not_written")


def _publish(findings: Findings, file: Path | None, *, as_json: bool) -> None:
    """Print the figures, then write them to a file if one was named: what has become of it must not hide them."""
    from maestro.chaos import report

    if as_json:
        output.print_json(report.as_json(findings))
    else:
        _print(findings)
    if file is None:
        return
    try:
        file.write_text(report.as_markdown(findings))
    except OSError as error:
        if not findings.verdict.breaks:
            raise _unwritten(file, error) from error
        click.echo(_unwritten(file, error), err=True)


def _print(findings: Findings) -> None:
    from maestro.chaos import report

    rows = [(str(kind), f"{count:,}") for kind, count in report.fault_counts(findings).items()]
    output.print_table(("fault", "injected"), rows)
    click.echo()
    for name, value in report.figures(findings).items():
        click.echo(f"{name.capitalize():<40}{value:>9,}")
    if not findings.verdict.breaks:
        click.echo("\nEvery invariant held.")
        return
    for run in report.broken_runs(findings):
        click.echo(f"\n{output.heading(f'Run {run.id} of {run.workflow}')}")
        for line in report.history(findings, run):
            click.echo(text.one_line(line))
        for line in findings.log.get(run.id, ()):
            click.echo(text.one_line(f"  {line}"))


def _broken(findings: Findings, stack: ScratchStack) -> _Broken:
    """Return the failure that names every break and how to do the same again."""
    from maestro.chaos import report

    breaks = findings.verdict.breaks
    return _Broken(
        f"{text.count(len(breaks), 'break')} of what must hold. Repeat it by `{report.command(findings)}`; "
        f"the home is {stack.home.path}.",
        lines=[text.one_line(report.describe(found)) for found in breaks],
        code="invariant_broken",
        details={"seed": findings.plan.seed, "home": str(stack.home.path)},
    )


class _ProgressLine:
    """One line on standard error that is written over, or a line now and then where it cannot be."""

    def __init__(self, runs: int) -> None:
        from rich.console import Console

        self._runs = runs
        self._began_at = self._shown_at = time.monotonic()
        self._console = Console(stderr=True, highlight=False)
        self._status = self._console.status("")

    def say(self, sentence: str) -> None:
        """Write a sentence of its own."""
        click.echo(sentence, err=True)

    def show(self, progress: Progress) -> None:
        """Write how far the campaign is."""
        from rich.text import Text

        now = time.monotonic()
        line = f"{text.duration(now - self._began_at):>7}  {self._describe(progress)}"
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._status.update(Text(line, overflow="ellipsis", no_wrap=True))
            self._status.start()
        elif now - self._shown_at >= LINE_EVERY_SECONDS:
            self._shown_at = now
            click.echo(line, err=True)

    def clear(self) -> None:
        """Take the line away."""
        self._status.stop()

    def _describe(self, progress: Progress) -> str:
        if not progress.started:
            return progress.phase
        last = progress.last_fault
        parts = [
            f"{progress.ended:,} of {text.count(self._runs, 'run')} ended",
            f"{progress.started - progress.ended:,} open",
            text.count(progress.faults, "fault"),
            *([f"{last.kind} ({last.detail})"] if last else []),
        ]
        return f"{progress.phase}: {', '.join(parts)}"
