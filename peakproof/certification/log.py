"""Everything that was sent and received, one NDJSON line each, with secrets blacked out."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

BLACKED_OUT = "***"
_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"})
_SECRET_MEMBERS = frozenset({"client_secret", "access_token", "refresh_token", "secret", "password", "token"})
_LONGEST_TEXT = 4_000


class ExchangeLog:
    """The log file. Numbers count from 1 over requests and webhooks alike, and are what findings refer to."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._out = file.open("wb")
        self._secrets: list[str] = []
        self._count = 0

    def __enter__(self) -> "ExchangeLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._out.close()

    def hide(self, secret: str) -> None:
        """Black this text out wherever it stands, from now on. Short ones could be part of anything and are not."""
        if len(secret) >= 4 and secret not in self._secrets:
            self._secrets = sorted([*self._secrets, secret], key=len, reverse=True)

    def write(self, **columns: Any) -> int:
        """Append one entry and return its number; `headers` and `body` members are cleaned on their way."""
        self._count += 1
        entry = {"number": self._count, **{name: self._clean(name, value) for name, value in columns.items()}}
        self._out.write(orjson.dumps(entry) + b"\n")
        self._out.flush()
        return self._count

    def _clean(self, name: str, value: Any) -> Any:
        if isinstance(value, bytes):
            return self._text(value)
        if isinstance(value, str):
            return self._masked(value)
        if isinstance(value, Mapping) and name.endswith("headers"):
            return {
                key: BLACKED_OUT if key.lower() in _SECRET_HEADERS else self._masked(str(each))
                for key, each in value.items()
            }
        return value

    def _text(self, body: bytes) -> str:
        try:
            parsed = orjson.loads(body)
        except orjson.JSONDecodeError:
            return self._masked(body[:_LONGEST_TEXT].decode("utf-8", "replace"))
        return self._masked(orjson.dumps(_without_secrets(parsed)).decode())[:_LONGEST_TEXT]

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, BLACKED_OUT)
        return text


def _without_secrets(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            name: BLACKED_OUT if name in _SECRET_MEMBERS and isinstance(child, str) else _without_secrets(child)
            for name, child in node.items()
        }
    return [_without_secrets(child) for child in node] if isinstance(node, list) else node
