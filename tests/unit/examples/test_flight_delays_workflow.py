"""`flight-delays.yaml` calls what is there: every function with every argument it needs, every need declared."""

import importlib
import inspect
import re
from pathlib import Path

import pytest
import yaml

from executors.kinds import registry
from executors.runtime.options import parse_options

DOCUMENT = yaml.safe_load((Path(__file__).parents[3] / "examples/flight-delays.yaml").read_text(encoding="utf-8"))
TASKS = DOCUMENT["tasks"]


def expressions(value):
    return set(re.findall(r"\$\{\{ (\w+)\.(\w+)", str(value)))


@pytest.mark.parametrize("task_key", TASKS)
def test_options_fit_the_kind(task_key):
    task = TASKS[task_key]

    parse_options(registry.options_models()[task["uses"]], task["with"])


@pytest.mark.parametrize("task_key", [key for key, task in TASKS.items() if task["uses"] == "python"])
def test_function_takes_the_arguments(task_key):
    options = TASKS[task_key]["with"]
    module, _, name = options["function"].rpartition(".")

    inspect.signature(getattr(importlib.import_module(module), name)).bind(**options["args"])


@pytest.mark.parametrize("task_key", TASKS)
def test_needs_are_exactly_what_the_expressions_read(task_key):
    task = TASKS[task_key]
    read = {name for of, name in expressions(task["with"]) if of == "tasks"}

    assert set(task.get("needs", [])) == read


def test_every_input_has_a_default_and_is_used():
    read = {name for of, name in expressions(DOCUMENT) if of == "inputs"}

    assert read == set(DOCUMENT["inputs"])
    assert all("default" in schema for schema in DOCUMENT["inputs"].values())


def test_branches_are_not_series_parallel():
    """`by_hour` waits for `clean` only, `by_carrier` also for `read_airlines`: no nesting of chains and joins."""
    assert TASKS["by_hour"]["needs"] == ["clean"]
    assert TASKS["by_carrier"]["needs"] == ["clean", "read_airlines"]
    assert "needs" not in TASKS["read_airlines"]
