"""Pydantic's secrets on their way to JSON."""

import pytest
from pydantic import BaseModel, SecretStr

from maestro.core.user_code.typed_function import NotJson, to_json


class Login(BaseModel):
    """A model with a secret."""

    password: SecretStr


@pytest.mark.parametrize("value", [SecretStr("opensesame"), {"a": [SecretStr("opensesame")]}, Login(password="x")])
def test_secret_is_refused_rather_than_handed_on_as_asterisks(value):
    with pytest.raises(NotJson, match="get_secret_value"):
        to_json(value)


def test_asterisks_of_the_user_are_text():
    assert to_json({"stars": "**********"}) == {"stars": "**********"}
