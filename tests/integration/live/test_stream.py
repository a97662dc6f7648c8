"""The stream of events on a real JetStream: kept once, in order, and taken up again after the server was away."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import pytest

from integration.live.stream import JetStream
from integration.settings import DAY, SECOND
from tests.integration.live.nats_server import NatsServer, nats_server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    with nats_server(tmp_path) as server:
        yield server


def kept(url: str, stream: str = "peakproof", most: int | None = None, **since: Any) -> list[tuple[str, str, bytes]]:
    """Everything that a new reader finds, or `most` of it: subject, id and body."""

    async def read() -> list[tuple[str, str, bytes]]:
        connection = await nats.connect(url)
        try:
            context = connection.jetstream()
            info = await context.stream_info(stream)
            reader = await context.pull_subscribe(f"{stream}.>", **since)
            wanted = info.state.messages if most is None else most
            found: list[Any] = []
            while len(found) < wanted:
                found += await reader.fetch(min(wanted - len(found), 500), timeout=5)
            return [(one.subject, (one.headers or {})["Nats-Msg-Id"], one.data) for one in found]
        finally:
            await connection.close()

    return asyncio.run(read())


def test_an_event_is_kept_once_however_often_it_is_published(server: NatsServer) -> None:
    stream = JetStream(server.url, "peakproof", DAY)
    for event_id in ("evt-1", "evt-2", "evt-1"):
        stream.publish("order.accepted.ord-1", event_id, {"content-type": "application/json"}, b"{}", SECOND)
    assert [event_id for _, event_id, _ in kept(server.url)] == ["evt-1", "evt-2"]
    stream.close()


def test_a_server_that_is_away_is_told_and_found_again(server: NatsServer) -> None:
    stream = JetStream(server.url, "events", DAY)
    stream.publish("order.accepted.ord-1", "evt-1", {}, b"1", SECOND)
    server.stop()
    with pytest.raises((TimeoutError, ConnectionError)):
        stream.publish("order.accepted.ord-1", "evt-2", {}, b"2", SECOND // 2)
    server.start()
    for _ in range(20):
        try:
            stream.publish("order.accepted.ord-1", "evt-2", {}, b"2", SECOND)
            break
        except (TimeoutError, ConnectionError):
            continue
    assert kept(server.url, "events") == [
        ("events.order.accepted.ord-1", "evt-1", b"1"),
        ("events.order.accepted.ord-1", "evt-2", b"2"),
    ]
    stream.close()


def test_nobody_there_is_a_failed_connection_soon() -> None:
    stream = JetStream("nats://127.0.0.1:9", "peakproof", DAY)
    with pytest.raises((TimeoutError, ConnectionError)):
        stream.publish("order.accepted.ord-1", "evt-1", {}, b"{}", SECOND // 10)
