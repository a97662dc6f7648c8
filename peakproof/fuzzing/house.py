"""Hosts of the test house as targets: in one process, in virtual time, with books that can be looked into."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from contracts.validation import Contract
from contracts.wire import sign_webhook
from peakproof.certification.transport import Reply, Request
from peakproof.fuzzing.door import PLACEHOLDER, SIGNED, header
from peakproof.fuzzing.errors import FuzzError
from peakproof.fuzzing.known import Known
from peakproof.fuzzing.promises import Books
from peakproof.live import house
from peakproof.live.sandbox import HostGone, Sandbox
from peakproof.live.sandbox import Request as Call
from scenarios.stage import CONTRACT_OF, MONITOR
from scenarios.trade import CURRENCY
from simulators.kernel.chance import Chance
from simulators.kernel.tampering import Answer
from simulators.kernel.tasks import KernelError

HOST_OF = {"orders": "integration", "erp": "erp", "wms": "wms-east", "threepl": "threepl", "carrier": "carrier"}
"""The role as it is named on the command line (as its document is), and the host that plays it."""
UNLIMITED = {
    "erp": {"settings.quota": "{kind: window, calls: 1000000000, per: 1s}"},
    "wms-east": {},
    "threepl": {"settings.limit": "{kind: bucket, per_second: 1000000, burst: 1000000}"},
    "carrier": {"settings.quota": "{kind: window, calls: 1000000000, per: 1s}"},
    "integration": {},
}
_KEEPS_EVENTS = {"integration.keep_events": "7d", "integration.availability_told_every": "1h"}
MOST_FALLS = 40
"""How often a house is opened anew in one run before the run is given up."""
_TOKEN_LIFE_US = 600_000_000
_BY_REQUEST = ("release_accepted", "release_cancelled", "adjustment", "receipt", "label", "label_voided", "void")
_SIGNED_SHARE = 0.8


class HouseTarget:
    """One host of a house of its own. A context manager.

    What the host's own code lets out ends its world: it is told once, and the next request finds a new house.
    `overrides` are those of `--set`.
    """

    def __init__(self, role: str, seed: int, overrides: Mapping[str, str] | None = None) -> None:
        if role not in HOST_OF:
            raise FuzzError(f"there is no role {role!r} to fuzz: choose one of {', '.join(HOST_OF)}, or give --url")
        self.role = role
        self.host = HOST_OF[role]
        self.contract = Contract.load(CONTRACT_OF[self.host])
        self.base_url = f"http://{self.host}"
        self.box: Sandbox
        self.falls = 0
        self._seed = seed
        self.overrides = {**(_KEEPS_EVENTS if self.host == "integration" else {}), **(overrides or {})}
        self._chance = Chance(seed)
        self._stack = ExitStack()
        self._tokens: dict[str, tuple[str, int]] = {}
        self._database: sqlite3.Connection | None = None

    def __enter__(self) -> "HouseTarget":
        self._open()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stack.close()

    def _open(self) -> None:
        self._stack.close()
        self._tokens.clear()
        self.box = self._stack.enter_context(Sandbox.open(seed=self._seed, overrides=self.overrides))
        if self.host == "integration":
            self._database = _database_of(self.box)
            self._stack.callback(self._database.close)

    def send(self, request: Request) -> Reply:
        return self.together([request])[0]

    def together(self, requests: Sequence[Request]) -> list[Reply]:
        started_us = self.box.now_us()
        calls = [Call(each.method, each.path, each.headers, each.body) for each in requests]
        try:
            answers = self.box.together(self.host, calls)
        except KernelError as error:
            return [self._fallen(error)] * len(requests)
        elapsed_us = self.box.now_us() - started_us
        return [_reply(answer, elapsed_us) for answer in answers]

    def _fallen(self, error: KernelError) -> Reply:
        self.falls += 1
        if self.falls > MOST_FALLS:
            raise FuzzError(
                f"the house fell {self.falls} times under {self.role}: mend what was found first"
            ) from error
        cause = error.__cause__ or error
        self._open()
        return Reply(0, {}, b"", 0, "broken", f"its own code failed with {type(cause).__name__}: {cause}")

    def sealed(self, request: Request, draw: int) -> Request:
        path = request.path.partition("?")[0]
        if self.host == "integration" and path.startswith("/webhooks/"):
            return self._signed(request, path.removeprefix("/webhooks/"), draw)
        if header(request, "Authorization") != PLACEHOLDER:
            return request
        headers = {name: value for name, value in request.headers.items() if name.lower() != "authorization"}
        return Request(request.method, request.path, {**headers, "Authorization": self.token(path)}, request.body)

    def token(self, path: str) -> str:
        """A good Authorization for a path, fetched anew before it is too old."""
        client = MONITOR if path.startswith("/operations/") else ""
        kept = self._tokens.get(client)
        if kept is None or self.box.now_us() - kept[1] > _TOKEN_LIFE_US:
            value = self.box.headers(self.host, client)["Authorization"]
            kept = self._tokens[client] = (value, self.box.now_us())
        return kept[0]

    def books(self) -> Books | None:
        if self._database is not None:
            return _books_of_integration(self._database)
        return _books_of_partner(self.box, self.host)

    def _signed(self, request: Request, partner: str, draw: int) -> Request:
        secret = self.box.stage.keys.webhook_secrets.get(partner)
        webhook_id = header(request, "webhook-id")
        if secret is None or not webhook_id or not self._is_to_be_signed(header(request, "webhook-signature"), draw):
            return request
        now_s = self.box.now_us() // 1_000_000
        headers = {
            **{name: value for name, value in request.headers.items() if not name.lower().startswith("webhook-")},
            "webhook-id": webhook_id,
            "webhook-timestamp": str(now_s),
            "webhook-signature": sign_webhook(secret, webhook_id, now_s, request.body),
        }
        return Request(request.method, request.path, headers, request.body)

    def _is_to_be_signed(self, signature: str, draw: int) -> bool:
        """Most that is generated, so that it comes past the signature; of what a script sends, what it says."""
        if signature.startswith("v1,"):
            return signature == SIGNED
        return self._chance.hit(_SIGNED_SHARE, "signed", draw)


def house_of(role: str, seed: int, overrides: Mapping[str, str] | None = None) -> HouseTarget:
    """The host that plays a role, without the limits that would turn most generated requests away."""
    chosen = _free_of_limits(HOST_OF[role]) if role in HOST_OF else {}
    return HouseTarget(role, seed, {**chosen, **(overrides or {})})


def known_of_house(seed: int, box: Sandbox | None = None) -> Known:
    """What the house's ERP, nodes and integration know from the start."""
    skus = [*house.PRICES_MINOR, house.UNSTOCKED]
    master: dict[str, Sequence[Any]] = {
        "sku": skus,
        "customer_id": [*house.CUSTOMERS, house.BLOCKED],
        "currency": [CURRENCY],
        "unit": ["EA"],
        "partner": ["wms-east", "wms-west", "carrier"],
        "url": ["http://integration/webhooks/wms-east"],
    }
    if box is not None:
        master |= {"client_id": ["integration"], "client_secret": [box.stage.keys.integration_at["erp"]]}
    return Known(master, Chance(seed))


