"""How a REST request says who makes it: an API key or a session. Either way `request.auth` is the `Actor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts import selectors, services
from accounts.actor import Actor
from accounts.errors import InvalidApiKey, UnknownAuthorizationScheme
from accounts.models import User
from maestro.core.rest.errors import CHALLENGE

if TYPE_CHECKING:
    from rest_framework.views import APIView

ORGANIZATION_HEADER = "Maestro-Organization"


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer mk_…`."""

    def authenticate(self, request: Request) -> tuple[User, Actor] | None:
        """Return the key's user and actor; None when the header is absent. Raises `InvalidApiKey`,
        `UnknownAuthorizationScheme`.
        """
        header = request.headers.get("Authorization")
        if header is None:
            return None
        scheme, _, key = header.partition(" ")
        if scheme.lower() != "bearer":
            raise UnknownAuthorizationScheme
        actor = selectors.get_actor_of_key(key.strip())
        services.record_key_use(actor=actor)
        user = User.objects.get(id=actor.user_id) if actor.user_id else None
        if user is None:
            raise InvalidApiKey
        return user, actor

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401."""
        return CHALLENGE


class ActorSessionAuthentication(SessionAuthentication):
    """A signed-in browser; the header Maestro-Organization chooses among several organizations."""

    def authenticate(self, request: Request) -> tuple[User, Any] | None:
        """Return the session's user and actor; None without a session. Raises `OrganizationNotChosen`."""
        signed_in = super().authenticate(request)
        if signed_in is None:
            return None
        user = signed_in[0]
        assert isinstance(user, User)
        return user, selectors.get_actor_of_user(user, organization_slug=request.headers.get(ORGANIZATION_HEADER))


class IsActor(BasePermission):
    """Lets through whoever was recognised; what they may do is each service's question."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Tell whether the request has an actor."""
        return isinstance(request.auth, Actor)


def actor_of(request: Request) -> Actor:
    """Return who makes the request."""
    actor = request.auth
    assert isinstance(actor, Actor)
    return actor


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """Describes API keys in the OpenAPI schema."""

    target_class = ApiKeyAuthentication
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return the security scheme."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "mk_…"}


class SessionScheme(OpenApiAuthenticationExtension):
    """Describes sessions in the OpenAPI schema."""

    target_class = ActorSessionAuthentication
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return the security scheme."""
        return {"type": "apiKey", "in": "cookie", "name": "maestro_session"}
