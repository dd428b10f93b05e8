"""What the CEL runtime says, in plain words: it writes for people who know its C++ sources, not for our users."""

from __future__ import annotations

import re

from workflows.definition.problems import suggestion

_STATUS = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")
_COMPILE_ERROR = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): ([^\n]*)")
_UNKNOWN_NAME = re.compile(r"undeclared reference to '([^']*)'")
_UNEXPECTED = re.compile(
    r"Syntax error: (?:mismatched|extraneous|no viable alternative at) input '(.*?)'(?: expecting .*)?"
)
_BAD_TOKEN = re.compile(r"Syntax error: token recognition error at: '(.*)'")
_MISSING_TOKEN = re.compile(r"Syntax error: missing '(.*?)' at '(.*)'")
_NO_OVERLOAD = re.compile(r"found no matching overload for '(.*?)' applied to '(.*)\((.*)\)'")
_NO_OVERLOAD_AT_RUN = re.compile(
    r"No matching overloads found : (?:\((?P<receiver>[\w<>, ]+)\)\.)?(?P<name>[^(]+)(?:\((?P<types>.*)\))?"
)
_NO_KEY = re.compile(r"Key not found in map : (.*)")
_INDEX = re.compile(r"Index error: index=(-?\d+) size=(\d+)")

_LONGEST = 300
_TOO_NESTED = "it nests more than 32 levels deep; do part of the work in a task"
_OPERATORS = {"_[_]": "[ ]", "_?_:_": "? :"}
_TYPES = {
    "bool": "true or false",
    "bytes": "bytes",
    "double": "a decimal number",
    "dyn": "any value",
    "int": "a whole number",
    "int64": "a whole number",
    "list": "a list",
    "map": "a mapping",
    "null": "null",
    "null_type": "null",
    "string": "text",
    "uint": "an unsigned number",
    "uint64": "an unsigned number",
}
_NEEDED = {
    "<jump_condition>": "what stands before `?` must be true or false",
    "<iter_range>": "macros such as map, filter, all and exists need a list or a mapping",
    "_&&_": "`&&` needs true or false on both sides",
    "_||_": "`||` needs true or false on both sides",
    "@in": "`in` needs a list or a mapping on its right",
    "!_": "`!` needs true or false",
}
_FIXED = (
    ("Iteration budget exceeded", "it goes through more than 10,000 items; do that work in a task"),
    ("Applying SELECT to non-message type", "it reads a member of something that is not a mapping"),
    ("Index error: expected integer type", "it picks an item of a list by something that is not a whole number"),
    ("out of range for", "it reads a value that holds a whole number beyond 64 bits"),
    ("recursion", _TOO_NESTED),
)


def explain_compilation(message: str, expression: str, variables: tuple[str, ...]) -> str:
    """Return why an expression cannot be compiled, and where in it."""
    found = _COMPILE_ERROR.search(message)
    if found is None or "recursion" in found[3]:
        return explain_evaluation(message)
    reason = _compile_reason(_STATUS.sub("", found[3]), expression, variables)
    return f"{_shorten(reason)} (character {found[2]} of the expression)"


def explain_evaluation(message: str) -> str:
    """Return why an expression gave no value."""
    plain = _STATUS.sub("", _STATUS.sub("", message.strip()))
    for marker, words in _FIXED:
        if marker in plain:
            return words
    if found := _NO_KEY.fullmatch(plain):
        return f"there is no {_shorten(found[1])}"
    if found := _INDEX.fullmatch(plain):
        return f"there is no item {found[1]} in a list of {found[2]}"
    if found := _NO_OVERLOAD_AT_RUN.fullmatch(plain):
        types = [part for part in (found["receiver"], *(found["types"] or "").split(", ")) if part]
        return _wrong_operands(found["name"], types)
    return _shorten(plain)


def _compile_reason(message: str, expression: str, variables: tuple[str, ...]) -> str:
    if found := _UNKNOWN_NAME.search(message):
        return _unknown_name(found[1], expression, variables)
    if found := _NO_OVERLOAD.fullmatch(message):
        return _wrong_operands(found[1], [part for part in (found[2], *found[3].split(", ")) if part])
    if found := _MISSING_TOKEN.fullmatch(message):
        return f"`{found[1]}` is missing"
    if found := _UNEXPECTED.fullmatch(message):
        return "it ends too early" if found[1].endswith("<EOF>") else f"`{found[1]}` is unexpected here"
    if found := _BAD_TOKEN.fullmatch(message):
        return f"`{found[1]}` is unexpected here"
    return message


def _unknown_name(name: str, expression: str, variables: tuple[str, ...]) -> str:
    if re.search(rf"\b{re.escape(name)}\s*\(", expression):
        return f"there is no function `{name}` for these arguments"
    root = name.split(".", maxsplit=1)[0]
    known = ", ".join(variables)
    return f"`{root}` is not known; an expression can use {known}{suggestion(root, variables)}"


def _wrong_operands(name: str, types: list[str]) -> str:
    if name in _NEEDED:
        return _NEEDED[name]
    symbol = _OPERATORS.get(name, name.replace("_", "") if name.startswith(("_", "-_")) else name)
    words = [_TYPES.get(part.split("(")[0].split("<")[0], part) for part in types]
    reason = f"`{symbol}` does not work on {' and '.join(words) or 'these values'}"
    is_mixed = {"a whole number", "a decimal number"} <= set(words) or ("text" in words and len(set(words)) > 1)
    return f"{reason}; convert one with int(), double() or string()" if is_mixed else reason


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
