"""Celery and the executor kinds: broker, delivery guarantees, allow-lists."""

from maestro.env import Component, Mode
from maestro.settings.components.environment import ENVIRONMENT

MAESTRO_TASK_MODULES = ENVIRONMENT.task_modules
CELERY_IMPORTS = ENVIRONMENT.celery_imports
MAESTRO_MAX_LOST_ATTEMPTS = ENVIRONMENT.max_lost_attempts
MAESTRO_HTTP_ALLOWED_HOSTS = ENVIRONMENT.http_allowed_hosts
# Where the platform itself has a private address, which tasks may reach nevertheless.
MAESTRO_IS_EMBEDDED = ENVIRONMENT.mode is Mode.EMBEDDED
MAESTRO_DRAIN_SECONDS = ENVIRONMENT.drain_seconds
MAESTRO_AUTOSCALE_WAIT_SECONDS = ENVIRONMENT.autoscale_wait_seconds
MAESTRO_AUTOSCALE_QUIET_SECONDS = ENVIRONMENT.autoscale_quiet_seconds

# Above the longest task: a delivery that is not acknowledged by then is repeated, which costs a message and changes
# nothing.
_VISIBILITY_TIMEOUT_SECONDS = 24 * 3600
# A broker that hangs must not hang a request: what could not be sent is sent by recovery. Workers block on an empty
# queue for a second, so theirs is longer.
_IS_API = ENVIRONMENT.component is Component.API
_SOCKET_SECONDS = 1 if _IS_API else 4
# A request tries once. Of a connection that the broker has ended the client knows, and opens another.
_RETRIES = 0 if _IS_API else 3

CELERY_BROKER_URL = ENVIRONMENT.broker_url.get_secret_value()
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_TIMEOUT = _SOCKET_SECONDS
# A worker never gives up: by default it would after about an hour. How often it tries: `maestro.celery`.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# A broker that refuses to write, because its memory is full, is as good as away: it is tried again, too.
CELERY_BROKER_CHANNEL_ERROR_RETRY = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": _VISIBILITY_TIMEOUT_SECONDS,
    "socket_timeout": _SOCKET_SECONDS,
    "socket_connect_timeout": _SOCKET_SECONDS,
    **({"max_retries": _RETRIES} if _IS_API else {}),
}
# Chords count their headers here. Of results, only those of Celery tasks that `uses: celery` calls are stored.
CELERY_RESULT_BACKEND = f"workflows.dispatch.chord_counter:ChordCounter+{CELERY_BROKER_URL}"
CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS = {
    "retry_policy": {"max_retries": _RETRIES, "interval_start": 0, "interval_step": 0.2},
}
CELERY_REDIS_SOCKET_TIMEOUT = _SOCKET_SECONDS
CELERY_REDIS_SOCKET_CONNECT_TIMEOUT = _SOCKET_SECONDS
CELERY_RESULT_EXPIRES = 24 * 3600
CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_TASK_DEFAULT_QUEUE = "maestro"
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SEND_SENT_EVENT = True
CELERY_TASK_PUBLISH_RETRY = not _IS_API
CELERY_TASK_PUBLISH_RETRY_POLICY = {
    "max_retries": _RETRIES,
    "interval_start": 0,
    "interval_step": 0.2,
    "interval_max": 0.5,
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_TASKS_PER_CHILD = ENVIRONMENT.max_tasks_per_child
CELERY_WORKER_MAX_MEMORY_PER_CHILD = (ENVIRONMENT.max_memory_per_child or 0) * 1024 or None
CELERY_WORKER_AUTOSCALER = "executors.pools.autoscaling:QueueAutoscaler"
# How long Celery waits for the last word of a process that died, by default 10 s. Its end is in the database, so
# nothing is lost by not waiting.
CELERY_WORKER_LOST_WAIT = 0.5
CELERY_WORKER_SEND_TASK_EVENTS = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULER = "workflows.dispatch.tick.TickScheduler"
CELERY_ENABLE_UTC = True
CELERY_TIMEZONE = "UTC"
