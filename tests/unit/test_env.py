"""The environment: a wrong value stops the start and is named."""

import os
import subprocess
import sys

import pytest
from pydantic import ValidationError

from maestro.env import Environment


def test_hosts_that_tasks_may_reach_are_separated_by_commas(monkeypatch):
    monkeypatch.setenv("MAESTRO_HTTP_ALLOWED_HOSTS", "inner.example:8080, 10.1.0.0/16,")

    assert Environment().http_allowed_hosts == ("inner.example:8080", "10.1.0.0/16")


def test_host_that_can_be_read_as_nothing_is_named(monkeypatch):
    monkeypatch.setenv("MAESTRO_HTTP_ALLOWED_HOSTS", "10.1.0.0/16,http://inner.example")

    with pytest.raises(
        ValidationError, match=r"MAESTRO_HTTP_ALLOWED_HOSTS[\s\S]*'http://inner.example' is not a network"
    ):
        Environment()


def test_slash_at_the_end_of_the_public_url_is_dropped(monkeypatch):
    monkeypatch.setenv("MAESTRO_PUBLIC_URL", "https://maestro.example/")

    assert Environment().public_url == "https://maestro.example"


def test_public_url_that_is_none_is_refused(monkeypatch):
    monkeypatch.setenv("MAESTRO_PUBLIC_URL", "maestro.example")

    with pytest.raises(ValidationError, match="must begin with http:// or https://"):
        Environment()


@pytest.mark.parametrize("number", ["0", "-1", "many"])
def test_number_of_attempts_that_may_be_lost_is_one_or_more(monkeypatch, number):
    monkeypatch.setenv("MAESTRO_MAX_LOST_ATTEMPTS", number)

    with pytest.raises(ValidationError, match="MAESTRO_MAX_LOST_ATTEMPTS"):
        Environment()


def test_process_with_wrong_values_ends_and_names_them_without_a_traceback():
    wrong = {"MAESTRO_PUBLIC_URL": "ftp://x", "MAESTRO_COMPONENT": "hush", "MAESTRO_HTTP_ALLOWED_HOSTS": "a:b"}

    ended = subprocess.run(
        [sys.executable, "-c", "import maestro.settings"], env=os.environ | wrong, capture_output=True, text=True
    )

    assert ended.returncode == 1
    assert [line.partition(": ")[0] for line in ended.stderr.splitlines()] == [
        "The environment has a wrong value:",
        "MAESTRO_COMPONENT",
        "MAESTRO_PUBLIC_URL",
        "MAESTRO_HTTP_ALLOWED_HOSTS",
    ]
    assert "hush" not in ended.stderr
