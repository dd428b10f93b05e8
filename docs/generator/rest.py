"""The page about the REST API, from its OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from drf_spectacular.generators import SchemaGenerator

from docs.generator.markdown import Schema, code, fields_table, resolve, table, type_of

_PAGE = """# The REST API

Written by `make docs` from the OpenAPI document, which a running stack serves at `/api/schema/` and shows at `/api/docs/`. Send the header
`Authorization: Bearer KEY`; `maestro up` writes the administrator's key to `.maestro/api-key`. Bodies are JSON.

```sh
curl --fail --silent --header "Authorization: Bearer $(cat .maestro/api-key)" http://127.0.0.1:3000/api/v1/workflows
```

A refused call answers [a problem](#problem) as `application/problem+json`; [error codes](error-codes.md) lists what its `code` may be. Any call may
answer 400, 401, 403 or 503; other refusals are named with each.

## Operations

{operations}
## What is sent and answered

{objects}"""
# What drf-spectacular makes of the values of an enumeration, which the type already names.
_LISTED = re.compile(r"\s*^\* `.*", re.DOTALL | re.MULTILINE)
_ALWAYS = {"400", "401", "403", "503"}


def page() -> str:
    """Return the page."""
    document = SchemaGenerator().get_schema(request=None, public=True)
    schemas = document["components"]["schemas"]
    operations = [
        "".join(_operation(method, path, operation, schemas))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    objects = [
        "".join(_object(name, schema, schemas)) for name, schema in sorted(schemas.items()) if schema.get("properties")
    ]
    return _PAGE.format(operations="\n".join(operations), objects="\n".join(objects))


def _operation(method: str, path: str, operation: Mapping[str, Any], schemas: Schema) -> Iterator[str]:
    yield f"### `{method.upper()} {path}`\n\n{operation.get('description', '').strip()}\n\n"
    if parameters := _parameters(operation, schemas):
        yield f"{parameters}\n"
    for content, body in operation.get("requestBody", {}).get("content", {}).items():
        yield f"- Body, `{content}`: {_named(body['schema'], schemas)}\n"
    refusals = []
    for status, response in sorted(operation["responses"].items()):
        if int(status) >= 400:
            refusals += [status] if status not in _ALWAYS else []
            continue
        answers = [_named(each["schema"], schemas) for each in response.get("content", {}).values() if "schema" in each]
        yield f"- Answers {status}: {' or '.join(dict.fromkeys(answers)) or 'nothing'}\n"
    if refusals:
        yield f"- Refuses with {', '.join(refusals)}\n"


def _parameters(operation: Mapping[str, Any], schemas: Schema) -> str:
    return table(
        ("parameter", "in", "type", "meaning"),
        (
            (
                code(parameter["name"]),
                parameter["in"],
                type_of(parameter["schema"], schemas),
                parameter.get("description", ""),
            )
            for parameter in operation.get("parameters", ())
        ),
    )


def _object(name: str, schema: Schema, schemas: Schema) -> Iterator[str]:
    described = schema.get("description", "").strip() or f"A page of a list of {name.removesuffix('Page')}."
    yield f"### {name}\n\n{described}\n\n"
    if name.endswith("Request"):
        told = {
            member: {**each, "description": _LISTED.sub("", each.get("description", ""))}
            for member, each in schema["properties"].items()
        }
        yield fields_table({**schema, "properties": told}, schemas, name="member")
        return
    yield table(
        ("member", "type", "meaning"),
        (
            (code(member), _named(each, schemas), _LISTED.sub("", resolve(each, schemas).get("description", "")))
            for member, each in schema["properties"].items()
        ),
    )


def _named(schema: Schema, schemas: Schema) -> str:
    """Return the type of what is answered in words, with links to objects."""
    if "$ref" in schema and resolve(schema, schemas).get("properties"):
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if isinstance(schema.get("items"), dict) and "$ref" in schema["items"]:
        return f"list of {_named(schema['items'], schemas)}"
    alternatives = schema.get("anyOf") or schema.get("oneOf") or ()
    is_nullable = "null" in schema.get("type", ()) or {"type": "null"} in alternatives
    return type_of(schema, schemas) + (" or null" if is_nullable else "")
