"""Retries, pages, refusals and everything else that is not an answer."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from maestro.client import ApiError, Problem, ServerUnreachable, UnexpectedAnswer
from maestro.client.representations import Run
from maestro.client.transport import RETRY_DELAYS_SECONDS, Transport
from tests.unit.client.fake_api import KEY, FakeApi, Reply, problem

UNAVAILABLE = Reply(body=b"<html>bad gateway</html>", status=503, content_type="text/html")


class Sleeps(list[float]):
    """Remembers how long it was asked to sleep, and does not."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def sleeps() -> Sleeps:
    return Sleeps()


@pytest.fixture
def transport(api: FakeApi, sleeps: Sleeps) -> Transport:
    return Transport(api.url, KEY, timeout=60, sleep=sleeps)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_reading_is_tried_again_while_the_server_is_unavailable(api: FakeApi, transport: Transport, sleeps: Sleeps):
    api.on_turns("GET", "/kinds", UNAVAILABLE, UNAVAILABLE, Reply(body={"ok": True}))

    answer = transport.get("/kinds")

    assert answer.body == {"ok": True}
    assert tuple(sleeps) == RETRY_DELAYS_SECONDS


def test_reading_gives_up_after_the_last_retry(api: FakeApi, transport: Transport):
    api.on_turns("GET", "/kinds", UNAVAILABLE)

    with pytest.raises(ApiError) as caught:
        transport.get("/kinds")

    assert (caught.value.status, caught.value.is_temporary) == (503, True)
    assert len(api.requests) == 1 + len(RETRY_DELAYS_SECONDS)


def test_reading_is_not_tried_again_after_a_refusal(api: FakeApi, transport: Transport, sleeps: Sleeps):
    api.on_turns("GET", "/kinds", problem(409, "conflict", "No."))

    with pytest.raises(ApiError, match=r"409 conflict: No\."):
        transport.get("/kinds")

    assert (len(api.requests), sleeps) == (1, [])


def test_what_changes_something_is_sent_once(api: FakeApi, transport: Transport):
    api.on_turns("POST", "/workflows", UNAVAILABLE)

    with pytest.raises(ApiError):
        transport.post("/workflows", {})

    assert len(api.requests) == 1


def test_absent_server_is_named_with_what_to_do(sleeps: Sleeps):
    url = f"http://127.0.0.1:{free_port()}"

    with pytest.raises(ServerUnreachable) as caught:
        Transport(url, KEY, timeout=60, sleep=sleeps).get("/kinds")

    assert str(caught.value) == (
        f"No answer from Maestro at {url}: connection refused. Start it with `maestro up`, "
        "or set MAESTRO_URL to where it listens."
    )
    assert KEY not in str(caught.value)
    assert tuple(sleeps) == RETRY_DELAYS_SECONDS


def test_problem_document_becomes_an_error_with_all_its_parts(api: FakeApi, transport: Transport):
    errors = [{"path": "tasks.a", "code": "cycle", "message": "a → b → a", "line": 4, "column": 2}, "odd"]
    api.on_turns("POST", "/workflows", problem(422, "definition_invalid", "It has problems.", errors=errors))

    with pytest.raises(ApiError) as caught:
        transport.post_yaml("/workflows", "tasks: {}")

    error = caught.value
    assert (error.status, error.code, error.title) == (422, "definition_invalid", "definition_invalid")
    assert (error.detail, error.request_id) == ("It has problems.", "req-1")
    assert error.problems == (
        Problem(path="tasks.a", code="cycle", message="a → b → a", line=4, column=2),
        Problem(message="odd"),
    )


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"<html>hello</html>", content_type="text/html"),
        Reply(body=b"<html>no such page</html>", status=404, content_type="text/html"),
        Reply(body=b"[" * 100_000),
        Reply(body=b"", status=204),
        Reply(body=b"", status=302, location="http://elsewhere.example/"),
    ],
    ids=["html", "html-404", "too-deep", "empty", "redirect"],
)
def test_another_program_on_the_port_is_recognised(api: FakeApi, transport: Transport, reply: Reply):
    api.on_turns("GET", "/kinds", reply)

    with pytest.raises(UnexpectedAnswer, match="did not answer as Maestro's API does"):
        transport.get("/kinds")


@pytest.mark.parametrize("body", [{"id": "r1"}, [], "text", None])
def test_answer_without_what_a_run_must_have_is_unexpected(api: FakeApi, transport: Transport, body: object):
    api.on("GET", "/workflow-runs/r1", body)

    with pytest.raises(UnexpectedAnswer, match="Run "):
        transport.get("/workflow-runs/r1").parse(Run)


def test_list_that_is_none_is_unexpected(api: FakeApi, transport: Transport):
    api.on("GET", "/workflow-runs", {"results": "none"})

    with pytest.raises(UnexpectedAnswer, match="a list was expected"):
        transport.get_page("/workflow-runs", Run)


def test_credentials_of_netrc_do_not_replace_the_key(
    api: FakeApi, transport: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    transport._session.trust_env = True
    api.on("GET", "/kinds", {})

    transport.get("/kinds")

    assert api.requests[0].authorization == f"Bearer {KEY}"


def test_proxy_of_the_environment_is_not_used_for_this_machine(api: FakeApi, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    api.on("GET", "/kinds", {"ok": True})

    assert Transport(api.url, KEY, timeout=60, sleep=Sleeps()).get("/kinds").body == {"ok": True}
