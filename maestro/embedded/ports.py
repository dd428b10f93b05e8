"""Which local ports are free, and which ones a stack uses."""

from __future__ import annotations

import contextlib
import socket

from maestro.embedded.errors import PortTaken
from maestro.embedded.record import Ports

HOST = "127.0.0.1"


def is_free(port: int) -> bool:
    """Tell whether this process could listen on the port now."""
    with socket.socket() as probe:
        # Like servers do: connections that are merely closing (TIME_WAIT) do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def find_free(count: int) -> list[int]:
    """Return as many different free ports, chosen by the kernel."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((HOST, 0))
        return [probe.getsockname()[1] for probe in probes]


def require_free(*, api: int, flower: int) -> None:
    """Check the two ports a person chose. Raises PortTaken, naming the port and the flag that changes it."""
    if api == flower:
        raise PortTaken(f"The API and Flower cannot share port {api}: change --port or --flower-port.")
    fixed = ((api, "the API", "--port (or MAESTRO_PORT)"), (flower, "Flower", "--flower-port (or MAESTRO_FLOWER_PORT)"))
    for port, name, change in fixed:
        if not is_free(port):
            raise PortTaken(f"Port {port}, wanted for {name}, is taken or not allowed. Choose another by {change}.")


def choose(*, api: int, flower: int, previous: Ports | None) -> Ports:
    """Return the stack's ports: the two fixed ones, and for its servers those of the last start while they are free.

    Raises PortTaken when a fixed one is not free.
    """
    require_free(api=api, flower=flower)
    fixed = {api, flower}
    spare = [port for port in find_free(4) if port not in fixed]
    chosen = []
    for kept in (previous.postgres, previous.valkey) if previous else (None, None):
        chosen.append(kept if kept and kept not in fixed and is_free(kept) else spare.pop())
    return Ports(api=api, flower=flower, postgres=chosen[0], valkey=chosen[1])
