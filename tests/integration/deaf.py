"""A worker that can be made deaf: `celery -A tests.integration.deaf worker`. It is watched more closely than others.

SIGRTMIN lets its consumer ask for no more messages, as one that was lost in a reconnect; SIGRTMIN + 1 lets its event
loop hang, and SIGRTMIN + 2 lets it end as the watch does.
"""

import os
import signal
import time

from celery import signals
from celery.worker import state

from executors.pools import consumer_watch
from maestro.celery import app

__all__ = ["app"]

consumer_watch.LOOK_SECONDS = 0.5
consumer_watch.CANARY_SECONDS = 0.5
consumer_watch.DEAF_SECONDS = 5.0
consumer_watch.GAP_SECONDS = 2.0
consumer_watch.REACTION_SECONDS = float(os.environ.get("REACTION_SECONDS", "3"))


@signals.worker_ready.connect
def plant(sender, **_):
    def stop_asking(*_):
        sender.task_consumer.channel._brpop_start = lambda: None

    signal.signal(signal.SIGRTMIN, stop_asking)
    signal.signal(signal.SIGRTMIN + 1, lambda *_: (os.write(2, b"It hangs.\n"), time.sleep(3600)))
    signal.signal(signal.SIGRTMIN + 2, lambda *_: setattr(state, "should_stop", os.EX_SOFTWARE))
