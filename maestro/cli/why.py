"""`maestro why`: what keeps a run or a task, up to who or what holds it all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from maestro.cli import completing
from maestro.cli.options import RunId, connected, json_option

if TYPE_CHECKING:
    from maestro.client import Client
    from maestro.client.representations import ExplainedTask, Explanation


PAUSED = "paused"
MOST_NAMED = 5
VERBS = {"succeeded": "has", "failed": "has", "cancelled": "was"}


@click.command("why")
@click.argument("run_id", metavar="RUN", type=RunId())
@click.argument("task_key", metavar="[TASK]", required=False, shell_complete=completing.complete_tasks)
@json_option
@connected
def why_command(client: Client, run_id: str, task_key: str | None, as_json: bool) -> None:
    """Tell why a run, or TASK of it, does not go on: each cause, and who or what could end it."""
    from maestro.cli import output
    from maestro.cli.runs import naming_task

    with naming_task(client, run_id, task_key):
        explained = client.runs.explain(run_id, task_key=task_key)
    if as_json:
        output.print_json(explained.to_json())
        return
    for line in _lines(explained):
        click.echo(line)


def _lines(explained: Explanation, indentation: str = "", told: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield what is known of a run and those below it; `told` are the pauses that a run above has told."""
    from maestro.cli import output, text

    name = f"Run {text.one_line(explained.run)} of {text.one_line(explained.workflow)}"
    yield f"{indentation}{name} {VERBS.get(explained.status, 'is')} {output.status(explained.status)}."
    held = _held_by_pause(explained)
    for message, names in held.items():
        if message not in told:
            yield f"{indentation}{text.one_line(message)}{f' It holds {_listed(names)}.' if names else ''}"
    for cause in explained.causes:
        if cause.code != PAUSED:
            yield f"{indentation}{text.one_line(cause.message)}"
    for task in explained.tasks:
        yield from _lines_of_task(task, indentation, told | held.keys())
    if explained.waiting_count:
        yield f"{indentation}{text.count(explained.waiting_count, 'more task')} only wait{_s(explained)} for these."


def _held_by_pause(explained: Explanation) -> dict[str, list[str]]:
    """Return what each pause that holds something of a run says, and the tasks it holds."""
    held: dict[str, list[str]] = {cause.message: [] for cause in explained.causes if cause.code == PAUSED}
    for task in explained.tasks:
        for cause in task.causes:
            if cause.code == PAUSED:
                held.setdefault(cause.message, []).append(_name(task))
    return held


def _lines_of_task(task: ExplainedTask, indentation: str, told: frozenset[str]) -> Iterator[str]:
    from maestro.cli import output, text

    reason = f" ({text.one_line(task.reason)})" if task.reason else ""
    yield f"{indentation}{output.heading(_name(task))}  {output.status(task.status)}{reason}"
    for cause in task.causes:
        if cause.code != PAUSED:
            yield f"{indentation}  {text.one_line(cause.message)}"
    if task.child is not None:
        yield from _lines(task.child, f"{indentation}    ", told)


def _name(task: ExplainedTask) -> str:
    from maestro.cli import text

    return text.one_line(task.task_key) + ("" if task.map_index is None else f"[{task.map_index}]")


def _listed(names: Sequence[str]) -> str:
    more = [f"{len(names) - MOST_NAMED:,} more"] if len(names) > MOST_NAMED else []
    *rest, last = [*names[:MOST_NAMED], *more]
    return f"{', '.join(rest)} and {last}" if rest else last


def _s(explained: Explanation) -> str:
    return "s" if explained.waiting_count == 1 else ""
