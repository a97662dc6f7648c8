"""A listener of certification's own for a partner's webhooks: mailboxes by path, each with an answer of its own.

A WSGI application: served for real by `serving`, or attached to a world by a test.
"""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from contracts.errors import BadSignature
from contracts.wire import verify_webhook
from peakproof.certification.errors import CertificationError
from peakproof.certification.log import ExchangeLog
from peakproof.certification.partner import parsed
from peakproof.live.loopback import served

GONE, GOOD, FAILING = 410, 204, 500
_LARGEST_BODY = 1_000_000


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt as it came in. `signature` is why the signature is no good, or ""."""

    number: int
    at_us: int
    webhook_id: str
    body: bytes
    signature: str
    answered: int

    @property
    def event(self) -> Any:
        """The event; None when the body is no JSON object."""
        event = parsed(self.body)
        return event if isinstance(event, dict) else None

    @property
    def type(self) -> str:
        return str((self.event or {}).get("type", ""))


@dataclass(slots=True)
class Mailbox:
    """One subscription's end. `answer` gives the status of a delivery from those before it and its id."""

    url: str
    secret: str
    answer: Callable[[list[Delivery], str], int] = lambda _before, _webhook_id: GOOD
    deliveries: list[Delivery] = field(default_factory=list)
    closed: bool = False

    def of(self, webhook_id: str) -> list[Delivery]:
        """All attempts of one event."""
        return [each for each in self.deliveries if each.webhook_id == webhook_id]


class Listener:
    """The WSGI application. `base_url` is how the partner reaches it, `now_us` the time of certification."""

    def __init__(self, base_url: str, now_us: Callable[[], int], log: ExchangeLog) -> None:
        self._base_url = base_url.rstrip("/")
        self._now_us = now_us
        self._log = log
        self._boxes: dict[str, Mailbox] = {}
        self._lock = threading.Lock()
        self._closed = False

    def open(self, name: str, secret: str) -> Mailbox:
        """A new mailbox under a path of its own."""
        self._log.hide(secret)
        path = f"/hooks/{name}"
        box = self._boxes[path] = Mailbox(self._base_url + path, secret)
        return box

    def close(self) -> None:
        """From now on answer 410 to everything, and log nothing: the run is over, and the partner may forget us."""
        with self._lock:
            self._closed = True

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        length = min(int(environ.get("CONTENT_LENGTH") or 0), _LARGEST_BODY)
        body: bytes = environ["wsgi.input"].read(length) if length else b""
        with self._lock:
            status = GONE if self._closed else self._taken(environ, body)
        start_response(f"{status} {'OK' if status < 300 else 'Refused'}", [("Content-Length", "0")])
        return [b""]

    def _taken(self, environ: WSGIEnvironment, body: bytes) -> int:
        box = self._boxes.get(environ.get("PATH_INFO", ""))
        headers = {
            name.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
            for name, value in environ.items()
            if name.startswith("HTTP_") or name == "CONTENT_TYPE"
        }
        webhook_id = headers.get("webhook-id", "")
        status = 404 if box is None else GONE if box.closed else box.answer(box.deliveries, webhook_id)
        at_us = self._now_us()
        number = self._log.write(
            kind="webhook", probe="", at_us=at_us, method=environ["REQUEST_METHOD"], path=environ.get("PATH_INFO", ""),
            request_headers=headers, request_body=body, status=status,
        )  # fmt: skip
        if box is not None:
            wrong = _signature(box.secret, headers, body, at_us)
            box.deliveries.append(Delivery(number, at_us, webhook_id, body, wrong, status))
        return status


def _signature(secret: str, headers: dict[str, str], body: bytes, at_us: int) -> str:
    try:
        verify_webhook(
            secret,
            headers.get("webhook-id", ""),
            headers.get("webhook-timestamp", ""),
            body,
            headers.get("webhook-signature", ""),
            now_s=at_us // 1_000_000,
        )
    except BadSignature as error:
        return str(error)
    return ""


@contextmanager
def serving(listener: Listener, host: str, port: int) -> Iterator[None]:
    """The listener on an address of this computer. CertificationError when nobody can listen there."""
    try:
        door = socket.create_server((host, port))
    except OSError as error:
        told = f"can't listen on {host}:{port} ({error.strerror or error}); name a free address by --listen-on"
        raise CertificationError(told) from error
    with closing(door), served(listener, host, port, door.fileno()):
        yield
