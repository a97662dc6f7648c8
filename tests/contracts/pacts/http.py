"""The integration's Http port over real sockets, for clients that talk to a mock of their partner."""

from collections.abc import Mapping
from dataclasses import dataclass

import urllib3

_POOL = urllib3.PoolManager(retries=False)


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


class RealHttp:
    """One exchange per call, never repeated."""

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_us: int) -> Reply:
        try:
            answer = _POOL.request(method, url, body=body or None, headers=headers, timeout=timeout_us / 1_000_000)
        except urllib3.exceptions.NewConnectionError as error:
            raise ConnectionRefusedError(str(error)) from error
        except urllib3.exceptions.TimeoutError as error:
            raise TimeoutError(str(error)) from error
        except urllib3.exceptions.HTTPError as error:
            raise ConnectionError(str(error)) from error
        return Reply(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.data)
