"""Random graphs in the definition language. Pure."""

from __future__ import annotations

from maestro.chaos.graphs import (
    AMPLE_SECONDS,
    ASK_SECONDS,
    LONGEST_DELAY_SECONDS,
    QUEUE_SECONDS,
    RETRY_DELAY_SECONDS,
    RUN_SECONDS,
    TOTAL_SECONDS,
    UNANSWERED_SECONDS,
    VALUES,
    Condition,
    Contract,
    Graph,
    Kind,
    Limit,
    Retry,
    Task,
    codes_of,
    leaves,
    name_of_child,
)
from workflows.definition.sections import Section
from workflows.definition.values import JsonValue

FOR_EVER = 1_000_000
READY, GONE = "ready", "gone"
STUBBORN_GRACE_SECONDS = 1.0
_INPUTS = {"effects": "${{ inputs.effects }}", "outside": "${{ inputs.outside }}"}
FUNCTION = "maestro.chaos.tasks.work"
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


def as_definition(graph: Graph, name: str) -> dict[str, JsonValue]:
    """Write a graph in the definition language. Its runs take the path of the file that notes effects, and where the
    outside is, as inputs.
    """
    sections = {
        section: {key: _task_definition(graph, key, name) for key, task in graph.items() if task.section is section}
        for section in Section
    }
    timeout = _run_timeout(graph)
    return {
        "schema_version": 1,
        "name": name,
        **({} if timeout is None else {"timeout": f"{timeout}s"}),
        "inputs": {"effects": {"type": "string"}, "outside": {"type": "string"}},
        **{section.value: tasks for section, tasks in sections.items() if tasks},
        "outputs": {key: f"${{{{ {_value_of(graph, key, otherwise='-1')} }}}}" for key in leaves(graph)},
    }


def _task_definition(graph: Graph, key: str, name: str) -> dict[str, JsonValue]:
    task = graph[key]
    definition: dict[str, JsonValue] = {
        "uses": task.kind.value,
        "needs": list(task.needs),
        "run_if": task.rule.value,
        "with": _options(graph, key, name),
    }
    if task.may_fail:
        definition["continue_on_error"] = True
    if task.tries > 1:
        definition["retry"] = _retry(task)
    timeout = _timeout(task)
    if timeout:
        definition["timeout"] = timeout
    if task.contract is not Contract.NONE:
        value: JsonValue = {"type": "string" if task.is_refused else "integer"}
        definition["output"] = {"type": "object", "required": ["value"], "properties": {"value": value}}
    match task.condition:
        case Condition.NEVER:
            definition["if"] = "${{ 1 > 2 }}"
        case Condition.EVEN:
            definition["if"] = f"${{{{ int({_value_of(graph, task.needs[0], otherwise='0')}) % 2 == 0 }}}}"
    return definition


def _run_timeout(graph: Graph) -> float | None:
    """Return what a run may take: of one in four, ample time."""
    if any(task.limit is Limit.RUN for task in graph.values()):
        return RUN_SECONDS
    return AMPLE_SECONDS if next(iter(graph.values())).number % 4 == 0 else None


def _retry(task: Task) -> dict[str, JsonValue]:
    grows = task.retry in (Retry.GROWING, Retry.JITTERED)
    retry: dict[str, JsonValue] = {
        "max_attempts": task.tries,
        "delay": f"{RETRY_DELAY_SECONDS}s",
        "backoff": 2 if grows else 1,
        "max_delay": f"{LONGEST_DELAY_SECONDS}s",
        "jitter": task.retry is Retry.JITTERED,
    }
    match task.retry:
        case Retry.ON | Retry.NOT_ON:
            retry[task.retry.value] = sorted(codes_of(task))
        case Retry.WITHIN:
            retry["within"] = f"{RETRY_DELAY_SECONDS / 2}s"
    return retry


