"""The environment of the suite: chosen before Django reads its settings; servers start only where a test asks."""

import os
import signal
import tempfile
from pathlib import Path

import django
import hypothesis
import pytest

from maestro.embedded import postgres, valkey
from maestro.embedded.home import Home, load_or_create_secrets
from maestro.embedded.ports import find_free
from tests.servers import Servers

# How fast the machine is at the moment is no property of the code.
hypothesis.settings.register_profile(
    "suite", deadline=None, max_examples=50, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("suite")

# A suite started in the background of a shell ignores Ctrl-C, and so would every program it starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

_directory = tempfile.TemporaryDirectory(prefix="maestro-tests-")
HOME = Home(Path(_directory.name))
HOME.path.chmod(0o711)
POSTGRES_PORT, VALKEY_PORT = find_free(2)
_secrets = load_or_create_secrets(HOME)
os.environ |= {
    "DJANGO_SETTINGS_MODULE": "maestro.settings",
    "DATABASE_URL": postgres.url("maestro", _secrets.maestro_password, POSTGRES_PORT),
    "API_DATABASE_URL": postgres.url("maestro_api", _secrets.maestro_api_password, POSTGRES_PORT),
    "BROKER_URL": valkey.url(VALKEY_PORT, _secrets),
    "MAESTRO_SECRET_KEY": _secrets.django_secret_key.get_secret_value(),
    "MAESTRO_HOME": str(HOME.path),
    "MAESTRO_TASK_MODULES": "examples,tests.integration.stubborn",
    "MAESTRO_HTTP_ALLOWED_HOSTS": "127.0.0.0/8",
}
# Test modules import models when they are collected.
django.setup()


def pytest_addoption(parser):
    """Flags for longer runs than the suite's."""
    parser.addoption("--graphs", type=int, default=48, help="random graphs to run through real workers (default 48)")
    parser.addoption("--tasks", type=int, default=150, help="tasks of the largest runs (default 150)")
    parser.addoption(
        "--restarts",
        type=int,
        default=1,
        help="how often a rolling restart replaces everything (default 1: one of each)",
    )
    parser.addoption("--all-faults", action="store_true", help="plant the slow faults at every step, not at a few")


@pytest.fixture(scope="session")
def servers():
    """PostgreSQL, migrated, and Valkey: the embedded ones, on ports of their own."""
    running = Servers(HOME, postgres_port=POSTGRES_PORT, valkey_port=VALKEY_PORT)
    running.start()
    yield running
    running.stop()
