"""Exchanges with partners over real sockets, on urllib3's pooled connections. Any number of threads share one."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

_CHUNK_BYTES = 65_536
# An answer longer than this is no answer of a partner that keeps its contract.
_MOST_BYTES = 64_000_000


@dataclass(frozen=True, slots=True)
class Received:
    """An answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class PooledHttp:
    """One exchange per call: no redirect is followed and nothing is repeated, for that is decided elsewhere.

    | what happened | raised |
    |---|---|
    | nobody listens there, or no such host | ConnectionRefusedError: certainly not received |
    | no connection in time | ConnectionRefusedError: nothing was sent |
    | no whole answer in time | TimeoutError: uncertain |
    | anything else that is no answer | ConnectionError: uncertain |
    """

    def __init__(self, connections_per_host: int = 16, pool: urllib3.PoolManager | None = None) -> None:
        self._pool = pool or urllib3.PoolManager(num_pools=32, maxsize=connections_per_host, block=False, retries=False)

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_us: int) -> Received:
        """Send, and read the whole answer before `timeout_us` is over, however slowly it drips in."""
        ends_at = time.monotonic() + timeout_us / 1_000_000
        try:
            return self._exchange(method, url, headers, body, ends_at)
        except (ConnectTimeoutError, NewConnectionError, NameResolutionError) as error:
            raise ConnectionRefusedError(f"{method} {url}: {error}") from error
        except ReadTimeoutError as error:
            raise TimeoutError(f"{method} {url}: {error}") from error
        except SSLError as error:
            raise ConnectionError(f"{method} {url}: {error}") from error
        except LocationValueError as error:
            raise ConnectionRefusedError(f"{method} {url} names no host: {error}") from error
        except HTTPError as error:
            raise ConnectionError(f"{method} {url}: {error}") from error

    def _exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes, ends_at: float) -> Received:
        timeout = urllib3.Timeout(total=max(0.001, ends_at - time.monotonic()))
        answer = self._pool.request(
            method, url, body=body, headers=dict(headers), timeout=timeout, redirect=False, preload_content=False
        )
        parts: list[bytes] = []
        length = 0
        try:
            while chunk := answer.read1(_CHUNK_BYTES):
                parts.append(chunk)
                length += len(chunk)
                _check(f"{method} {url}", length, ends_at)
        except BaseException:
            answer.close()
            raise
        answer.release_conn()
        return Received(answer.status, {name.lower(): value for name, value in answer.headers.items()}, b"".join(parts))


def _check(what: str, length: int, ends_at: float) -> None:
    if time.monotonic() > ends_at:
        raise TimeoutError(f"{what}: the answer was not complete in time, after {length} bytes")
    if length > _MOST_BYTES:
        raise ConnectionError(f"{what}: the answer is longer than {_MOST_BYTES} bytes")
