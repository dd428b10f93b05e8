"""signal, signals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.builders import RUN_ID, START
from tests.unit.cli.conftest import Maestro
from tests.unit.client.fake_api import FakeApi, problem

PATH = f"/workflow-runs/{RUN_ID}/signals"
SENT = {
    "id": None,
    "run": RUN_ID,
    "name": "payment",
    "payload": None,
    "sent_by": "ann@example.org",
    "received_at": START,
    "taken_by": "paid",
    "taken_at": START,
}


def test_signal_is_sent_and_who_took_it_is_told(api: FakeApi, maestro: Maestro):
    api.on("POST", PATH, SENT, status=201)

    result = maestro("signal", RUN_ID, "payment", "--payload", '{"amount": 3}', "--id", "order-7")

    assert result.stdout == f"Sent the signal payment to run {RUN_ID}. Task paid took it.\n"
    assert api.requests[-1].document == {"name": "payment", "payload": {"amount": 3}, "id": "order-7"}


def test_signal_that_came_early_says_so(api: FakeApi, maestro: Maestro):
    api.on("POST", PATH, SENT | {"taken_by": None, "taken_at": None}, status=201)

    result = maestro("signal", RUN_ID, "payment")

    assert result.stdout == f"Sent the signal payment to run {RUN_ID}. No task waits for it yet.\n"
    assert api.requests[-1].document == {"name": "payment", "payload": None}


@pytest.mark.parametrize(("given", "stdin"), [("@p.json", None), ("@p.yaml", None), ("@-", '{"amount": 3}')])
def test_payload_is_read_from_files_and_standard_input(
    api: FakeApi, maestro: Maestro, directory: Path, given: str, stdin: str | None
):
    api.on("POST", PATH, SENT, status=201)
    (directory / "p.json").write_text('{"amount": 3}')
    (directory / "p.yaml").write_text("amount: 3\n")

    result = maestro("signal", RUN_ID, "payment", "--payload", given, "--json", stdin=stdin)

    assert json.loads(result.stdout) == SENT
    assert api.requests[-1].document["payload"] == {"amount": 3}


@pytest.mark.parametrize(
    ("given", "exit_code", "said"),
    [
        ("ok", 2, "--payload needs JSON, for example '{\"amount\": 3}'; a text has quotes of its own: '\"ok\"'."),
        ("NaN", 2, "--payload needs JSON"),
        ("1e999", 1, "--payload: is not a finite number; JSON has no NaN and no infinity"),
        ("@none.json", 1, "There is no file none.json."),
        ("@bad.yaml", 1, "1 problem in bad.yaml. Nothing was sent."),
    ],
)
def test_payload_that_cannot_be_read_sends_nothing(
    api: FakeApi, maestro: Maestro, directory: Path, given: str, exit_code: int, said: str
):
    (directory / "bad.yaml").write_text("{a: [")

    result = maestro("signal", RUN_ID, "payment", "--payload", given)

    assert result.exit_code == exit_code, result.output
    assert said in result.stderr
    assert not api.requests


def test_refusal_lists_what_is_wrong_with_the_payload(api: FakeApi, maestro: Maestro):
    errors = [
        {"path": "payload", "code": "missing_key", "message": "lacks the key amount", "line": None, "column": None},
        {"path": "payload.currency", "code": "wrong_type", "message": "must be text", "line": None, "column": None},
    ]
    api.on_turns("POST", PATH, problem(422, "payload_invalid", "The payload has 2 problems.", errors=errors))

    result = maestro("signal", RUN_ID, "payment", "--payload", "{}")

    assert result.exit_code == 1
    assert "payload: lacks the key amount [missing_key]\n" in result.stderr
    assert "2 problems; nothing was done." in result.stderr


def test_signals_of_a_run_are_listed_with_who_sent_and_who_took_them(api: FakeApi, maestro: Maestro):
    early = SENT | {"payload": {"amount": 3}, "sent_by": None, "taken_by": None, "taken_at": None}
    api.on_list(PATH, [SENT, early])

    assert maestro("signals", RUN_ID).stdout.splitlines() == [
        "SIGNAL   RECEIVED              BY               TAKEN BY  PAYLOAD",
        "payment  2026-01-02 03:04:05Z  ann@example.org  paid      null",
        'payment  2026-01-02 03:04:05Z                             {"amount": 3}',
    ]
    assert json.loads(maestro("signals", RUN_ID, "--json").stdout) == [SENT, early]


def test_run_without_signals_says_so(api: FakeApi, maestro: Maestro):
    api.on_list(PATH, [])

    assert maestro("signals", RUN_ID).stderr == "No signal was sent to that run.\n"
