"""A corner shop's order service, as a team might have written it: Flask, requests, sqlite3, and nothing of Peakproof.

`create_app` is the service as it went live, with a bug that its own tests never showed. `create_mended_app` is the same
service after the bug was found. docs/your-own-integration.md tells the story.
"""

from functools import partial

from flask import Flask

from .partners import Clock, Partners
from .shop import Ids, Shop, routes
from .store import Store
from .worker import Tasks, Worker


def create_app(
    clock: Clock,
    tasks: Tasks,
    ids: Ids,
    url: str,
    partners: dict[str, str],
    credentials: dict[str, str],
    webhook_secrets: dict[str, str],
    channel_tokens: dict[str, str],
    database: str,
    stable_release_ids: bool = False,
) -> Flask:
    """The service, ready to serve: reference data read, webhooks subscribed, background work begun."""
    store = Store(database)
    talk = Partners(partners, credentials, clock)
    worker = Worker(store, talk, clock, tasks, stable_release_ids)
    shop = Shop(store, talk, clock, ids, webhook_secrets, worker.wake)
    talk.subscribe(f"{url}/webhooks/wms-east", webhook_secrets["wms-east"])
    shop.read_reference_data()
    shop.read_stock()
    tasks.spawn("worker", worker.run)
    app = Flask(__name__)
    routes(app, shop, channel_tokens)
    return app


create_mended_app = partial(create_app, stable_release_ids=True)
"""The service with the bug mended: a release keeps its id, however often it is posted."""
