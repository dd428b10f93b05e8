"""The page about the definition language."""

from __future__ import annotations

from docs.generator.markdown import code, fields_table
from executors.base import MAX_OUTPUT_BYTES
from workflows.definition import spec
from workflows.definition.expressions import MAX_EXPRESSION_LENGTH
from workflows.definition.input_schema import FORMATS, MAX_SCHEMA_CHARACTERS, TYPES
from workflows.definition.references import FACTS, OUTCOME, TASK_MEMBERS
from workflows.definition.spec import RunIf

_PAGE = """# The definition language

Written by `make docs` from `workflows/definition/spec.py`. A definition is one YAML or JSON document; `maestro validate FILE` lists everything that is
wrong with it, and `maestro schema` prints its JSON Schema for editors. What `uses` may name is in [kinds](kinds.md).

## A workflow

{workflow}
A name may not look like a UUID and may not be `validate`. Task keys and the names of inputs match `{identifier}` and are no reserved word of the
expression language: {reserved}.

## A task

{task}
## `run_if`

A task is judged when all it needs have ended; `any_succeeded` and `any_failed` let it start as soon as one has ended that way.
A task that is not to run is skipped. A cancelled task counts as failed, and so does one that was skipped because something upstream failed; a
task skipped by its `if` does not.

{run_if}
A task that fails under `continue_on_error` counts as succeeded here, and does not fail the run; `tasks.KEY.status` says `failed` all the same.

## `retry`

A task with `retry` is tried again when an attempt fails, after a delay that doubles and is drawn at random, unless this says otherwise. `defaults`
has the same mapping for all tasks of the workflow. The code of an error is shown by `maestro attempts RUN`; an exception's is its class in
snake_case (`ConnectionError`: `connection_error`). Whatever `retry` says, an error is not tried again of which the kind knows that it cannot help.
Attempts lost with their worker are repeated at once and not counted here.

{retry}
## `timeout`

`timeout: 20s` at a task limits each of its attempts; a mapping has more limits. `defaults` has the same for all tasks of the workflow, and `timeout` at
the workflow is the time of a whole run. An attempt whose time is over fails as `timed_out`, which `retry` may try again.

{timeout}
## Hooks

The tasks of `on_failure`, `on_success` and `finally` are written like others, at most {hooks} in each. They run when all of `tasks` have ended: first those
for the outcome, then `finally`. A cancelled run has only `finally` run. `needs` may name tasks of the same mapping; expressions may read all of
`tasks` too, and {outcome} of `run`. The end of a hook changes nothing about how the run ends, and the run's `timeout` and `outputs` are
those of `tasks`. Task keys are unique over all of them.

## Inputs

Each input has a JSON Schema (2020-12). Its `type` is one of {types}; `format` one of {formats}.
An input with `default` may be left out of a run. A schema has at most {schema:,} characters as JSON; references to other schemas are refused.

## `output`

A task's `output` is the JSON Schema that its output must satisfy, by the same rules as that of an input; nothing is filled in. An attempt whose output
does not fit fails as `output_refused` and says every reason, whoever ends it: the kind, a call, the end of a wait. `retry` may try it again, and what
needs the task does not see the output.

## Expressions

Any text in `with` and `outputs` may hold expressions, `${{{{ … }}}}`, and `if` is one. They are [CEL](https://cel.dev): no loops without end, no side
effects. A text that is exactly one expression keeps the type of its value; inside other text the value is written into it. An
expression has at most {expression:,} characters.

| in scope | what it is |
|---|---|
| `inputs.NAME` | the value of an input |
| `tasks.KEY.…`: {members} | how a task that is upstream of this one ended; in `outputs`, any task |
{facts}| `size(x)`, `has(x.y)`, `x in list`, `a ? b : c`, `&&`, `\\|\\|`, `!`, `==`, `<`, `+` … | the operators of CEL |
| `s.startsWith(t)`, `s.endsWith(t)`, `s.contains(t)`, `s.matches(re)` | functions of text; regular expressions are RE2 |
| `list.all(x, p)`, `list.exists(x, p)`, `list.filter(x, p)`, `list.map(x, e)` | over a list; together at most 10,000 steps |
| `int(x)`, `double(x)`, `string(x)`, `timestamp(x)`, `duration(x)` | conversions; whole and decimal numbers do not mix without one |

```yaml
tasks:
  count:
    uses: noop
    with: {{output: {{rows: 3}}}}
  report:
    needs: [count]
    if: "${{{{ tasks.count.output.rows > 2 && run.workflow.size() > 0 }}}}"
    uses: noop
    with: {{output: "${{{{ string(tasks.count.output.rows) }}}} rows"}}
outputs:
  report: "${{{{ tasks.report.output }}}}"
```

## Limits

| what | most |
|---|---|
| tasks of a workflow | {tasks:,} |
| inputs | {inputs:,} |
| outputs | {outputs:,} |
| output of a task, as JSON | {output_bytes:,} bytes |
{unsupported}"""

_RUN_IF = {
    RunIf.ALL_SUCCEEDED: "all of its needs succeeded; the default",
    RunIf.ALL_DONE: "all of its needs ended, however they did",
    RunIf.ANY_SUCCEEDED: "one of its needs succeeded",
    RunIf.ANY_FAILED: "one of its needs failed",
    RunIf.NONE_FAILED: "none of its needs failed",
}


def page() -> str:
    """Return the page."""
    schema = spec.WorkflowDefinition.model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    return _PAGE.format(
        workflow=fields_table(schema, definitions),
        task=fields_table(definitions["TaskSpec"], definitions),
        identifier=spec.IDENTIFIER[1:-1],
        reserved=", ".join(code(word) for word in sorted(spec.RESERVED_WORDS)),
        run_if="".join(f"- `{rule}`: runs when {_RUN_IF[rule]}\n" for rule in RunIf),
        retry=fields_table(definitions["RetrySpec"], definitions),
        timeout=fields_table(definitions["TaskTimeout"], definitions),
        types=", ".join(map(code, TYPES)),
        formats=", ".join(map(code, FORMATS)),
        schema=MAX_SCHEMA_CHARACTERS,
        expression=MAX_EXPRESSION_LENGTH,
        members=", ".join(map(code, TASK_MEMBERS)),
        facts="".join(
            f"| `{root}.…`: {', '.join(map(code, facts))} | facts about the {root} |\n" for root, facts in FACTS.items()
        ),
        hooks=spec.MAX_HOOKS,
        outcome=", ".join(map(code, OUTCOME)),
        tasks=spec.MAX_TASKS,
        inputs=spec.MAX_INPUTS,
        outputs=spec.MAX_OUTPUTS,
        output_bytes=MAX_OUTPUT_BYTES,
        unsupported=_unsupported(),
    )


def _unsupported() -> str:
    """Return what is reserved for later and refused until then."""
    reserved = {
        "of a workflow": spec.UNSUPPORTED_WORKFLOW_KEYS,
        "of a task": spec.UNSUPPORTED_TASK_KEYS,
        "kinds": spec.UNSUPPORTED_KINDS,
    }
    lines = [f"- {what}: {', '.join(map(code, sorted(names)))}\n" for what, names in reserved.items() if names]
    heading = "\n## Not supported yet\n\nThese names are reserved; a definition that uses them is refused.\n\n"
    return heading + "".join(lines) if lines else ""
