"""The Flask application: blueprints behind the contract's guard."""

from collections.abc import Sequence
from functools import partial

from flask import Blueprint, Flask, request
from flask.typing import ResponseReturnValue

from contracts.edge import ProblemError, guard
from integration.experience.access import Access
from integration.storage import DatabaseFailed

MAX_BODY_BYTES = 2_000_000


def create_app(blueprints: Sequence[Blueprint], access: Access, *, hide_failures: bool) -> Flask:
    """An application that serves contracts/openapi/orders.yaml.

    `hide_failures`: answer 500 to an unexpected exception, as in production, instead of letting it out.
    """
    app = Flask("integration", static_folder=None)
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    app.register_error_handler(DatabaseFailed, partial(_put_off, app))
    guard(app, "orders", max_body_bytes=MAX_BODY_BYTES, authenticate=access.authenticate, hide_failures=hide_failures)
    access.tell_quota(app)
    return app


def _put_off(app: Flask, error: DatabaseFailed) -> ResponseReturnValue:
    """Nothing is said of the database to those who call; whoever runs it finds it in the log."""
    app.logger.error("%s %s is put off: %s", request.method, request.path, error)
    detail = "the database can't be used now; repeat with the same key"
    return app.handle_user_exception(ProblemError("overloaded", detail, {"Retry-After": "1"}))
