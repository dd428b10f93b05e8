"""The form that asks for a workflow's inputs, one field for each, made from its JSON Schema.

The form only reads what was typed into a value of the declared type; whether the value will do is decided where it is
decided for every interface, and each problem comes back to its field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.utils.html import escape
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from workflows.definition.values import JsonValue

Schema = Mapping[str, Any]
# A workflow may name its inputs as it likes; the form's own fields may not collide with them.
_PREFIX = "input-"
# Where a problem is, as `Problem.pointer` writes it: the input, then the place inside its value.
_PATH = re.compile(r"(\w*)(.*)", re.DOTALL)


def holds_secret(schema: object) -> bool:
    """Tell whether the values of an input are not to be shown, because its schema is `writeOnly` or a part of it is."""
    if not isinstance(schema, Mapping):
        return False
    members = schema.get("properties")
    parts = [schema.get("items"), *(members.values() if isinstance(members, Mapping) else ())]
    return schema.get("writeOnly") is True or any(map(holds_secret, parts))


def typed_inputs(schemas: Mapping[str, Schema], inputs: Mapping[str, JsonValue]) -> dict[str, str]:
    """Return what somebody would have typed into the form to give these inputs; secret ones are left out."""
    return {
        _PREFIX + name: _written(inputs[name])
        for name, schema in schemas.items()
        if name in inputs and not holds_secret(schema)
    }


class RunForm(forms.Form):
    """Asks for the inputs of a run."""

    def __init__(self, *args: Any, schemas: Mapping[str, Schema], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._schemas = schemas
        self._given: dict[str, JsonValue] = {}
        # What has to be given comes first: the database does not keep the order of the definition.
        for name, schema in sorted(schemas.items(), key=lambda each: "default" in each[1]):
            self.fields[_PREFIX + name] = _field(name, schema)

    def clean(self) -> dict[str, Any]:
        """Read what was typed as values of the declared types; what is left empty is not given."""
        cleaned: dict[str, Any] = super().clean() or {}
        for name, schema in self._schemas.items():
            if text := cleaned.get(_PREFIX + name):
                try:
                    self._given[name] = _read(schema, text)
                except ValueError:
                    self.add_error(_PREFIX + name, f"This is no {_types(schema)}.")
        return cleaned

    def inputs(self) -> dict[str, JsonValue]:
        """Return what was given; a field left empty is not given, so that its default applies."""
        return self._given

    def add_problems(self, problems: Iterable[Mapping[str, Any]]) -> None:
        """Show each problem at the field of its input."""
        for problem in problems:
            name, inside = _PATH.fullmatch(str(problem["path"])).groups()  # type: ignore[union-attr]
            field = _PREFIX + name if _PREFIX + name in self.fields else None
            self.add_error(field, f"{inside.lstrip('.')} {problem['message']}".strip())


def _field(name: str, schema: Schema) -> forms.Field:
    common: dict[str, Any] = {
        "label": str(schema.get("title") or name),
        "required": False,
        "help_text": escape(_help(schema)),  # forms take help texts as HTML
    }
    if "enum" in schema:
        choices = [("", "-"), *((_written(value), _written(value)) for value in schema["enum"])]
        return forms.ChoiceField(choices=choices, widget=UnfoldAdminSelectWidget, **common)
    if schema.get("type") == "boolean":
        choices = [("", "-"), ("true", "true"), ("false", "false")]
        return forms.ChoiceField(choices=choices, widget=UnfoldAdminSelectWidget, **common)
    if schema.get("writeOnly") is True:
        return forms.CharField(widget=UnfoldAdminPasswordWidget(render_value=False), strip=False, **common)
    if _is_text(schema) or schema.get("type") in ("integer", "number"):
        return forms.CharField(widget=UnfoldAdminTextInputWidget, strip=not _is_text(schema), **common)
    return forms.CharField(widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}), **common)


def _help(schema: Schema) -> str:
    description = str(schema.get("description", "")).strip()
    parts = [description if not description or description.endswith((".", "!", "?")) else f"{description}."]
    if "enum" not in schema and not _is_text(schema):
        parts.append(f"As JSON: {_types(schema)}." if _is_json(schema) else f"{_types(schema).capitalize()}.")
    if "default" not in schema:
        parts.append("Required.")
    elif holds_secret(schema):
        parts.append("Has a default.")
    elif schema["default"] == "":
        parts.append("May be empty.")
    else:
        parts.append(f"Empty: {_written(schema['default'])}.")
    return " ".join(filter(None, parts))


def _is_text(schema: Schema) -> bool:
    return schema.get("type") == "string"


def _is_json(schema: Schema) -> bool:
    return schema.get("type") not in ("string", "integer", "number", "boolean")


def _types(schema: Schema) -> str:
    given = schema.get("type", "JSON value")
    return given if isinstance(given, str) else " or ".join(given)


def _read(schema: Schema, text: str) -> JsonValue:
    """Read text as a value of the declared type. Raises `ValueError`."""
    if "enum" in schema:
        return next(value for value in schema["enum"] if _written(value) == text)
    return text if _is_text(schema) else json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _written(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
