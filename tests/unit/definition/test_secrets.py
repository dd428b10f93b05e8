"""Secrets among the inputs of a run."""

import pytest

from workflows.definition.input_schema import check_schema
from workflows.definition.secrets import MASK, Secrets, mask_inputs

SECRET = {"type": "string", "writeOnly": True}
NESTED = {
    "type": "object",
    "properties": {"user": {"type": "string"}, "password": SECRET, "keys": {"type": "array", "items": SECRET}},
}


def test_secret_inputs_are_masked_and_others_shown():
    shown = mask_inputs({"password": SECRET, "day": {"type": "string"}}, {"password": "hunter22", "day": "today"})

    assert shown == {"password": MASK, "day": "today"}


def test_secrets_inside_objects_and_lists_are_masked():
    given = {"login": {"user": "ada", "password": "hunter22", "keys": ["a", "b"], "more": 1}}

    assert mask_inputs({"login": NESTED}, given) == {
        "login": {"user": "ada", "password": MASK, "keys": [MASK, MASK], "more": 1}
    }


def test_mask_tells_nothing_about_what_it_hides():
    schema = {"writeOnly": True}

    assert {mask_inputs({"x": schema}, {"x": value})["x"] for value in ("", "long secret", None, 5, (), False)} == {
        MASK
    }


@pytest.mark.parametrize(
    ("secret", "text", "shown"),
    [
        ("hunter22", "password is hunter22, really hunter22.", f"password is {MASK}, really {MASK}."),
        ('a"b\\c', r'{"password": "a\"b\\c"}', f'{{"password": "{MASK}"}}'),
        ('größer"', '{"it": "größer\\""}', f'{{"it": "{MASK}"}}'),
        ("größer", r'"gr\u00f6\u00dfer" größer', f'"{MASK}" {MASK}'),
        ("-----BEGIN-----\nMIIabc\n", "key: MIIabc", f"key: {MASK}"),
        (48151623, "pin 48151623", f"pin {MASK}"),
        ({"user": "adalovelace"}, "adalovelace", MASK),
        ("abc", "abc", "abc"),
        ("", "abc", "abc"),
        (True, "true", "true"),
    ],
)
def test_secret_is_found_in_texts_however_it_is_written(secret, text, shown):
    assert Secrets.of({"x": {"writeOnly": True}}, {"x": secret}).hide_in_text(text) == shown


def test_longer_secret_is_masked_before_one_inside_it():
    secrets = Secrets.of({"a": SECRET, "b": SECRET}, {"a": "hunter", "b": "hunter-and-more"})

    assert secrets.hide_in_text("hunter-and-more hunter") == f"{MASK} {MASK}"


def test_secret_is_hidden_anywhere_in_a_value():
    secrets = Secrets.of({"a": SECRET, "pin": {"writeOnly": True}}, {"a": "hunter22", "pin": 1234})

    assert secrets.hide_in({"x hunter22": ["is hunter22", 1234, 1, None, True]}) == {
        f"x {MASK}": [f"is {MASK}", MASK, 1, None, True]
    }


def test_value_is_left_alone_where_nothing_is_secret():
    value = {"a": [1]}

    assert Secrets.of({"a": {}}, {"a": "public"}).hide_in(value) is value


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"anyOf": [SECRET, {"type": "null"}]}, "inputs.x.anyOf"),
        ({"additionalProperties": SECRET}, "inputs.x.additionalProperties"),
        ({"properties": {"a": {"allOf": [{"properties": {"b": SECRET}}]}}}, "inputs.x.properties.a.allOf"),
        ({"prefixItems": [SECRET]}, "inputs.x.prefixItems"),
    ],
)
def test_mark_that_would_hide_nothing_is_refused(schema, pointer):
    assert [(problem.code, problem.pointer) for problem in check_schema(schema, ("inputs", "x"))] == [
        ("not_allowed", pointer)
    ]


def test_value_that_looks_like_a_mark_is_none():
    schema = {"default": {"writeOnly": True}, "examples": [{"writeOnly": True}], "properties": {"a": NESTED}}

    assert check_schema(schema, ("inputs", "x")) == []
