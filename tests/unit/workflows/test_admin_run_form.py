import pytest

from workflows.admin.run_form import RunForm, typed_inputs


def form(schemas, **typed):
    return RunForm({f"input-{name}": text for name, text in typed.items()}, schemas=schemas)


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "string"}, "42", "42"),
        ({"type": "string"}, " a ", " a "),
        ({"type": "integer"}, " 42 ", 42),
        ({"type": "number"}, "1.5", 1.5),
        ({"type": "boolean"}, "false", False),
        ({"type": "array"}, '["a", 1]', ["a", 1]),
        ({"type": ["string", "null"]}, "null", None),
        ({}, '{"a": 1}', {"a": 1}),
        ({"enum": [1, "1"]}, "1", 1),
        ({"enum": ["fast", None]}, "null", None),
    ],
)
def test_text_is_read_as_the_declared_type(schema, text, value):
    filled = form({"x": schema}, x=text)

    assert filled.is_valid()
    assert filled.inputs() == {"x": value}


@pytest.mark.parametrize(
    ("schema", "text", "message"),
    [
        ({"type": "integer"}, "many", "This is no integer."),
        ({"type": "number"}, "NaN", "This is no number."),
        ({"type": ["array", "object"]}, "[", "This is no array or object."),
    ],
)
def test_text_that_is_no_value_of_the_type_is_refused_at_its_field(schema, text, message):
    filled = form({"x": schema}, x=text)

    assert not filled.is_valid()
    assert filled.errors == {"input-x": [message]}


def test_empty_field_is_not_given_so_that_its_default_applies():
    filled = form({"x": {"type": "string", "default": "d"}, "y": {"type": "boolean"}}, x="", y="true")

    assert filled.is_valid()
    assert filled.inputs() == {"y": True}


def test_null_that_was_typed_is_given():
    filled = form({"x": {"type": ["string", "null"], "default": "d"}}, x="null")

    assert filled.is_valid()
    assert filled.inputs() == {"x": None}


def test_problem_is_shown_at_the_field_of_its_input_with_the_place_inside():
    filled = form({"x": {"type": "array"}}, x="[1]")
    filled.is_valid()

    filled.add_problems([{"path": "x[0]", "message": "is wrong"}, {"path": "", "message": "too large"}])

    assert filled.errors == {"input-x": ["[0] is wrong"], "__all__": ["too large"]}


def test_secret_input_is_never_sent_back_to_the_page():
    filled = form(
        {"x": {"type": "string", "writeOnly": True, "default": "hush"}, "y": {"type": "integer"}}, x="s3cret", y="z"
    )

    page = str(filled)

    assert "s3cret" not in page
    assert "hush" not in page
    assert 'type="password"' in page


def test_inputs_of_an_earlier_run_are_typed_again_but_for_secret_ones():
    schemas = {
        "n": {"type": "integer"},
        "who": {"type": "string"},
        "list": {"type": "array"},
        "key": {"type": "string", "writeOnly": True},
        "inside": {"properties": {"keys": {"items": {"writeOnly": True}}}},
        "new": {"type": "string"},
    }
    inputs = {"n": 1, "who": "1", "list": ["a"], "key": "s3cret", "inside": {"keys": ["s3cret"]}, "gone": 1}

    typed = typed_inputs(schemas, inputs)

    assert typed == {"input-n": "1", "input-who": "1", "input-list": '["a"]'}
    again = RunForm(typed, schemas=schemas)
    assert again.is_valid()
    assert again.inputs() == {"n": 1, "who": "1", "list": ["a"]}


def test_what_has_to_be_given_is_asked_first():
    schemas = {"b": {"type": "string", "default": ""}, "a": {"type": "string"}, "c": {"type": "string"}}

    form = RunForm(schemas=schemas)

    assert list(form.fields) == ["input-a", "input-c", "input-b"]
    assert form.fields["input-b"].help_text == "May be empty."
