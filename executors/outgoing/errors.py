"""Why a request to the outside came to nothing."""

from __future__ import annotations


class OutgoingFailed(Exception):
    """A request was refused before it was sent, or has no answer that can be used."""

    def __init__(self, code: str, message: str, *, is_retryable: bool = True) -> None:
        super().__init__(message)
        self.code = code
        """Stable snake_case code, for example `address_refused`."""
        self.message = message
        """For the person who reads it: neither query nor credentials of the URL."""
        self.is_retryable = is_retryable
        """False when trying again cannot help."""


class OutgoingCancelled(Exception):
    """Somebody asked for the request to be given up."""
