"""Real HTTP for certification."""

import ssl
import threading
from collections.abc import Callable, Sequence

import httpx

from peakproof.certification.transport import Failure, Reply, Request

LARGEST_BODY = 4_000_000
"""Bytes of an answer that are read; what is longer counts as garbage."""
_LOST_AFTER_S = 0.02


class HttpTransport:
    """Real HTTP. `timeout_s` bounds one whole exchange, however slowly it drips; `now_us` is for elapsed times."""

    def __init__(self, base_url: str, now_us: Callable[[], int], timeout_s: float = 10.0) -> None:
        self._now_us = now_us
        self._timeout_s = timeout_s
        pool = httpx.Limits(max_connections=64, max_keepalive_connections=8)
        self._client = httpx.Client(base_url=base_url, timeout=timeout_s, limits=pool, follow_redirects=False)

    def close(self) -> None:
        self._client.close()

    def send(self, request: Request) -> Reply:
        return self.together([request])[0]

    def together(self, requests: Sequence[Request]) -> list[Reply]:
        """Each request in a thread of its own, so that a server which never ends its answer keeps nobody waiting."""
        replies: dict[int, Reply] = {}
        started_us = self._now_us()

        def carry(place: int, request: Request) -> None:
            replies[place] = self._carried(request)

        threads = [
            threading.Thread(target=carry, args=(place, request), daemon=True) for place, request in enumerate(requests)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(self._timeout_s + 1)
        late = self._failed("time-out", f"no whole answer within {self._timeout_s:g} s", started_us)
        return [replies.get(place, late) for place in range(len(requests))]

    def cut(self, request: Request) -> None:
        lost = httpx.Timeout(self._timeout_s, read=_LOST_AFTER_S)
        try:
            with self._client.stream(
                *_arguments(request), content=request.body, headers=_headers(request), timeout=lost
            ):
                return
        except (httpx.HTTPError, ssl.SSLError, OSError):
            return

    def _carried(self, request: Request) -> Reply:
        started_us = self._now_us()
        try:
            with self._client.stream(*_arguments(request), content=request.body, headers=_headers(request)) as answer:
                body = b""
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > LARGEST_BODY:
                        return self._failed("garbage", f"an answer above {LARGEST_BODY} bytes", started_us)
                headers = {name.lower(): value for name, value in answer.headers.items()}
                return Reply(answer.status_code, headers, body, self._now_us() - started_us)
        except httpx.TimeoutException:
            return self._failed("time-out", f"no answer within {self._timeout_s:g} s", started_us)
        except (httpx.RemoteProtocolError, httpx.DecodingError) as error:
            kind: Failure = "broken" if "disconnected" in str(error) else "garbage"
            return self._failed(kind, str(error), started_us)
        except (httpx.HTTPError, ssl.SSLError, OSError, ValueError) as error:
            return self._failed(_kind_of(error), str(error) or type(error).__name__, started_us)

    def _failed(self, kind: Failure, detail: str, started_us: int) -> Reply:
        return Reply(0, {}, b"", self._now_us() - started_us, kind, detail)


def _arguments(request: Request) -> tuple[str, str]:
    return request.method, request.path


def _headers(request: Request) -> dict[str, str]:
    return {"user-agent": "peakproof-certify", **request.headers}


def _kind_of(error: BaseException) -> Failure:
    """What a failed exchange failed of, found in the chain of causes."""
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    told = " ".join(str(each) for each in chain)
    if any(isinstance(each, ssl.SSLError) for each in chain) or "SSL" in told or "CERTIFICATE" in told:
        return "tls"
    if any(isinstance(each, ConnectionRefusedError) for each in chain) or "refused" in told:
        return "refused"
    if "Name or service" in told or "getaddrinfo" in told or "name resolution" in told:
        return "unresolved"
    return (
        "broken" if isinstance(error, httpx.NetworkError) and not isinstance(error, httpx.ConnectError) else "refused"
    )
