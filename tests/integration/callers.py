"""People who call the REST API inside the process of the test."""

import json
from uuid import uuid4

import pytest
from django.test import Client

from accounts import services as accounts
from accounts.audit.recorder import recorder
from accounts.models import Environment, User


@pytest.fixture
def served(database, settings, monkeypatch):
    """Let the process of the test answer calls. Recording them takes a thread, which would outlive the database."""
    settings.ALLOWED_HOSTS = ["testserver"]
    monkeypatch.setattr(recorder, "add", lambda record: None)


class Caller:
    """A member of an organization with an API key."""

    def __init__(self, actor):
        self.api_key = accounts.create_api_key(
            key_id=uuid4(),
            user=User.objects.get(id=actor.user_id),
            environment=Environment.objects.get(id=actor.environment_id),
            organization_id=actor.organization_id,
            name="test",
        ).key
        self._client = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {self.api_key}"})

    def post(self, path, body=None, *, key=None):
        """Send a document, or the text of one, or nothing."""
        headers = {} if key is None else {"Idempotency-Key": key}
        text = body if isinstance(body, str) else json.dumps(body)
        sent = {} if body is None else {"data": text, "content_type": "application/json"}
        return self._client.post(f"/api/v1{path}", headers=headers, **sent)

    def get(self, path, *, key=None):
        """Read."""
        return self._client.get(f"/api/v1{path}", headers={} if key is None else {"Idempotency-Key": key})
