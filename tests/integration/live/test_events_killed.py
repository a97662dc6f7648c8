"""kill -9 of any process at any time: every event reaches every subscriber at least once, in order, by webhook and by
stream, and again from a point in time.

API and dispatchers are killed while orders flow, the stream's server is away for a while, and the subscriber fails now
and then. What must have been told is read of the partners' ledger, not of the integration's own log alone.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from flask import Flask, Response, request
from nats.js.api import ConsumerConfig, DeliverPolicy
from sqlalchemy import func, select
from werkzeug.serving import make_server

from contracts.wire import verify_webhook
from integration.live.ports import OpenGate
from integration.storage import Database
from integration.storage.tables import events, outbox, stock
from tests.integration.live.house import Crowd, House, an_order, environment, free_port, house, wait_until
from tests.integration.live.nats_server import NatsServer, nats_server
from tests.integration.live.partners import Partners, serving
from tests.integration.live.test_stream import kept

NAMES = ("api", "dispatch 1", "dispatch 2")
ORDER_TYPES = ("order.accepted", "order.shipped", "order.invoiced")
TYPES = (*ORDER_TYPES, "availability.changed")
REFUSES_EVERY, FAILS_LATE_EVERY = 11, 9
_ANNOUNCED_WITHIN_S = 1.5


@dataclass
class Listener:
    """Subscribers by path. Each takes what is signed with its secret; now and then it refuses, or fails when it has
    taken it."""

    secrets: dict[str, str] = field(default_factory=dict)
    taken: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    came: int = 0
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def app(self) -> Flask:
        app = Flask("listener")

        @app.post("/<name>")
        def take(name: str) -> Response:
            raw, headers = request.get_data(), request.headers
            if name not in self.secrets:  # what is told from the past may overtake the answer that tells the secret
                return Response(status=503)
            verify_webhook(self.secrets[name], headers["webhook-id"], headers["webhook-timestamp"], raw,
                           headers["webhook-signature"], now_s=int(time.time()))  # fmt: skip
            with self._guard:
                self.came += 1
                if self.came % REFUSES_EVERY == 0:
                    return Response(status=503)
                self.taken[name].append(orjson.loads(raw))
                return Response(status=500 if self.came % FAILS_LATE_EVERY == 0 else 204)

        return app

    def subscribe(self, made: House, url: str, name: str, **more: str) -> None:
        """Subscribe, asking until there is an answer."""
        self.taken[name] = []
        asked = {"url": f"{url}/{name}", "types": list(TYPES), **more}
        status, told, _ = made.call("POST", "/subscriptions", asked, Idempotency_Key=f"subscribe-{name}")
        assert status == 201, told
        self.secrets[name] = told["secret"]


@dataclass
class Scene:
    """What is there when everything has been told."""

    house: House
    listener: Listener
    listener_url: str
    nats: NatsServer
    partners: Partners
    crowd: Crowd
    database: Database

    def waiting(self) -> int:
        with self.database.read() as tx:
            return int(tx.one(select(func.count().label("n")).where(outbox.c.state == "ready")).n)

    def dead(self) -> int:
        with self.database.read() as tx:
            return int(tx.one(select(func.count().label("n")).where(outbox.c.state == "dead")).n)

    def log(self) -> list[Any]:
        with self.database.read() as tx:
            return list(tx.rows(select(events.c.event_id, events.c.subject, events.c.body).order_by(events.c.position)))


class Settled:
    """Whether nothing waits and nothing was announced for longer than availability is left uncompared."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._seen, self._since = -1, time.monotonic()

    def __call__(self) -> bool:
        announced = len(self._scene.log())
        if announced != self._seen or self._scene.waiting():
            self._seen, self._since = announced, time.monotonic()
        return time.monotonic() - self._since > _ANNOUNCED_WITHIN_S


