"""A live endpoint as a target."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

import orjson

from contracts.validation import Contract
from peakproof.certification.http import HttpTransport
from peakproof.certification.transport import Reply, Request, Transport
from peakproof.fuzzing.door import PLACEHOLDER, header
from peakproof.fuzzing.errors import FuzzError
from peakproof.fuzzing.promises import Books

TOKEN_PATH = "/oauth/token"
_EARLY_S = 30


class LiveTarget:
    """An endpoint by its address. Its books can't be seen: only its answers are judged.

    `headers` go onto every request; an Authorization among them is shown wherever good credentials are meant. With
    `client` (id and secret) a token is fetched from `/oauth/token`, and again before it expires.
    """

    def __init__(
        self,
        role: str,
        contract: Contract,
        base_url: str,
        transport: Transport,
        headers: Mapping[str, str] | None = None,
        client: tuple[str, str] | None = None,
    ) -> None:
        self.role = role
        self.contract = contract
        self.base_url = base_url.rstrip("/")
        self._transport = transport
        self._authorization = next((v for k, v in (headers or {}).items() if k.lower() == "authorization"), "")
        self._headers = {k: v for k, v in (headers or {}).items() if k.lower() != "authorization"}
        self._client = client
        self._expires_at_s = 0.0

    def send(self, request: Request) -> Reply:
        return self._transport.send(request)

    def together(self, requests: Sequence[Request]) -> list[Reply]:
        return self._transport.together(requests)

    def sealed(self, request: Request, draw: int) -> Request:
        del draw
        headers = {**self._headers, **request.headers}
        if header(request, "Authorization") == PLACEHOLDER:
            headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
            if self._shown():
                headers["Authorization"] = self._authorization
        return replace(request, headers=headers)

    def books(self) -> Books | None:
        return None

    def _shown(self) -> str:
        if self._client is not None and time.monotonic() >= self._expires_at_s:
            self._authorization = self._fetched(*self._client)
        return self._authorization

    def _fetched(self, client_id: str, client_secret: str) -> str:
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        asked = Request("POST", TOKEN_PATH, {**self._headers, "Content-Type": "application/json"}, orjson.dumps(form))
        reply = self._transport.send(asked)
        try:
            answer = orjson.loads(reply.body)
            token, lives_s = str(answer["access_token"]), float(answer["expires_in"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            said = reply.status or f"{reply.failure} {reply.detail}".strip()
            raise FuzzError(f"{self.base_url}{TOKEN_PATH} gave no token to {client_id!r} ({said})") from error
        self._expires_at_s = time.monotonic() + max(1.0, lives_s - _EARLY_S)
        return f"Bearer {token}"


def live_transport(url: str, timeout_s: float) -> HttpTransport:
    """Real HTTP to an address; FuzzError when it is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise FuzzError(f"--url {url!r} is no address: give one such as http://127.0.0.1:8002")
    return HttpTransport(url.rstrip("/"), lambda: time.monotonic_ns() // 1_000, timeout_s)
