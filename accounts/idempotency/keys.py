"""Idempotency keys: a call that is sent twice under one key is done once, and both are told the same.

A key is reserved before the call begins and answered after it. A call that makes something writes what it made into the
row of its key, in the transaction that makes it (`note_made`): so a process that dies in between leaves a key that says
what was made, and a reservation that was taken over makes nothing.
"""

from __future__ import annotations

import datetime
import hmac
import logging
from dataclasses import dataclass
from uuid import UUID, uuid4

from django.utils.crypto import salted_hmac
from psycopg.rows import dict_row

from accounts.actor import Actor
from accounts.errors import IdempotencyKeyMalformed, IdempotencyKeyReused, RequestInProgress
from maestro.core import sql

logger = logging.getLogger(__name__)

MAX_LENGTH = 255
KEPT = datetime.timedelta(hours=24)
# A request that has not been answered after so long never will be: its process died.
TAKEN_OVER_AFTER = datetime.timedelta(minutes=2)

# A key that is not kept any more, but not deleted yet, is a new one.
_RESERVE = """
INSERT INTO idempotency_keys AS k (organization_id, user_id, key, fingerprint, token, created_at, answer)
VALUES (%(organization_id)s, %(user_id)s, %(key)s, %(fingerprint)s, %(token)s, clock_timestamp(), '')
ON CONFLICT (organization_id, user_id, key) DO UPDATE
SET fingerprint = excluded.fingerprint, token = excluded.token, created_at = excluded.created_at,
    made_id = NULL, status_code = NULL, answer = ''
WHERE k.created_at < clock_timestamp() - %(kept)s
   OR (
       k.status_code IS NULL AND k.made_id IS NULL AND k.fingerprint = excluded.fingerprint
       AND k.created_at < clock_timestamp() - %(taken_over_after)s
   )
RETURNING k.id
"""
_READ = """
SELECT fingerprint, made_id, status_code, answer FROM idempotency_keys
WHERE organization_id = %(organization_id)s AND user_id = %(user_id)s AND key = %(key)s
"""
# In all of these the guard is the token: who was taken over changes nothing.
_NOTE_MADE = "UPDATE idempotency_keys SET made_id = %(made_id)s WHERE id = %(id)s AND token = %(token)s"
_ANSWER = """
UPDATE idempotency_keys SET status_code = %(status_code)s, answer = %(answer)s WHERE id = %(id)s AND token = %(token)s
"""
_RELEASE = "DELETE FROM idempotency_keys WHERE id = %(id)s AND token = %(token)s AND made_id IS NULL"
_DELETE_OLD = """
DELETE FROM idempotency_keys WHERE id = ANY (ARRAY(
    SELECT id FROM idempotency_keys WHERE created_at < clock_timestamp() - %(kept)s ORDER BY created_at LIMIT %(rows)s
    FOR UPDATE SKIP LOCKED
))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """The right to do the call of a key."""

    id: int
    """The key's row."""
    token: UUID
    """Random; another one once somebody else has taken the key over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The call was done and answered."""

    status_code: int
    """HTTP status of the answer."""
    answer: str
    """Its body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """The call made something, but its answer was never written."""

    made_id: UUID
    """What it made."""


def fingerprint_of(method: str, path: str, body: bytes) -> str:
    """Return what tells one call from another. It is keyed, so that nobody who reads it can try out secrets."""
    return salted_hmac(__name__, f"{method} {path}\n".encode() + body, algorithm="sha256").hexdigest()


def reserve(connection: sql.Connection, *, actor: Actor, key: str, fingerprint: str) -> Reservation | Answered | Made:
    """Reserve a key for a call, or return what became of the call that had it before.

    Raises `IdempotencyKeyMalformed`, `IdempotencyKeyReused`, and `RequestInProgress` while that call is under way.
    """
    if not 1 <= len(key) <= MAX_LENGTH or not (key.isascii() and key.isprintable()):
        raise IdempotencyKeyMalformed(MAX_LENGTH)
    token = uuid4()
    parameters = {
        "organization_id": actor.organization_id,
        "user_id": actor.user_id,
        "key": key,
        "fingerprint": fingerprint,
        "token": token,
        "kept": KEPT,
        "taken_over_after": TAKEN_OVER_AFTER,
    }
    with sql.cursor(connection, dict_row) as cursor:
        reserved = cursor.execute(_RESERVE, parameters).fetchone()
        if reserved is not None:
            return Reservation(id=reserved["id"], token=token)
        found = cursor.execute(_READ, parameters).fetchone()
    if found is None:
        # Released or pruned a moment ago.
        raise RequestInProgress
    if not hmac.compare_digest(found["fingerprint"], fingerprint):
        raise IdempotencyKeyReused
    if found["status_code"] is not None:
        return Answered(status_code=found["status_code"], answer=found["answer"])
    if found["made_id"] is not None:
        return Made(made_id=found["made_id"])
    raise RequestInProgress


def note_made(connection: sql.Connection, reservation: Reservation, made_id: UUID) -> None:
    """Write down what the call makes, in the transaction that makes it.

    Raises `RequestInProgress` when somebody else has taken the key over, so that the transaction makes nothing.
    """
    parameters = {"id": reservation.id, "token": reservation.token, "made_id": made_id}
    if not connection.execute(_NOTE_MADE, parameters).rowcount:
        raise RequestInProgress


def keep_answer(connection: sql.Connection, reservation: Reservation, *, status_code: int, answer: str) -> None:
    """Keep the answer of the call, for those who ask again."""
    parameters = {"id": reservation.id, "token": reservation.token, "status_code": status_code, "answer": answer}
    connection.execute(_ANSWER, parameters)


def release(connection: sql.Connection, reservation: Reservation) -> None:
    """Give up a reservation whose call did not get done, so that the same call may be tried again at once."""
    connection.execute(_RELEASE, {"id": reservation.id, "token": reservation.token})


def prune_idempotency_keys(connection: sql.Connection, rows: int) -> int:
    """Delete at most so many of the oldest keys that are no longer kept; return how many."""
    return connection.execute(_DELETE_OLD, {"kept": KEPT, "rows": rows}).rowcount
