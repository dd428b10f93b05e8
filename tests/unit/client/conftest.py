"""A fake API per test, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from maestro.client import Client
from tests.unit.client.fake_api import KEY, FakeApi, serving


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with serving(FakeApi()) as serving_api:
        yield serving_api


@pytest.fixture
def client(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setattr("maestro.client.transport.RETRY_DELAYS_SECONDS", ())
    with Client(api.url, KEY, timeout=60) as opened:
        yield opened
