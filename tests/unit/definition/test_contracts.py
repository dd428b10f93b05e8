import pytest

from workflows.definition.contracts import find_breach

SCHEMA = {
    "type": "object",
    "required": ["rows"],
    "properties": {"rows": {"type": "integer", "minimum": 1}, "names": {"items": {"type": "string"}}},
}


@pytest.mark.parametrize("output", [{"rows": 1}, {"rows": 2, "names": ["a"], "more": None}])
def test_output_that_keeps_to_its_contract_breaks_nothing(output):
    assert find_breach(SCHEMA, output) is None


def test_task_without_a_contract_may_return_anything():
    assert find_breach(None, object()) is None


@pytest.mark.parametrize(
    ("output", "breach"),
    [
        (None, "output: must be a mapping, not null"),
        ({}, 'output: needs the key "rows"'),
        (
            {"rows": 0, "names": [1]},
            "output.rows: must be at least 1; output.names[0]: must be text, not a whole number",
        ),
    ],
)
def test_every_breach_is_told_with_its_path(output, breach):
    assert find_breach(SCHEMA, output) == breach
