"""The way in."""

from __future__ import annotations

import pytest

from maestro.client import Client, InvalidConnection
from tests.unit.client.fake_api import KEY, FakeApi


def test_every_request_carries_the_key(api: FakeApi, client: Client):
    api.on_list("/kinds", [{"kind": "shell", "summary": "Run a command.", "options_schema": {"type": "object"}}])

    kinds = client.list_kinds()

    assert [kind.kind for kind in kinds] == ["shell"]
    assert api.requests[0].authorization == f"Bearer {KEY}"


def test_representation_of_the_client_shows_the_server_but_no_key(client: Client):
    assert repr(client) == f"Client('{client.base_url}')"
    assert KEY not in repr(client._transport._session.auth)


@pytest.mark.parametrize("url", ["127.0.0.1:3000", "ftp://127.0.0.1", "http://", "http://[::1", "http://x:0", ""])
def test_url_that_is_none_is_refused(url: str):
    with pytest.raises(InvalidConnection, match=r"must look like http://127\.0\.0\.1:3000"):
        Client(url, KEY)


def test_url_with_a_password_is_refused_without_showing_it():
    with pytest.raises(InvalidConnection) as caught:
        Client("http://me:hunter2@127.0.0.1", KEY)

    assert "hunter2" not in str(caught.value)


def test_url_may_end_in_the_root_of_the_api():
    assert Client("http://127.0.0.1:3000/api/v1/", KEY).base_url == "http://127.0.0.1:3000"


@pytest.mark.parametrize("key", ["", "mk_a b", "mk_a\r\nX-Evil: 1", "mk_ü"])
def test_key_that_no_header_can_carry_is_refused_without_showing_it(key: str):
    with pytest.raises(InvalidConnection) as caught:
        Client("http://127.0.0.1:3000", key)

    assert not key or key not in str(caught.value)
