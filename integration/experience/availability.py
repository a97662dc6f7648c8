"""What can be ordered now, per sku and node."""

from flask import Blueprint, Response

from contracts.edge import query, reply
from contracts.wire import iso
from integration.process.inventory import Inventory
from integration.runtime import Clock
from integration.storage import Database

DEFAULT_PAGE_SIZE = 200


def create_blueprint(database: Database, inventory: Inventory, clock: Clock) -> Blueprint:
    """The route /availability."""
    blueprint = Blueprint("availability", __name__)

    @blueprint.get("/availability")
    def read_availability() -> Response:
        asked = query()
        page, page_size = asked.get("page", 1), asked.get("page_size", DEFAULT_PAGE_SIZE)
        skus = asked.get("sku")
        with database.read() as tx:
            found = inventory.availability(tx, skus) if skus else inventory.availability_page(tx, page, page_size)
            as_of = iso(clock.now_us())
        more = not skus and len(found) == page_size
        items = [
            {
                "sku": sku,
                "available": sum(by_node.values()),
                "nodes": [{"node": node, "available": quantity} for node, quantity in by_node.items()],
            }
            for sku, by_node in found.items()
        ]
        return reply({"items": items, "as_of": as_of, "next_page": page + 1 if more else None})

    return blueprint
