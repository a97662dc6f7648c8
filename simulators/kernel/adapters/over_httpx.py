"""`httpx` over the world's network: clients, event hooks, redirects and exceptions are httpx's own.

Changed is its `HTTPTransport`; `retries` of a transport and proxies are left out. `AsyncClient` needs an event loop,
which a virtual world does not have.
"""

from simulators.kernel.adapters.enclosure import Function, Inside, Patch
from simulators.kernel.adapters.wire import NEVER_US, headers_of, url_of

try:
    import httpx
except ImportError:  # no client of this kind is installed, so none is used
    httpx = None  # type: ignore[assignment]


def httpx_patches() -> tuple[Patch, ...]:
    """The patch for `httpx`, where it is installed."""
    return () if httpx is None else (Patch(httpx.HTTPTransport, "handle_request", _handle_request),)


def _handle_request(
    caller: Inside, _original: Function, _transport: "httpx.HTTPTransport", request: "httpx.Request"
) -> "httpx.Response":
    """One exchange; raises httpx's ReadTimeout, ConnectError or ReadError. The read time-out bounds the answer."""
    seconds = request.extensions.get("timeout", {}).get("read")
    timeout_us = NEVER_US if seconds is None else round(seconds * 1_000_000)
    address = request.url
    target = url_of(address.scheme, address.host, address.port, address.raw_path.decode("ascii"))
    headers = headers_of(request.headers.items())
    try:
        answer = caller.world.network.send(caller.host, request.method, target, headers, request.read(), timeout_us)
    except TimeoutError as error:
        raise httpx.ReadTimeout(f"no answer within {seconds:g} s", request=request) from error
    except ConnectionRefusedError as error:
        raise httpx.ConnectError(str(error), request=request) from error
    except ConnectionError as error:
        raise httpx.ReadError(str(error), request=request) from error
    return httpx.Response(answer.status, headers=answer.headers, stream=httpx.ByteStream(answer.body))
