"""Tasks and workflows the tests of the SDK draw and run."""

import asyncio
import datetime
import threading
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from maestro.sdk import current_task, shell, size, status, task, uses, workflow


@dataclass
class Table:
    day: datetime.date
    rows: list[int]


class Options(BaseModel):
    factor: int = 1


@task
def read(day: datetime.date, limit: int = 3) -> Table:
    return Table(day=day, rows=list(range(limit)))


@task
def total(table: Table, options: Options | None = None) -> int:
    assert isinstance(table, Table)
    return sum(table.rows) * (options.factor if options else 1)


@task
def clean_up() -> None:
    print("cleaned")


@task
def fail(text: str) -> None:
    raise ValueError(text)


@task
async def who_am_i() -> dict[str, object]:
    await asyncio.sleep(0)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(current_task().task_key))
    thread.start()
    thread.join()
    current = current_task()
    current.progress(0.5, "half")
    return {"key": current.task_key, "in_thread": seen, "attempt": current.attempt}


def plain(day):
    return day


@task
def untyped(value=None, **more):
    return {"value": value, **more}


@workflow(name="a-day", description="Adds up a day.")
def a_day(
    day: datetime.date = datetime.date(2013, 1, 5),
    limit: Annotated[int, Field(ge=1, description="How many rows.")] = 3,
    mode: Literal["fast", "slow"] = "fast",
    note: str | None = None,
):
    table = read(day, limit=limit)
    sum_ = total(table, options=Options(factor=2))
    shown = shell('echo "$SUM"', env={"SUM": f"{sum_} on {day}"}, key="show", if_=size(table.rows) > 2)
    clean_up.set(after=[sum_, shown], run_if="all_done", on_worker_lost="fail", description="Always.")()
    sent = uses("noop", {"output": {"first": table.rows[0], "mode": mode, "note": note}}, key="send")
    return {"total": sum_, "status": status(shown), "first": sent["first"]}


A_DAY_IN_YAML = """
schema_version: 1
name: a-day
description: Adds up a day.
inputs:
  day: {type: string, format: date, default: "2013-01-05"}
  limit: {type: integer, minimum: 1, description: How many rows., default: 3}
  mode: {type: string, enum: [fast, slow], default: fast}
  note: {type: [string, "null"], default: null}
tasks:
  read:
    uses: python
    with:
      function: tests.unit.sdk.sample_workflows.read
      args: {day: "${{ inputs.day }}", limit: "${{ inputs.limit }}"}
  total:
    needs: [read]
    uses: python
    with:
      function: tests.unit.sdk.sample_workflows.total
      args: {table: "${{ tasks.read.output }}", options: {factor: 2}}
  show:
    needs: [total, read]
    if: "${{ size(tasks.read.output.rows) > 2 }}"
    uses: shell
    with:
      command: echo "$SUM"
      env: {SUM: "${{ tasks.total.output }} on ${{ inputs.day }}"}
  clean_up:
    description: Always.
    needs: [total, show]
    run_if: all_done
    on_worker_lost: fail
    uses: python
    with: {function: tests.unit.sdk.sample_workflows.clean_up}
  send:
    needs: [read]
    uses: noop
    with:
      output: {first: "${{ tasks.read.output.rows[0] }}", mode: "${{ inputs.mode }}", note: "${{ inputs.note }}"}
outputs:
  total: "${{ tasks.total.output }}"
  status: "${{ tasks.show.status }}"
  first: "${{ tasks.send.output.first }}"
"""
