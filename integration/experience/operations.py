"""What the people who run the integration look at: queues, dead letters, health."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from flask import Blueprint, Response

from contracts.edge import ProblemError, query, reply
from contracts.wire import iso
from integration.process.inventory import Inventory
from integration.process.reference import Reference
from integration.runtime import Clock
from integration.settings import SECOND, Settings
from integration.storage import Database, Transaction


class LaneFigures(Protocol):
    """How one outbound lane stands."""

    @property
    def lane(self) -> str: ...
    @property
    def ready(self) -> int: ...
    @property
    def oldest_age_ms(self) -> int: ...
    @property
    def dead(self) -> int: ...
    @property
    def breaker(self) -> str: ...


class DeadLetters(Protocol):
    """The operator's view of outbound messages."""

    def listing(self, tx: Transaction, after_id: int = 0, most: int = 100) -> list[dict[str, Any]]: ...

    def redrive(self, tx: Transaction, message_id: int) -> bool: ...

    def figures(self, tx: Transaction) -> Sequence[LaneFigures]: ...


_LETTER_FIELDS = ("message_id", "lane", "kind", "business_key", "correlation_id", "attempts", "error_class",
                  "last_error")  # fmt: skip


def create_blueprint(
    database: Database,
    clock: Clock,
    settings: Settings,
    dead_letters: DeadLetters,
    reference: Reference,
    inventory: Inventory,
) -> Blueprint:
    """The routes under /operations."""
    blueprint = Blueprint("operations", __name__)

    @blueprint.get("/operations/queues")
    def list_queues() -> Response:
        with database.read() as tx:
            figures = dead_letters.figures(tx)
        return reply({"lanes": [_lane(lane) for lane in figures]})

    @blueprint.get("/operations/dead-letters")
    def list_dead_letters() -> Response:
        page, page_size = query()["page"], query()["page_size"]
        with database.read() as tx:
            rows = dead_letters.listing(tx, 0, page * page_size + 1)
        shown = rows[(page - 1) * page_size : page * page_size]
        more = len(rows) > page * page_size
        return reply({"items": [_letter(row) for row in shown], "next_page": page + 1 if more else None})

    @blueprint.post("/operations/dead-letters/<message_id>/redrive")
    def redrive(message_id: str) -> Response:
        if not database.transact(lambda tx: dead_letters.redrive(tx, int(message_id))):
            raise ProblemError("conflicting-state", f"message {message_id} is not a dead letter")
        return reply({"message_id": int(message_id), "state": "ready"})

    @blueprint.get("/operations/health")
    def read_health() -> Response:
        with database.read() as tx:
            oldest_us = reference.view(tx).oldest_us
            silent = [node for node in settings.nodes if node not in inventory.nodes_heard(tx)]
            figures = dead_letters.figures(tx)
        checks = [_reference_check(settings, clock.now_us(), oldest_us), _stock_check(silent)]
        checks += [_lane_check(lane) for lane in figures]
        ok = all(check["status"] == "ok" for check in checks)
        return reply({"status": "ok" if ok else "degraded", "checks": checks})

    return blueprint


def _lane(lane: LaneFigures) -> dict[str, Any]:
    return {
        "lane": lane.lane,
        "ready": lane.ready,
        "oldest_age_ms": lane.oldest_age_ms if lane.ready else None,
        "dead": lane.dead,
        "breaker": lane.breaker,
    }


def _letter(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: row[name] for name in _LETTER_FIELDS}, "created_at": iso(row["created_at_us"])}


def _check(name: str, good: bool, detail: str) -> dict[str, str]:
    return {"name": name, "status": "ok" if good else "degraded", "detail": detail}


def _reference_check(settings: Settings, now_us: int, oldest_us: int | None) -> dict[str, str]:
    if oldest_us is None:
        return _check("reference data", False, "never loaded")
    age_us = now_us - oldest_us
    return _check("reference data", age_us <= settings.reference_max_age_us, f"synchronized {age_us // SECOND} s ago")


def _stock_check(silent: Sequence[str]) -> dict[str, str]:
    return _check("stock", not silent, f"never read from {', '.join(silent)}" if silent else "read from every node")


def _lane_check(lane: LaneFigures) -> dict[str, str]:
    good = lane.breaker == "closed" and lane.dead == 0
    return _check(f"lane {lane.lane}", good, f"breaker {lane.breaker}, {lane.ready} ready, {lane.dead} dead")
