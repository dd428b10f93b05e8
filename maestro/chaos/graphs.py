"""Random workflows: what runs in a campaign, as a pure function of its seed and the run's number. What must come of
them: `expected`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from workflows.definition.expressions import CLOSING, OPENING
from workflows.definition.sections import HOOKS, Section
from workflows.definition.spec import RunIf
from workflows.definition.values import JsonValue

FEWEST_TASKS = 2
MOST_TASKS = 15
LONGEST_TASK_SECONDS = 0.3
# Some still run when a worker comes back that stood still for so long that it was given up.
LONG_TASK_SECONDS = (1.0, 4.0)
LONG_TASK_SHARE = 0.05
VALUES = 1_000_003
"""Every value is below this: sums of them stay exact whatever computes them."""
HOOKS_SHARE = 0.3
RETRY_DELAY_SECONDS = 0.2
FOR_EVER = 1_000_000
FUNCTION = "maestro.chaos.tasks.work"
# Whether such a task starts depends on which need ends first, and so would what it could read of them.
EARLY_RULES = frozenset({RunIf.ANY_SUCCEEDED, RunIf.ANY_FAILED})
# One write to the end of a file never mixes with another's.
_SCRIPT = f"""
note() {{
    event="$1 $MAESTRO_RUN_ID $MAESTRO_TASK_KEY $MAESTRO_ATTEMPT $$"
    echo "$event $(date +%s.%N)" >> "$EFFECTS"
}}
note begun
sleep "$SECONDS_TO_SLEEP"
echo "shell task $MAESTRO_TASK_KEY"
total="$NUMBER"; for value in $VALUES; do total=$((total + value)); done
printf '{{"value": %d, "attempt": %d}}' "$((total % {VALUES}))" "$MAESTRO_ATTEMPT" > "$MAESTRO_OUTPUT"
note ended
exit "$STATUS"
"""


class Kind(StrEnum):
    """What a task is made of."""

    PYTHON = "python"
    SHELL = "shell"


class Condition(StrEnum):
    """What a task's `if` asks."""

    NONE = "none"
    """Nothing: it has no `if`."""
    NEVER = "never"
    """What is never true."""
    EVEN = "even"
    """Whether the value of its first need is even."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task of a random graph."""

    kind: Kind
    """What it is made of."""
    number: int
    """What it adds to the values of its needs."""
    seconds: float = 0.0
    """How long it sleeps."""
    needs: tuple[str, ...] = ()
    """Keys of the tasks it waits for."""
    rule: RunIf = RunIf.ALL_SUCCEEDED
    """Its `run_if`."""
    condition: Condition = Condition.NONE
    """Its `if`."""
    fails: bool = False
    """Whether its code fails at its end, every time."""
    failures: int = 0
    """How often its code fails before it succeeds; fewer than `tries`."""
    tries: int = 1
    """How often it is tried."""
    may_fail: bool = False
    """Its `continue_on_error`."""
    section: Section = Section.TASKS
    """Whether it is a hook, and of what."""

    @property
    def reads_needs(self) -> bool:
        """Whether its value depends on those of its needs."""
        return self.rule not in EARLY_RULES


Graph = Mapping[str, Task]
"""Task key → task, each after its needs."""


def draw_graph(seed: int, number: int) -> Graph:
    """Draw the graph of one run of a campaign."""
    chance = random.Random(f"{seed}/graph/{number}")
    needs = chance.choice((_irregular, _series_parallel))(chance)
    tasks = {key: _draw_task(chance, tuple(needed)) for key, needed in needs.items()}
    return tasks | _draw_hooks(chance)


def workflow_name(number: int) -> str:
    """Name the workflow of one run of a campaign."""
    return f"chaos-{number}"


def as_definition(graph: Graph, name: str) -> dict[str, JsonValue]:
    """Write a graph in the definition language. Its runs take the path of the file that notes effects as an input."""
    needed = {need for task in graph.values() for need in task.needs}
    sections = {
        section: {key: _task_definition(task) for key, task in graph.items() if task.section is section}
        for section in Section
    }
    return {
        "schema_version": 1,
        "name": name,
        "inputs": {"effects": {"type": "string"}},
        **{section.value: tasks for section, tasks in sections.items() if tasks},
        "outputs": {key: _value_of(key, otherwise="-1") for key in sections[Section.TASKS] if key not in needed},
    }


def _draw_hooks(chance: random.Random) -> dict[str, Task]:
    """Give each section of hooks, now and then, a task and another that needs it."""
    hooks: dict[str, Task] = {}
    for section in HOOKS:
        if chance.random() < HOOKS_SHARE:
            first, second = f"{section}_1", f"{section}_2"
            hooks[first] = replace(_draw_task(chance, ()), section=section)
            hooks[second] = replace(_draw_task(chance, (first,)), section=section)
    return hooks


