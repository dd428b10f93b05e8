"""`maestro signal` and `signals`: send a signal to a run, and see what was sent to it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from maestro.cli.options import Name, RunId, connected, json_option

if TYPE_CHECKING:
    from maestro.client import Client


@click.command("signal")
@click.argument("run_id", metavar="RUN", type=RunId())
@click.argument("name", metavar="NAME", type=Name("Name a signal that a task of the run waits for."))
@click.option(
    "--payload",
    metavar="JSON",
    help="What the signal carries, as JSON: the output of the task that takes it. @FILE reads a file, @- standard "
    "input.  [default: null]",
)
@click.option(
    "--id",
    "signal_id",
    metavar="ID",
    help="Your own id of the signal: sent again with the same one, it is the same signal.",
)
@json_option
@connected
def signal_command(
    client: Client, run_id: str, name: str, payload: str | None, signal_id: str | None, as_json: bool
) -> None:
    """Send the signal NAME to a run. A task that waits for it, now or later, goes on.

    \b
    maestro signal RUN payment --payload '{"amount": 3}'
    maestro signal RUN payment --payload @payment.json --id order-7
    """
    from maestro.cli import documents, output, text

    value = None if payload is None else documents.read_payload(payload)
    signal = client.runs.send_signal(run_id, name, value, signal_id=signal_id)
    if as_json:
        output.print_json(signal.to_json())
        return
    taken = f"Task {text.one_line(signal.taken_by)} took it." if signal.taken_by else "No task waits for it yet."
    click.echo(f"Sent the signal {text.one_line(signal.name)} to run {run_id}. {taken}")


@click.command("signals")
@click.argument("run_id", metavar="RUN", type=RunId())
@json_option
@connected
def signals_command(client: Client, run_id: str, as_json: bool) -> None:
    """List the signals that were sent to a run, the oldest first, and which task took each."""
    from maestro.cli import output, text

    signals = list(client.runs.iterate_signals(run_id))
    if as_json:
        output.print_json([signal.to_json() for signal in signals])
        return
    if not signals:
        click.echo("No signal was sent to that run.", err=True)
        return
    output.print_table(
        ("signal", "received", "by", "taken by", "payload"),
        (
            (
                text.one_line(signal.name),
                text.timestamp(signal.received_at),
                text.one_line(signal.sent_by or ""),
                text.one_line(signal.taken_by or ""),
                text.one_line(json.dumps(signal.payload, ensure_ascii=False)),
            )
            for signal in signals
        ),
    )
