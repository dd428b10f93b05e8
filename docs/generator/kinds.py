"""The page about executor kinds."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from docs.generator.markdown import Schema, code, fields_table
from executors.base import Executor
from executors.kinds import registry

_PAGE = """# Executor kinds

Written by `make docs` from the modules in `executors/kinds/` and `workflows/parking/`. A task names one of these in `uses` and gives its options in `with`; in the place of any
value of an option an [expression](language.md#expressions) may stand. A running stack lists its kinds, those of other packages too: `maestro kinds`.

{kinds}"""


def page() -> str:
    """Return the page."""
    packages = ("executors.", "workflows.")
    ours = [kind for kind in registry.installed_kinds().values() if type(kind).__module__.startswith(packages)]
    return _PAGE.format(kinds="\n".join("".join(_section(kind)) for kind in ours))


def _section(executor: Executor[Any]) -> Iterator[str]:
    schema = executor.Options.model_json_schema(by_alias=True)
    yield f"## `{executor.kind}`\n\n{executor.summary}\n\n"
    definitions = schema.get("$defs", {})
    yield fields_table(schema, definitions, name="option") or "It has no options.\n"
    for name, paths in _mappings(schema, definitions, ()).items():
        places = " and ".join(code(".".join(path)) for path in paths)
        yield f"\nWithin {places}:\n\n{fields_table(definitions[name], definitions, name='option')}"
    _, _, more = inspect.cleandoc(executor.Options.__doc__ or "").partition("\n")
    if more.strip():
        yield f"\n{more.strip()}\n"


def _mappings(schema: Schema, definitions: Schema, above: tuple[str, ...]) -> dict[str, list[tuple[str, ...]]]:
    """Return the models of options that are mappings with keys of their own, each with the places where it stands."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for key, member in schema.get("properties", {}).items():
        for each in (member, *member.get("anyOf", ())):
            name = each.get("$ref", "").rpartition("/")[2]
            if "properties" in definitions.get(name, {}):
                found.setdefault(name, []).append((*above, key))
                for below, paths in _mappings(definitions[name], definitions, (*above, key)).items():
                    found.setdefault(below, []).extend(paths)
    return found
