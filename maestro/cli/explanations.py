"""What the client's errors and the server's problems mean, told to a person. How a failure is printed: `failures`."""

from __future__ import annotations

import dataclasses
import http
from collections.abc import Sequence
from typing import Any

from maestro.cli import text
from maestro.cli.configuration import Connection, is_loopback
from maestro.cli.failures import Failure
from maestro.client import ApiError, ClientError, Problem, ServerUnreachable, UnexpectedAnswer


def explain(error: ClientError, connection: Connection) -> Failure:
    """Return the failure that tells a person about an error of the client."""
    if isinstance(error, ApiError):
        return _explain_refusal(error, connection)
    url = text.one_line(connection.url)
    if isinstance(error, ServerUnreachable):
        remedy = (
            "Start it with `maestro up` (or `make up`), or say where it listens by --url, --profile or MAESTRO_URL."
            if is_loopback(connection.url)
            else "Is it up, and can this machine reach it?"
        )
        return Failure(
            f"No answer from Maestro at {url} (from {text.one_line(connection.url_source)}): "
            f"{text.one_line(error.reason)}. {remedy}",
            code="server_unreachable",
        )
    if isinstance(error, UnexpectedAnswer):
        return Failure(
            f"What answers at {url} (from {text.one_line(connection.url_source)}) does not speak Maestro's API: "
            f"{text.one_line(error.reason)}. Is it another program, or another version? Set MAESTRO_URL to where "
            "Maestro listens.",
            code="unexpected_answer",
        )
    return Failure(text.one_line(error), code="invalid_connection")


def explain_problems(problems: Sequence[Problem], *, source: str, outcome: str, code: str) -> Failure:
    """Return the failure that lists what is wrong with a document, each problem where an editor finds it."""
    summary = f"{text.count(len(problems), 'problem')} in {text.one_line(source)}. {outcome}"
    lines = [problem_line(problem, source) for problem in problems]
    return Failure(summary.strip(), lines=lines, code=code, details=_details(problems))


def problem_line(problem: Problem, source: str) -> str:
    """Return `file.yaml:12:5: tasks.clean.needs[0]: message [code]`, without the parts that are not known."""
    place = text.one_line(source)
    if problem.line is not None:
        place += f":{problem.line}"
        place += f":{problem.column}" if problem.column is not None else ""
    path = f"{text.one_line(problem.path)}: " if problem.path else ""
    code = f" [{text.one_line(problem.code)}]" if problem.code else ""
    return f"{place}: {path}{text.one_line(problem.message)}{code}"


def is_not_found(error: ClientError) -> bool:
    """Tell whether the API says that what was named does not exist."""
    return isinstance(error, ApiError) and error.status == http.HTTPStatus.NOT_FOUND


def _explain_refusal(error: ApiError, connection: Connection) -> Failure:
    said = text.one_line(error.detail or error.title)
    request = f" (request {text.one_line(error.request_id)})" if error.request_id else ""
    lines: list[str] = []
    if error.status == http.HTTPStatus.UNAUTHORIZED:
        paragraph = (
            f"Maestro at {text.one_line(connection.url)} does not accept the API key from {connection.key_source}. "
            "Without a profile the key is looked for in MAESTRO_API_KEY, then in the file api-key of the home (--home, "
            "MAESTRO_HOME, or .maestro here or above); `maestro up` writes it for its own server."
        )
    elif len(error.problems) > 1:
        lines = [problem_line(problem, "").removeprefix(": ") for problem in error.problems]
        done = "no run was started" if error.code == "inputs_invalid" else "nothing was done"
        paragraph = f"{text.count(len(lines), 'problem')}; {done}."
    elif error.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        paragraph = (
            f"Maestro at {text.one_line(connection.url)} could not do it: {said} "
            f"(HTTP {error.status}){request}. Its log says more; trying again later may help."
        )
    else:
        paragraph = f"{said}{request if error.status != http.HTTPStatus.NOT_FOUND else ''}"
    details = {"http_status": error.status, "request_id": error.request_id, **_details(error.problems)}
    return Failure(paragraph, lines=lines, code=error.code, details=details)


def _details(problems: Sequence[Problem]) -> dict[str, Any]:
    return {"problems": [dataclasses.asdict(problem) for problem in problems]} if problems else {}
