"""Who may call: client credentials for expiring tokens (as ERPs have), or fixed tokens (as most others have)."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from contracts.edge import ProblemError
from simulators.kernel import World


@dataclass(frozen=True, slots=True)
class Token:
    """An access token as it was issued; `expires_in_s` counts from its issue."""

    access_token: str
    expires_in_s: int


def _bearer(header: str) -> str:
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise ProblemError("bad-token", "no bearer token: send the header Authorization: Bearer <token>")
    return token.strip()


class StaticTokens:
    """Fixed bearer tokens: `{token: client}`."""

    def __init__(self, clients: Mapping[str, str]) -> None:
        self._clients = dict(clients)

    def named(self, header: str) -> str:
        """The client that an Authorization header names, or the empty text."""
        return self._clients.get(header.partition(" ")[2].strip(), "")

    def check(self, header: str) -> str:
        """The client that an Authorization header names, else the problem `bad-token`."""
        client = self._clients.get(_bearer(header))
        if client is None:
            raise ProblemError("bad-token", "unknown bearer token: use the one that was agreed with this partner")
        return client


class Tokens:
    """Tokens that expire, against client credentials `{client_id: client_secret}`.

    `stale_problem` is what a stale token is answered with: a clean `token-expired`, or what some vendors say instead.
    """

    def __init__(
        self,
        world: World,
        partner: str,
        credentials: Mapping[str, str],
        lifetime_us: int,
        stale_problem: str = "token-expired",
    ) -> None:
        self._world = world
        self._partner = partner
        self._credentials = dict(credentials)
        self._lifetime_us = lifetime_us
        self._stale_problem = stale_problem
        self._issued: dict[str, tuple[str, int]] = {}

    def issue(self, client_id: str, client_secret: str) -> Token:
        """A fresh token, else the problem `bad-credentials`. Earlier tokens stay valid until they expire."""
        secret = self._credentials.get(client_id)
        if secret is None or not hmac.compare_digest(secret.encode(), client_secret.encode()):
            raise ProblemError("bad-credentials", f"client {client_id!r} and its secret do not match")
        number = len(self._issued) + 1
        token = f"{self._partner}-{self._world.chance.hex(24, 'token', self._partner, client_id, number)}"
        self._issued[token] = (client_id, self._world.protocol.now_us() + self._lifetime_us)
        return Token(token, self._lifetime_us // 1_000_000)

    def named(self, header: str) -> str:
        """The client that a token, however old, was issued to, or the empty text."""
        return self._issued.get(header.partition(" ")[2].strip(), ("", 0))[0]

    def check(self, header: str) -> str:
        """The client that an Authorization header names, else `bad-token`, or the stale token's problem."""
        issued = self._issued.get(_bearer(header))
        if issued is None:
            raise ProblemError("bad-token", "unknown bearer token: get one from POST /oauth/token")
        client_id, expires_at_us = issued
        if self._world.protocol.now_us() >= expires_at_us:
            raise ProblemError(self._stale_problem, "this token has expired: get a fresh one from POST /oauth/token")
        return client_id

    def revoke_all(self) -> None:
        """Let every token expire now, as when a vendor restarts its login service."""
        now_us = self._world.protocol.now_us()
        self._issued = {token: (client, min(until, now_us)) for token, (client, until) in self._issued.items()}
