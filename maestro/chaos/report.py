"""What a campaign came to, for people and for programs: figures, a Markdown page, the history of a broken run. Pure."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator
from typing import Any

from maestro.chaos.cases import Break
from maestro.chaos.findings import Findings
from maestro.chaos.graphs import Kind, Limit
from maestro.chaos.rows import RunRow, TaskRow
from maestro.chaos.schedule import FaultKind

LOST_CODES = frozenset({"worker_lost", "process_lost"})
# Faults this long before a run, and after it, are in its history: a worker that was killed before it may matter.
AROUND_SECONDS = 5.0


def figures(findings: Findings) -> dict[str, int | float]:
    """Return the figures of a campaign by their names for people, in the order in which they are shown."""
    tasks = [task for run in findings.runs for task in run.tasks]
    attempts = [attempt for task in tasks for attempt in task.history]
    planned = [findings.graphs[run.workflow][task.task_key] for run in findings.runs for task in run.tasks]
    kinds = Counter(task.kind for task in planned)
    codes = Counter(each.error_code for each in tasks) + Counter(each.error_code for each in attempts)
    lost = [attempt for attempt in attempts if attempt.error_code in LOST_CODES]
    return {
        "runs": len(findings.runs),
        "runs below others": sum(bool(run.parent_id) for run in findings.runs),
        "runs asked for by SQL": sum(each.planned.by_sql for each in findings.asked.values()),
        "runs that begin later": sum(run.start_at is not None for run in findings.runs),
        "runs with a deadline": sum(run.deadline_at is not None for run in findings.runs),
        "runs asked for again under their key": sum(
            each.planned.again_after_seconds is not None for each in findings.asked.values()
        ),
        "runs cancelled": sum(run.status == "cancelled" and not run.parent_id for run in findings.runs),
        "runs below others cancelled alone": sum(
            run.status == "cancelled" and bool(run.parent_id) and run.id in findings.deeds.cancel_asked
            for run in findings.runs
        ),
        "runs that nobody waits for": sum(bool(run.parent_id) and not run.is_awaited for run in findings.runs),
        "runs that stopped themselves": sum(run.reason == "stopped" for run in findings.runs),
        "runs whose time was over": sum(run.reason == "timed_out" for run in findings.runs),
        "tasks": len(tasks),
        **{f"tasks of kind {kind}": kinds[kind] for kind in Kind},
        "tasks with a time limit": sum(task.limit is not Limit.NONE for task in planned),
        "attempts whose time was over": codes["timed_out"],
        "tasks not begun in time": codes["queue_timeout"],
        "questions to the outside": len(findings.asks),
        "signals sent": findings.deeds.signals,
        "signals sent again": findings.deeds.signals_again,
        "approvals decided": findings.deeds.decisions,
        "attempts": sum(task.attempt for task in tasks),
        "attempts lost": len(lost),
        "attempts repeated after a crash": findings.verdict.repeats_after_crash,
        "messages duplicated": sum(fault.messages for fault in findings.faults),
        "messages never acknowledged": findings.leftovers.unacknowledged,
        "seconds of the longest run": round(max(map(_seconds, findings.runs), default=0.0), 1),
        "seconds from first start to last end": round(findings.seconds, 1),
        "seconds from last fault to last end": round(findings.recovery_seconds, 1),
        "breaks": len(findings.verdict.breaks),
    }


def fault_counts(findings: Findings) -> dict[FaultKind, int]:
    """Return how often each kind of fault happened that was asked for."""
    counts = Counter(fault.kind for fault in findings.faults)
    return {kind: counts[kind] for kind in findings.plan.kinds}


def command(findings: Findings) -> str:
    """Return the command that does the same again."""
    plan = findings.plan
    kinds = "" if set(plan.kinds) == set(FaultKind) else f" --faults {','.join(plan.kinds)}"
    return f"maestro chaos --runs {plan.runs} --seed {plan.seed}{kinds}"


def as_json(findings: Findings) -> dict[str, Any]:
    """Return everything for a program."""
    plan = findings.plan
    return {
        "seed": plan.seed,
        "command": command(findings),
        "held": not findings.verdict.breaks,
        "figures": {name.replace(" ", "_"): value for name, value in figures(findings).items()},
        "faults": [
            {"kind": fault.kind, "detail": fault.detail, "at": moment(fault.at), "until": moment(fault.until)}
            for fault in findings.faults
        ],
        "breaks": [
            {"rule": found.rule, "run": found.run_id or None, "task": found.task_key or None, "message": found.message}
            for found in findings.verdict.breaks
        ],
        "histories": {
            run.id: {"events": history(findings, run), "log": list(findings.log.get(run.id, ()))}
            for run in broken_runs(findings)
        },
    }


def as_markdown(findings: Findings) -> str:
    """Return a page to be kept."""
    rows = [
        *((f"fault `{kind}`", f"{count:,}") for kind, count in fault_counts(findings).items()),
        *((name, f"{value:,}") for name, value in figures(findings).items()),
    ]
    lines = [
        f"# Chaos, {moment(findings.began_at)[:10]}, seed {findings.plan.seed}",
        "",
        f"`{command(findings)}`",
        "",
        "| what | how many |",
        "|---|---:|",
        *(f"| {name} | {value} |" for name, value in rows),
        "",
    ]
    lines += [f"- {describe(found)}" for found in findings.verdict.breaks] or ["Every invariant held."]
    return "\n".join([*lines, ""])


def describe(found: Break) -> str:
    """Say what is wrong in one line."""
    where = " of ".join(part for part in (found.task_key, f"run {found.run_id}" if found.run_id else "") if part)
    return f"{found.rule}: {f'{where}: ' if where else ''}{found.message}"


def broken_runs(findings: Findings) -> list[RunRow]:
    """Return the runs that break an invariant."""
    broken = {found.run_id for found in findings.verdict.breaks}
    return [run for run in findings.runs if run.id in broken]


def history(findings: Findings, run: RunRow) -> list[str]:
    """Return the timeline of a run: its rows, attempts, effects and log lines, and the faults around it."""
    began = run.created_at.timestamp() - AROUND_SECONDS
    ended = (run.finished_at.timestamp() if run.finished_at else findings.quiet_at) + AROUND_SECONDS
    events = [
        (run.created_at.timestamp(), f"run {run.id} of {run.workflow} created"),
        *((at, text) for task in run.tasks for at, text in _task_events(task)),
        *_effect_events(findings, run),
        *(
            (line.created_at.timestamp(), f"{line.task_key} wrote in attempt {line.attempt}: {line.message}")
            for line in findings.lines.get(run.id, ())
        ),
        *((each.at, f"FAULT {each.kind}: {each.detail}") for each in findings.faults if began <= each.at <= ended),
    ]
    if run.finished_at:
        events.append((run.finished_at.timestamp(), f"run {run.status}"))
    return [f"{moment(at)}  {text}" for at, text in sorted(events, key=lambda event: event[0])]


def moment(at: float) -> str:
    """Write a time in UTC to the millisecond."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _seconds(run: RunRow) -> float:
    return (run.finished_at - run.created_at).total_seconds() if run.finished_at else 0.0


def _task_events(task: TaskRow) -> Iterator[tuple[float, str]]:
    for attempt in task.history:
        name = f"{task.task_key} attempt {attempt.attempt}"
        if attempt.started_at:
            yield attempt.started_at.timestamp(), f"{name} began on {attempt.worker}"
        yield attempt.finished_at.timestamp(), f"{name} {attempt.status}: {attempt.error_message}"
    if task.queued_at:
        yield task.queued_at.timestamp(), f"{task.task_key} queued"
    if task.started_at:
        yield task.started_at.timestamp(), f"{task.task_key} attempt {task.attempt} began on {task.worker}"
    if task.finished_at:
        detail = f" {task.reason}{task.error_code}" if task.reason or task.error_code else ""
        yield task.finished_at.timestamp(), f"{task.task_key} {task.status}{detail}, attempt {task.attempt}"


def _effect_events(findings: Findings, run: RunRow) -> Iterator[tuple[float, str]]:
    for effect in findings.effects:
        if effect.run_id == run.id:
            name = f"{effect.task_key} attempt {effect.attempt} ({effect.token[:8]})"
            yield effect.begun_at, f"{name}: its code began"
            if effect.ended_at is not None:
                yield effect.ended_at, f"{name}: its code was done"
