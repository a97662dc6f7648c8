"""The Flask application: blueprints behind the contract's guard."""

from collections.abc import Sequence

from flask import Blueprint, Flask

from contracts.edge import guard
from integration.experience.access import Access

MAX_BODY_BYTES = 2_000_000


def create_app(blueprints: Sequence[Blueprint], access: Access, *, hide_failures: bool) -> Flask:
    """An application that serves contracts/openapi/orders.yaml.

    `hide_failures`: answer 500 to an unexpected exception, as in production, instead of letting it out.
    """
    app = Flask("integration", static_folder=None)
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    guard(app, "orders", max_body_bytes=MAX_BODY_BYTES, authenticate=access.authenticate, hide_failures=hide_failures)
    return app
