"""What pydantic finds, in our words."""

import datetime
import typing
import uuid
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, HttpUrl, ValidationError, field_validator
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import ErrorType

from workflows.definition.model_problems import _CONSTRAINTS, _EXPECTED_TYPES, read_errors, told_as


class Cat(BaseModel):
    """One alternative of a tagged union."""

    pet: Literal["cat"]
    lives: int


class Dog(BaseModel):
    """The other."""

    pet: Literal["dog"]


class Everything(BaseModel):
    """A field of each sort."""

    model_config = ConfigDict(extra="forbid")

    text: str = ""
    number: float = Field(default=0, gt=0, multiple_of=0.5)
    flag: bool = False
    many: list[int] = Field(default=[], min_length=2, max_length=3)
    mapping: dict[str, int] = {}
    day: datetime.date | None = None
    at: datetime.datetime | None = None
    id: uuid.UUID | None = None
    url: HttpUrl | None = None
    pet: Cat | Dog | None = Field(default=None, discriminator="pet")
    either: int | dict[str, int] = 0
    own: str = ""
    custom: str = ""
    odd: datetime.timedelta | None = None

    @field_validator("own")
    @classmethod
    def _check_own(cls, value: str) -> str:
        if value == "bad":
            raise ValueError("must not be bad")
        return value

    @field_validator("custom")
    @classmethod
    def _check_custom(cls, value: str) -> str:
        if value == "bad":
            raise PydanticCustomError("my_code", "must be {wish}", {"wish": "better"})
        return value


def findings(value):
    with pytest.raises(ValidationError) as caught:
        Everything.model_validate(value)
    return list(read_errors(caught.value, value, prefix=("with",)))


@pytest.mark.parametrize(
    ("value", "code", "pointer", "message"),
    [
        ({"text": 1}, "wrong_type", "with.text", "must be text, not a whole number"),
        ({"number": "x"}, "wrong_type", "with.number", "must be a number, not text"),
        ({"number": 0}, "out_of_range", "with.number", "must be greater than 0.0"),
        ({"number": 0.7}, "out_of_range", "with.number", "must be a multiple of 0.5"),
        ({"flag": "perhaps"}, "wrong_type", "with.flag", "must be true or false, not text"),
        ({"many": {}}, "wrong_type", "with.many", "must be a list, not a mapping"),
        ({"many": [1]}, "too_short", "with.many", "must have at least 2 entries; it has 1"),
        ({"many": [1, 2, 3, 4]}, "too_long", "with.many", "must have at most 3 entries; it has 4"),
        ({"many": [1, "x"]}, "wrong_type", "with.many[1]", "must be a whole number, not text"),
        ({"mapping": []}, "wrong_type", "with.mapping", "must be a mapping, not a list"),
        ({"mapping": {"a": None}}, "wrong_type", "with.mapping.a", "must be a whole number, not null"),
        ({"id": "x"}, "wrong_type", "with.id", "must be a UUID, not text"),
        ({"url": "x"}, "wrong_type", "with.url", "must be a URL, not text"),
        ({"pet": {"pet": "cow"}}, "not_allowed", "with.pet", "must have one of 'cat', 'dog' as its 'pet'"),
        ({"pet": {}}, "not_allowed", "with.pet", "must have the key 'pet'"),
        ({"pet": {"pet": "cat"}}, "missing_key", "with.pet.lives", "is required"),
        ({"own": "bad"}, "invalid_value", "with.own", "must not be bad"),
        ({"custom": "bad"}, "my_code", "with.custom", "must be better"),
        ({"extra": 1}, "unknown_key", "with.extra", "is not a known key"),
        ({"day": "x"}, "invalid_value", "with.day", "is not a valid value (date from datetime parsing)"),
        ([], "wrong_type", "with", "must be a mapping, not a list"),
    ],
)
def test_error_is_told_in_our_words(value, code, pointer, message):
    (finding,) = findings(value)

    assert (finding.problem.code, finding.problem.pointer, finding.problem.message) == (code, pointer, message)


def test_alternatives_are_kept_apart_from_the_path():
    found = findings({"either": {"a": "x"}})

    assert {(finding.problem.pointer, finding.union, finding.alternative) for finding in found} == {
        ("with.either", ("either",), "int"),
        ("with.either.a", ("either",), "dict[str,int]"),
    }


def test_offending_value_is_told():
    (finding,) = findings({"many": [1, "${{ x }}"]})

    assert finding.offending == "${{ x }}"


def test_tables_name_only_errors_pydantic_has():
    assert set(_EXPECTED_TYPES) | set(_CONSTRAINTS) <= set(typing.get_args(ErrorType))


def test_type_may_say_in_its_own_words_what_it_takes():
    class Model(BaseModel):
        at: Annotated[int, Field(gt=3), told_as("must be a number of days above 3")]

    with pytest.raises(ValidationError) as raised:
        Model.model_validate({"at": "soon"})

    [finding] = read_errors(raised.value, {"at": "soon"})
    assert (finding.problem.pointer, finding.problem.message) == ("at", "must be a number of days above 3")
