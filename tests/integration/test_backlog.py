"""A long queue is not sent again, and what is lost out of it is, once."""

import uuid

import pytest

from executors.pools.queues import keys_of
from tests import backlog
from workflows.dispatch import lost_messages

pytestmark = pytest.mark.alone

COUNT = 3000
LOST = 200


@pytest.fixture
def queue(actor, connection, broker, sent):
    """The name of a queue that nobody takes messages from, with a row for each of its messages."""
    name = f"backlog-{uuid.uuid4().hex}"
    backlog.make_rows(connection, actor, name, COUNT)
    backlog.make_messages(connection, broker, name)
    yield name
    broker.delete(*keys_of(name))
    connection.execute("UPDATE task_executions SET status = 'cancelled' WHERE queue = %s", (name,))


def resend(connection, queue):
    """Look once; return how many tasks of the queue have been sent again so far."""
    lost_messages.resend_lost(connection)
    return connection.execute(
        "SELECT count(*) FROM task_executions"
        " WHERE queue = %s AND queued_at > clock_timestamp() - interval '30 minutes'",
        (queue,),
    ).fetchone()[0]


def test_backlog_is_not_sent_again_however_old_it_is(connection, queue):
    assert resend(connection, queue) == 0


def test_what_is_lost_out_of_a_backlog_is_sent_again_once_the_head_has_passed_it(connection, broker, queue):
    backlog.lose(broker, queue, LOST, LOST)
    before = resend(connection, queue)

    # The head is as far behind now as the slack that is given, and a little more.
    backlog.take(connection, broker, queue, LOST + lost_messages.SLACK // backlog.APART + LOST)

    assert (before, resend(connection, queue), resend(connection, queue)) == (0, LOST, LOST)


def test_flushed_backlog_is_sent_again_in_slices_each_task_once(connection, broker, queue):
    broker.delete(*keys_of(queue))

    slices = range(1, COUNT // lost_messages.MAX_PER_SWEEP + 2)

    found = [resend(connection, queue) for _ in slices]

    assert found == [min(number * lost_messages.MAX_PER_SWEEP, COUNT) for number in slices]
