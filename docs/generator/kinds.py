"""The page about executor kinds."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from docs.generator.markdown import fields_table
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
    yield fields_table(schema, schema.get("$defs", {}), name="option") or "It has no options.\n"
    _, _, more = inspect.cleandoc(executor.Options.__doc__ or "").partition("\n")
    if more.strip():
        yield f"\n{more.strip()}\n"