def _irregular(chance: random.Random) -> dict[str, list[str]]:
    """Let each task need some of those before it."""
    keys = [f"t{number}" for number in range(chance.randint(FEWEST_TASKS, MOST_TASKS))]
    return {
        key: sorted(chance.sample(keys[:position], min(position, chance.choice((0, 1, 1, 2, 3)))))
        for position, key in enumerate(keys)
    }


def _series_parallel(chance: random.Random) -> dict[str, list[str]]:
    """Replace tasks by forks again and again, starting from one."""
    needs: dict[str, list[str]] = {"t0": []}
    for _ in range(chance.randint(1, 4)):
        start = chance.choice(sorted(needs))
        branches = [f"t{len(needs) + branch}" for branch in range(chance.randint(1, 4))]
        join = f"t{len(needs) + len(branches)}"
        if len(needs) + len(branches) >= MOST_TASKS:
            break
        for needed in needs.values():
            needed[:] = [join if need == start else need for need in needed]
        needs |= {branch: [start] for branch in branches} | {join: branches}
    return _in_order(needs)


def _in_order(needs: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Put each task after its needs."""
    ordered: dict[str, list[str]] = {}
    while len(ordered) < len(needs):
        ordered |= {
            key: needed
            for key, needed in needs.items()
            if key not in ordered and all(need in ordered for need in needed)
        }
    return ordered


def _draw_task(chance: random.Random, needs: tuple[str, ...]) -> Task:
    # Mostly the default: other rules everywhere would make most of a graph skip.
    rule = chance.choice([*RunIf, *[RunIf.ALL_SUCCEEDED] * 7]) if needs else RunIf.ALL_SUCCEEDED
    condition = Condition.NONE
    if chance.random() < 0.08:
        can_read = needs and rule is RunIf.ALL_SUCCEEDED
        condition = chance.choice((Condition.NEVER, Condition.EVEN, Condition.EVEN)) if can_read else Condition.NEVER
    kind = Kind.SHELL if chance.random() < 0.2 else Kind.PYTHON
    tries = chance.randint(2, 3) if chance.random() < 0.3 else 1
    is_long = chance.random() < LONG_TASK_SHARE
    return Task(
        kind=kind,
        number=chance.randrange(VALUES),
        seconds=round(chance.uniform(*(LONG_TASK_SECONDS if is_long else (0, LONGEST_TASK_SECONDS))), 3),
        needs=needs,
        rule=rule,
        condition=condition,
        fails=chance.random() < 0.05,
        failures=chance.randint(0, tries - 1) if kind is Kind.PYTHON else 0,
        tries=tries,
        may_fail=chance.random() < 0.2,
    )


def _task_definition(task: Task) -> dict[str, JsonValue]:
    values = [_value_of(need, otherwise="0") for need in task.needs] if task.reads_needs else []
    if task.kind is Kind.PYTHON:
        arguments = {"effects_file": "${{ inputs.effects }}", "number": task.number, "values": values}
        options: dict[str, JsonValue] = {
            "function": FUNCTION,
            "args": {**arguments, "seconds": task.seconds, "failures": FOR_EVER if task.fails else task.failures},
        }
    else:
        environment = {"EFFECTS": "${{ inputs.effects }}", "NUMBER": task.number, "VALUES": " ".join(values)}
        options = {
            "command": _SCRIPT,
            "env": {**environment, "SECONDS_TO_SLEEP": task.seconds, "STATUS": 3 if task.fails else 0},
        }
    definition: dict[str, JsonValue] = {
        "uses": task.kind.value,
        "needs": list(task.needs),
        "run_if": task.rule.value,
        "with": options,
    }
    if task.may_fail:
        definition["continue_on_error"] = True
    if task.tries > 1:
        definition["retry"] = {
            "max_attempts": task.tries,
            "delay": f"{RETRY_DELAY_SECONDS}s",
            "backoff": 1,
            "jitter": False,
        }
    match task.condition:
        case Condition.NEVER:
            definition["if"] = "${{ 1 > 2 }}"
        case Condition.EVEN:
            value = _value_of(task.needs[0], otherwise="0").removeprefix(OPENING).removesuffix(CLOSING)
            definition["if"] = f"{OPENING} int({value.strip()}) % 2 == 0 {CLOSING}"
    return definition


def _value_of(key: str, *, otherwise: str) -> str:
    """Return the expression of a task's value, and of another where it has none."""
    return f"${{{{ tasks.{key}.status == 'succeeded' ? tasks.{key}.output.value : {otherwise} }}}}"
