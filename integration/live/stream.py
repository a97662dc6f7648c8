"""The stream of events: NATS JetStream, by nats-py on an event loop in a thread of its own.

An event goes to `<stream>.<type>.<subject>` with its id as Nats-Msg-Id, by which JetStream drops what it has already
within the window for duplicates. Readers replay as JetStream lets them: by sequence or by time. A stream that is there
already is used as it is; else one is made that keeps events as long as our own log.
"""

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine, Mapping
from importlib import import_module
from typing import Any

from integration.settings import HOUR, SECOND, SettingsError

DEFAULT_NAME = "peakproof"
_CONNECT_S = 5.0
_DUPLICATES_US = HOUR


class JetStream:
    """One connection, made when it is first needed, and made again by itself when it is lost."""

    def __init__(self, url: str, name: str, keep_us: int) -> None:
        self._nats: Any = _nats()
        self._url = url
        self._name = name
        self._keep_us = keep_us
        self._guard = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._context: Any = None
        self._connection: Any = None

    def publish(self, place: str, event_id: str, headers: Mapping[str, str], body: bytes, timeout_us: int) -> None:
        """Have an event kept. Raises TimeoutError or ConnectionError when nobody said that it is."""
        timeout_s = timeout_us / SECOND
        sent = {**headers, "Nats-Msg-Id": event_id}
        self._do(self._publish(f"{self._name}.{place}", body, sent, timeout_s), timeout_s + _CONNECT_S)

    def close(self) -> None:
        """Send what is on its way, and end the connection."""
        if self._connection is not None:
            self._do(self._connection.drain(), _CONNECT_S)
            self._connection = self._context = None

    def _do(self, work: Coroutine[Any, Any, object], timeout_s: float) -> None:
        with self._guard:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="nats", daemon=True).start()
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            future.result(timeout_s)
        except (TimeoutError, concurrent.futures.TimeoutError) as error:
            future.cancel()
            raise TimeoutError(f"the stream did not answer within {timeout_s:g} s") from error
        except (self._nats.errors.Error, OSError) as error:
            raise ConnectionError(f"the stream failed: {error or type(error).__name__}") from error

    async def _publish(self, subject: str, body: bytes, headers: dict[str, str], timeout_s: float) -> None:
        context = await self._connected(min(timeout_s, _CONNECT_S))
        await context.publish(subject, body, timeout=timeout_s, stream=self._name, headers=headers)

    async def _connected(self, within_s: float) -> Any:
        if self._context is None:
            connecting = self._nats.connect(self._url, max_reconnect_attempts=-1, error_cb=_quiet)
            connection = await asyncio.wait_for(connecting, within_s)
            context = connection.jetstream()
            try:
                await self._make(context)
            except BaseException:
                await connection.close()
                raise
            if self._context is None:
                self._connection, self._context = connection, context
            else:  # another publication connected meanwhile
                await connection.close()
        return self._context

    async def _make(self, context: Any) -> None:
        try:
            await context.stream_info(self._name)
        except self._nats.js.errors.NotFoundError:
            await context.add_stream(
                name=self._name,
                subjects=[f"{self._name}.>"],
                max_age=self._keep_us / SECOND,
                duplicate_window=min(self._keep_us, _DUPLICATES_US) / SECOND,
            )


async def _quiet(_error: Exception) -> None:
    """Each publication tells of its own failure."""


def _nats() -> Any:
    try:
        nats = import_module("nats")
        import_module("nats.js.errors")
    except ModuleNotFoundError as error:
        raise SettingsError(
            'PEAKPROOF_NATS_URL is set, and nats-py is missing: pip install "peakproof[live]"'
        ) from error
    return nats