def _free_of_limits(host: str) -> dict[str, str]:
    return {f"cast.{host}.{name}": value for name, value in UNLIMITED[host].items()}


def _reply(answer: Answer | HostGone, elapsed_us: int) -> Reply:
    if isinstance(answer, HostGone):
        return Reply(0, {}, b"", elapsed_us, "broken", str(answer))
    return Reply(answer.status, answer.headers, answer.body, elapsed_us)


def _books_of_partner(box: Sandbox, host: str) -> Books:
    stage = box.stage
    if host == "erp":
        books = stage.erp.books
        made = {"orders": len(books.orders), "shipments": len(books.shipments), "invoices": len(books.invoices)}
        return Books(made, {"entries": stage.erp.ledger.entries})
    if host == "carrier":
        return Books({"labels": len(stage.carrier.books.labels)}, _entered(stage.carrier.ledger.by_kind))
    if host == "threepl":
        return Books(
            {"orders": len(stage.threepl.model.orders)}, _entered(stage.threepl.ledger.by_kind, "adjustment", "receipt")
        )
    warehouse = stage.warehouses[host]
    releases = sum(len(each) for each in warehouse.model.releases.values())
    return Books({"releases": releases}, _entered(warehouse.ledger.by_kind))


def _entered(by_kind: Mapping[str, int], *kinds: str) -> dict[str, int]:
    return {kind: by_kind[kind] for kind in kinds or _BY_REQUEST if kind in by_kind}


# Of what is written here, only an order comes from nothing but a request: webhooks and workers write all day.
_ORDERS = "SELECT count(*) FROM orders"


def _books_of_integration(database: sqlite3.Connection) -> Books:
    (orders,) = database.execute(_ORDERS).fetchone()
    return Books({"orders": orders}, {})


def _database_of(box: Sandbox) -> sqlite3.Connection:
    file = box.stage.settings.database_url.removeprefix("sqlite:///")
    return sqlite3.connect(f"file:{file}?mode=ro", uri=True, check_same_thread=False)