def _timeout(task: Task) -> dict[str, JsonValue]:
    if task.limit is Limit.AMPLE:
        return dict.fromkeys(("attempt", "queue", "total"), f"{AMPLE_SECONDS}s")
    seconds = {
        "attempt": task.attempt_seconds,
        "total": TOTAL_SECONDS if task.limit is Limit.TOTAL else None,
        "queue": QUEUE_SECONDS if task.limit is Limit.QUEUE else None,
        "grace": STUBBORN_GRACE_SECONDS if task.is_stubborn else None,
    }
    return {key: f"{value}s" for key, value in seconds.items() if value is not None}


def _options(graph: Graph, key: str, name: str) -> dict[str, JsonValue]:
    task = graph[key]
    match task.kind:
        case Kind.PYTHON | Kind.SHELL:
            return _code(graph, task)
        case Kind.SLEEP:
            return {"duration": f"{task.seconds}s"}
        case Kind.SIGNAL:
            value: JsonValue = {"type": "integer"}
            options: dict[str, JsonValue] = {
                "schema": {"type": "object", "required": ["value"], "properties": {"value": value}}
            }
            if not task.is_answered and not task.limit.is_overrun:
                options["timeout"] = f"{UNANSWERED_SECONDS}s"
                options |= {} if task.fails else {"default": {"value": task.number}}
            return options
        case Kind.APPROVAL:
            form: JsonValue = {"value": {"type": "integer", "default": task.number}}
            options = {"message": "May it go on?", "form": form}
            if not task.is_answered and not task.limit.is_overrun:
                options["deadline"] = f"{UNANSWERED_SECONDS}s"
                options["on_deadline"] = "reject" if task.fails else "approve"
            return options
        case Kind.WORKFLOW:
            options = {"workflow": name_of_child(name, key), "inputs": dict(_INPUTS)}
            return options if task.is_awaited else options | {"wait": False}
        case Kind.HTTP:
            return _question(key, task)
        case Kind.STOP:
            return {"status": "failed"} if task.fails else {"outputs": {"value": task.number}}


def _question(key: str, task: Task) -> dict[str, JsonValue]:
    query: JsonValue = {"seconds": task.seconds, "state": GONE if task.fails else READY, "value": task.number}
    poll: JsonValue = {
        "every": f"{ASK_SECONDS}s",
        "until": {"body": {"state": READY}},
        "fail_if": {"body": {"state": GONE}},
    }
    return {"url": f"http://${{{{ inputs.outside }}}}/${{{{ run.id }}}}/{key}", "query": query, "poll": poll}


def _code(graph: Graph, task: Task) -> dict[str, JsonValue]:
    needs = task.needs if task.reads_needs else ()
    values = [f"${{{{ {_value_of(graph, need, otherwise='0')} }}}}" for need in needs]
    if task.kind is Kind.PYTHON:
        arguments = {"effects_file": "${{ inputs.effects }}", "number": task.number, "values": values}
        failures = FOR_EVER if task.fails else task.failures
        more = {"seconds": task.seconds, "failures": failures, "is_stubborn": task.is_stubborn}
        return {"function": FUNCTION, "args": arguments | more}
    environment = {"EFFECTS": "${{ inputs.effects }}", "NUMBER": task.number, "VALUES": " ".join(values)}
    return {
        "command": _SCRIPT,
        "env": {**environment, "SECONDS_TO_SLEEP": task.seconds, "STATUS": 3 if task.fails else 0},
    }


def _value_of(graph: Graph, key: str, *, otherwise: str) -> str:
    """Return the expression of a task's value, and of another where it has none."""
    task, output = graph[key], f"tasks.{key}.output"
    match task.kind:
        case Kind.SLEEP | Kind.STOP:
            return otherwise
        case Kind.WORKFLOW if not task.is_awaited:
            return otherwise
        case Kind.APPROVAL:
            value = f"{output}.form.value"
        case Kind.HTTP:
            value = f"{output}.body.value"
        case Kind.WORKFLOW:
            assert task.child is not None
            value = " + ".join(f"{output}.{leaf}" for leaf in leaves(task.child))
            if any(each.kind is Kind.STOP for each in task.child.values()):
                value = f"(has({output}.value) ? {output}.value : {value})"
        case _:
            value = f"{output}.value"
    return f"tasks.{key}.status == 'succeeded' ? {value} : {otherwise}"
