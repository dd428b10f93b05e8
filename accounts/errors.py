"""What can go wrong with who you are and what you may do."""

from __future__ import annotations

from maestro.core.errors import Category, MaestroError


class InvalidApiKey(MaestroError):
    """The key is unknown, expired or revoked; which of these is not told to whoever holds it."""

    code = "invalid_api_key"
    category = Category.UNAUTHENTICATED

    def __init__(self) -> None:
        super().__init__("The API key is not valid. Check MAESTRO_API_KEY, or make a new key.")


class UnknownAuthorizationScheme(MaestroError):
    """The header Authorization holds something else than a Bearer token."""

    code = "unknown_authorization_scheme"
    category = Category.UNAUTHENTICATED

    def __init__(self) -> None:
        super().__init__("The API takes an API key only as a Bearer token: `Authorization: Bearer mk_…`. Use Bearer.")


class PermissionMissing(MaestroError):
    """The actor is known but may not do this."""

    code = "permission_missing"
    category = Category.FORBIDDEN

    def __init__(self, permission: str) -> None:
        super().__init__(
            f"This needs the permission `{permission}`, which your role or API key does not have."
            " Ask an administrator of the organization.",
            details={"permission": permission},
        )


class OrganizationNotChosen(MaestroError):
    """A signed-in person belongs to no organization, or to several and did not say which."""

    code = "organization_not_chosen"
    category = Category.FORBIDDEN

    def __init__(self, slugs: tuple[str, ...]) -> None:
        chosen = (
            f"Name one of {', '.join(slugs)} in the header Maestro-Organization."
            if slugs
            else "You are a member of no organization."
        )
        super().__init__(chosen, details={"organizations": list(slugs)})


class ApiKeyUserNotMember(MaestroError):
    """An API key acts in an organization for a member of it, and this user is none."""

    code = "api_key_user_not_member"

    def __init__(self, email: str) -> None:
        super().__init__(f"{email} is not a member of this organization. Add the user to its members first.")


class EnvironmentNotOfOrganization(MaestroError):
    """The environment named for an API key is one of another organization."""

    code = "environment_not_of_organization"

    def __init__(self) -> None:
        super().__init__("This is an environment of another organization. Choose one of the key's organization.")


class ApiKeyExists(MaestroError):
    """The same form was sent twice; the secret of the first time cannot be shown again."""

    code = "api_key_exists"
    category = Category.CONFLICT

    def __init__(self) -> None:
        super().__init__(
            "This form has made its key already, and the secret is shown only once. If you do not have it, revoke the"
            " key and make another."
        )


class IdempotencyKeyMalformed(MaestroError):
    """The header Idempotency-Key holds what can be no key."""

    code = "idempotency_key_malformed"
    category = Category.MALFORMED

    def __init__(self, most: int) -> None:
        super().__init__(
            f"An Idempotency-Key is 1 to {most} printable ASCII characters, for example a new UUID for each call."
        )


class IdempotencyKeyReused(MaestroError):
    """The Idempotency-Key was sent before, with another call; nothing was done."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was sent before with another method, address or body. Send a new key for a new call."
        )


class RequestInProgress(MaestroError):
    """The call that first had this Idempotency-Key is still being done, or its process died in the last two minutes."""

    code = "request_in_progress"
    category = Category.CONFLICT
    retry_after_seconds = 1

    def __init__(self) -> None:
        super().__init__(
            "The call that first had this Idempotency-Key is still being done. Send it again after the time that"
            " Retry-After says, until you are told what became of it: for two minutes at most, should its process have"
            " died."
        )
