"""What each duty of the tick takes, beside nothing and beside many runs that wait."""

import time

from executors.pools.lease import LeaseWatch
from maestro.core import sql
from tests.builders import make_waiting_runs
from workflows.dispatch import leases, lost_messages, recovery

REPEATS = 5


def measure_tick(actor, waiting: int) -> list[dict[str, float]]:
    """Return for each duty its shortest time without and with so many waiting runs, in seconds."""
    connection = sql.engine_connection()
    before = _measure_duties(connection)
    make_waiting_runs(connection, actor, waiting)
    after = _measure_duties(connection)
    return [{"name": name, "without": before[name], "with": after[name]} for name in before]


def _measure_duties(connection):
    ready = recovery.ReadySweep()
    duties = {
        "give up silent workers": LeaseWatch().give_up_silent_workers,
        "take back lost attempts": leases.take_back_lost,
        "recover ready tasks, a part of all": lambda connection: recovery.ReadySweep().recover(connection),
        "recover ready tasks, of late": ready.recover,
        "recover ended runs": recovery.recover_ended,
        "recover tasks whose child ended": recovery.recover_parents,
        "recover children left alone": recovery.recover_children,
        "send lost messages again": lost_messages.resend_lost,
    }
    ready.recover(connection)
    return {name: min(_time(duty, connection) for _ in range(REPEATS)) for name, duty in duties.items()}


def _time(duty, connection):
    started = time.perf_counter()
    duty(connection)
    return time.perf_counter() - started
