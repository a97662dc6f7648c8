"""One effect per Idempotency-Key: the first definite answer is kept and given again, word for word.

Scope is the channel and the operation. A definite refusal is an answer too. One that may pass (429, 503) is not kept,
and a failure leaves nothing, so that the same key may be tried again.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson
from sqlalchemy import bindparam, insert, select

from contracts.errors import ProblemError
from contracts.problems import kind_of
from integration.runtime import Clock, Guard
from integration.storage import Database, Transaction
from integration.storage.tables import idempotency

_FIND = select(idempotency.c.fingerprint, idempotency.c.status, idempotency.c.headers, idempotency.c.body).where(
    idempotency.c.scope == bindparam("scope"), idempotency.c.key == bindparam("key")
)
_KEEP = insert(idempotency)

# Answers status, headers and body.
Work = Callable[[Transaction], tuple[int, dict[str, str], Any]]

REPLAYED = {"Idempotent-Replayed": "true"}


@dataclass(frozen=True)
class Kept:
    """An answer as it was first given; a refusal when `problem` is set. `body` is JSON."""

    status: int
    headers: dict[str, str]
    body: bytes
    problem: str = ""

    def refusal(self) -> ProblemError:
        """The refusal to raise again."""
        members = orjson.loads(self.body)
        return ProblemError(self.problem, members["detail"], self.headers, **members["extensions"])


def fingerprint(path: str, body: object) -> str:
    """What makes two requests the same: where they go and what they say, not how the JSON is laid out."""
    return sha256(path.encode() + b"\n" + orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _in_flight(key: str) -> ProblemError:
    detail = f"another attempt with the key {key!r} is under way; wait for its answer"
    return ProblemError("request-in-flight", detail, {"Retry-After": "1"})


class Idempotency:
    """Runs work once per key. An attempt that is under way, here or in another process, turns others away."""

    def __init__(self, database: Database, clock: Clock, guard: Guard = nullcontext) -> None:
        self._database = database
        self._clock = clock
        self._guard = guard()
        self._in_flight: set[tuple[str, str]] = set()

    def run(
        self,
        scope: str,
        key: str,
        print_of_request: str,
        work: Work,
    ) -> Kept:
        """The answer of `work(tx)` (status, headers, body), or the one that the key already has.

        Raises ProblemError: a refusal of the work, new or kept, `request-in-flight` or `idempotency-key-reused`.
        """
        place = (scope, key)
        with self._guard:
            if place in self._in_flight:
                raise _in_flight(key)
            self._in_flight.add(place)
        try:
            kept = self._database.transact(lambda tx: self._once(tx, scope, key, print_of_request, work))
        finally:
            self._in_flight.discard(place)
        if kept.problem:
            raise kept.refusal()
        return kept

    def _once(self, tx: Transaction, scope: str, key: str, print_of_request: str, work: Work) -> Kept:
        if not tx.claim_name(f"key {scope} {key}"):
            raise _in_flight(key)
        kept = self.find(tx, scope, key, print_of_request)
        if kept is None:
            kept = self._first(tx, work)
            self._keep(tx, scope, key, print_of_request, kept)
        return kept

    def find(self, tx: Transaction, scope: str, key: str, print_of_request: str) -> Kept | None:
        """What the key stands for, marked as a replay; None when it is new."""
        row = tx.one(_FIND, {"scope": scope, "key": key})
        if row is None:
            return None
        if row.fingerprint != print_of_request:
            detail = f"the key {key!r} was used for another request; take a new one"
            raise ProblemError("idempotency-key-reused", detail)
        headers = orjson.loads(row.headers)
        problem = headers.pop("problem", "")
        return Kept(row.status, {**headers, **REPLAYED}, row.body.encode(), problem)

    def _first(self, tx: Transaction, work: Work) -> Kept:
        try:
            with tx.savepoint():
                status, headers, body = work(tx)
        except ProblemError as error:
            kind = kind_of(error.key)
            if not kind.definite or kind.retryable:
                raise
            members = orjson.dumps({"detail": error.detail, "extensions": error.extensions})
            return Kept(kind.status, error.headers, members, error.key)
        return Kept(status, headers, orjson.dumps(body))

    def _keep(self, tx: Transaction, scope: str, key: str, print_of_request: str, kept: Kept) -> None:
        headers = {**kept.headers, "problem": kept.problem} if kept.problem else kept.headers
        tx.send(
            _KEEP,
            {
                "scope": scope,
                "key": key,
                "fingerprint": print_of_request,
                "status": kept.status,
                "headers": orjson.dumps(headers).decode(),
                "body": kept.body.decode(),
                "created_at_us": self._clock.now_us(),
            },
        )