def play(database_url: str, directory: Path, stack: ExitStack, seed: int, orders_asked: int, kills: int) -> Scene:
    """Orders come in while processes are killed and begun again; returns when all is invoiced and told."""
    chance, listener, partners, port = Random(seed), Listener(), Partners(), free_port()
    partners.integration = f"http://127.0.0.1:{port}"
    database = Database(database_url, OpenGate())
    stack.callback(database.close)
    server = make_server("127.0.0.1", 0, listener.app(), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stack.callback(server.shutdown)
    nats = stack.enter_context(nats_server(directory))
    told = environment(database_url, stack.enter_context(serving(partners)), partners.integration,
                       availability_told_every="300ms")  # fmt: skip
    told["PEAKPROOF_NATS_URL"] = nats.url
    made = stack.enter_context(house(told, port, directory / "log", *NAMES))
    wait_until(lambda: made.answers() and _is_open(database), 60, "the integration is open for business")
    url = f"http://127.0.0.1:{server.server_port}"
    listener.subscribe(made, url, "first", since="2026-01-01T00:00:00Z")
    asked = [an_order(f"PO-{seed}-{number}", chance) for number in range(orders_asked)]
    crowd = Crowd(made, asked, threads=4, pause_s=0.1)
    crowd.begin()
    _kill(made, nats, chance, kills)
    crowd.join(120)
    wait_until(lambda: len(partners.count("invoice")) == orders_asked, 120, "every order is invoiced")
    scene = Scene(made, listener, url, nats, partners, crowd, database)
    wait_until(Settled(scene), 120, "no message waits, and nothing more is announced")
    return scene


def _kill(made: House, nats: NatsServer, chance: Random, kills: int) -> None:
    """Kill and begin again; for a quarter of that time there is no stream."""
    for number in range(kills):
        if number == kills // 2:
            nats.stop()
        time.sleep(chance.uniform(0.5, 1.5))
        name = chance.choice(NAMES)
        chance.choice((made.kill, made.kill_alone))(name)
        made.start(name)
        if number == 3 * kills // 4:
            nats.start()


def _is_open(database: Database) -> bool:
    with database.read() as tx:
        return len(tx.rows(select(stock.c.node).distinct())) == 3


def firsts(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each event where it was first taken."""
    return list({event["id"]: event for event in reversed(told)}.values())[::-1]


def by_subject(told: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The ids that a subject's events have, in the order in which they were first taken."""
    found: dict[str, list[str]] = {}
    for event in told:
        ids = found.setdefault(event["subject"], [])
        if event["id"] not in ids:
            ids.append(event["id"])
    return found


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.long
@pytest.mark.parametrize(("seed", "orders", "kills"), [(21, 250, 24), (22, 250, 24)])
def test_every_event_reaches_every_subscriber_however_often_processes_are_killed(
    postgres_url: str, tmp_path: Path, stack: ExitStack, seed: int, orders: int, kills: int
) -> None:
    scene = play(postgres_url, tmp_path, stack, seed, orders, kills)
    assert scene.crowd.attempts > orders, "no attempt met a killed process: the test shows nothing"
    assert scene.dead() == 0
    logged = [orjson.loads(row.body) for row in scene.log()]
    told = scene.listener.taken["first"]
    order_ids = sorted(order_id for _, order_id in scene.crowd.answered.values())

    assert sorted(scene.partners.count("booking")) == order_ids
    for event_type, kind in (("order.shipped", "confirmation"), ("order.invoiced", "invoice")):
        shipments = {event["data"]["shipment_id"] for event in told if event["type"] == event_type}
        assert shipments == set(scene.partners.count(kind))
    for order_id in order_ids:
        types = [event["type"] for event in firsts(told) if event["subject"] == order_id]
        assert (order_id, types) == (order_id, list(ORDER_TYPES))
    assert {event["id"] for event in told} == {event["id"] for event in logged}
    assert by_subject(told) == by_subject(logged)
    assert len({orjson.dumps(event) for event in told}) == len(logged), "a repetition differs from what it repeats"
    assert len(told) > len(logged), "nothing was told twice: the test shows nothing"

    _judge_stream(scene, logged)
    _judge_replay(scene, logged)


def _judge_stream(scene: Scene, logged: list[dict[str, Any]]) -> None:
    """The stream has every event once, each subject's in order, and gives them again from any place."""
    streamed = kept(scene.nats.url)
    ids = [event_id for _, event_id, _ in streamed]
    assert len(ids) == len(set(ids))
    bodies = [orjson.loads(body) for _, _, body in streamed]
    assert by_subject(bodies) == by_subject(logged)
    middle = len(ids) // 2
    since = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=middle + 1)
    assert [event_id for _, event_id, _ in kept(scene.nats.url, most=len(ids) - middle, config=since)] == ids[middle:]


def _judge_replay(scene: Scene, logged: list[dict[str, Any]]) -> None:
    """Whoever subscribes from the past is told what the first subscriber was told from then on, killed or not."""
    since = logged[len(logged) // 3]["time"]
    scene.listener.subscribe(scene.house, scene.listener_url, "later", since=since)
    for name in NAMES[1:]:
        scene.house.kill(name)
        scene.house.start(name)
    expected = [event for event in logged if event["time"] >= since]
    wait_until(Settled(scene), 60, "all of the past is told again")
    later = scene.listener.taken["later"]
    assert by_subject(later) == by_subject(expected)
    assert by_subject(
        [event for event in firsts(scene.listener.taken["first"]) if event["time"] >= since]
    ) == by_subject(later)
