import pytest
from pydantic import Field

from executors.base import JsonValue, Options
from executors.runtime.options import InvalidOptions, parse_options


class SampleOptions(Options):
    name: str
    ratio: float = 1.0
    limit: int | str = 1
    env: dict[str, str] = Field(default_factory=dict)
    rows: list[int] = Field(default_factory=list)
    anything: JsonValue = None


def problems(raw):
    with pytest.raises(InvalidOptions) as caught:
        parse_options(SampleOptions, raw)
    return str(caught.value)


def test_options_are_parsed():
    options = parse_options(SampleOptions, {"name": "a", "ratio": 2, "rows": [1], "anything": {"x": [None]}})

    assert (options.name, options.ratio, options.rows, options.anything) == ("a", 2.0, [1], {"x": [None]})


def test_every_wrong_option_is_named():
    message = problems({"ratio": "2", "nmae": "x"})

    assert message == (
        "with.name: is required; with.ratio: Input should be a valid number; with.nmae: there is no such option"
    )


def test_path_leads_into_lists_and_objects():
    message = problems({"name": "a", "env": {"TOP": 5}, "rows": [1, "2"]})

    assert message == "with.env.TOP: Input should be a valid string; with.rows[1]: Input should be a valid integer"


def test_members_of_a_union_are_one_problem():
    message = problems({"name": "a", "limit": 1.5})

    assert message == "with.limit: Input should be a valid integer or Input should be a valid string"


@pytest.mark.parametrize("value", [1, True, None])
def test_types_are_strict(value):
    assert problems({"name": value}) == "with.name: Input should be a valid string"
