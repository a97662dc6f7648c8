"""`requests` and `urllib3` over the world's network.

The place of the change is where urllib3 would write to a socket. All above it is the client's own code: sessions,
adapters, pools, redirects, exceptions, and `Retry`, whose sleeps pass in virtual time. Proxies are left out.
"""

from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any

from simulators.kernel.adapters.enclosure import Function, Inside, Patch
from simulators.kernel.adapters.wire import NEVER_US, headers_of, text_of, url_of

try:
    from urllib3.connectionpool import HTTPConnectionPool
    from urllib3.exceptions import NewConnectionError, ReadTimeoutError
    from urllib3.response import HTTPResponse
    from urllib3.util.timeout import Timeout
except ImportError:  # no client of this kind is installed, so none is used
    HTTPConnectionPool = None  # type: ignore[assignment,misc]

try:
    from requests.adapters import HTTPAdapter
except ImportError:
    HTTPAdapter = None  # type: ignore[assignment,misc]


def urllib3_patches() -> tuple[Patch, ...]:
    """The patches for `urllib3` and `requests`, where they are installed."""
    patches = []
    if HTTPConnectionPool is not None:
        patches.append(Patch(HTTPConnectionPool, "_make_request", _make_request))
    if HTTPAdapter is not None:
        patches.append(Patch(HTTPAdapter, "send", _send_without_proxies))
    return tuple(patches)


def _send_without_proxies(
    _caller: Inside,
    original: Function,
    adapter: Any,
    request: Any,
    stream: bool = False,
    timeout: Any = None,
    verify: Any = True,
    cert: Any = None,
    proxies: Any = None,
) -> Any:
    del proxies  # the environment of this machine is no part of the world
    return original(adapter, request, stream, timeout, verify, cert, None)


def _make_request(
    caller: Inside,
    _original: Function,
    pool: Any,
    _connection: Any,
    method: str,
    url: str,
    *,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    retries: Any = None,
    timeout: Any = None,
    response_conn: Any = None,
    preload_content: bool = True,
    decode_content: bool = True,
    **_others: Any,
) -> Any:
    """One exchange; raises what urllib3 itself would raise here. `timeout` bounds the whole answer."""
    target = url_of(pool.scheme, pool.host, pool.port, url)
    timeout_us = _timeout_us(timeout)
    try:
        answer = caller.world.network.send(
            caller.host, method, target, headers_of((headers or {}).items()), _bytes_of(body), timeout_us
        )
    except TimeoutError as error:
        raise ReadTimeoutError(pool, url, f"Read timed out. (read timeout={timeout_us / 1_000_000:g})") from error
    except ConnectionRefusedError as error:
        raise NewConnectionError(pool, f"Failed to establish a new connection: {error}") from error
    response = HTTPResponse(
        body=BytesIO(answer.body),
        headers=answer.headers,
        status=answer.status,
        version=11,
        preload_content=preload_content,
        decode_content=decode_content,
        request_method=method,
        request_url=target,
    )
    response.retries = retries
    response._connection = response_conn
    response._pool = pool
    return response


def _timeout_us(timeout: Any) -> int:
    """The read time-out in microseconds; none is as good as for ever."""
    seconds = timeout.read_timeout if isinstance(timeout, Timeout) else timeout
    return round(seconds * 1_000_000) if isinstance(seconds, int | float) else NEVER_US


def _bytes_of(body: Any) -> bytes:
    """A body as http.client takes it: bytes, text, a file or pieces of either."""
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body)
    if hasattr(body, "read"):
        return _bytes_of(body.read())
    assert isinstance(body, Iterable)
    return b"".join(text_of(piece).encode() if isinstance(piece, str) else bytes(piece) for piece in body)
