"""Whether output has colours."""

from __future__ import annotations

import pytest

from maestro.cli.colours import wants_colours


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"TERM": "xterm"}, None),
        ({"TERM": "dumb"}, False),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, None),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True),
        ({"CLICOLOR_FORCE": "1"}, True),
        ({"FORCE_COLOR": "0"}, None),
    ],
)
def test_environment_decides_before_the_terminal(environment: dict[str, str], expected: bool | None):
    assert wants_colours(environment) is expected
