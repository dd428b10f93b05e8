"""The code of the how-to works."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from maestro.core.user_code.current_task import running
from tests.unit.core.user_code.test_current_task import make_task

HOW_TO = Path(__file__).parents[3] / "docs/how-to/write-workflows-in-python.md"


def block_with(text):
    [code] = [block for block in re.findall(r"```python\n(.*?)```", HOW_TO.read_text(), re.DOTALL) if text in block]
    return code


def test_tests_of_the_how_to_pass():
    names: dict[str, Any] = {}

    exec(block_with("def test_"), names)

    tests = [value for name, value in names.items() if name.startswith("test_")]
    for test in tests:
        test()
    assert len(tests) == 2


def test_workflow_of_the_how_to_can_be_drawn(tmp_path, monkeypatch):
    (tmp_path / "how_to_flow.py").write_text(block_with("@workflow"))
    monkeypatch.syspath_prepend(tmp_path)

    module = importlib.import_module("how_to_flow")

    assert list(module.count_rows.definition()["tasks"]) == ["read", "count", "shell"]


def test_task_of_the_how_to_stops_when_it_is_cancelled(tmp_path, monkeypatch):
    (tmp_path / "how_to_load.py").write_text(block_with("current = current_task()"))
    monkeypatch.syspath_prepend(tmp_path)
    load = importlib.import_module("how_to_load").load

    with running(make_task()):
        assert load([{}, {}]) == 2
    with running(make_task(is_cancelled=lambda: True)), pytest.raises(InterruptedError, match="stopped after 0 rows"):
        load([{}])
