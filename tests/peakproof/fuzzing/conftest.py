"""A small partner with two operations, that can be given one bug at a time."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from flask import Flask, Response, request
from werkzeug.test import Client

from contracts.documents import load_document
from contracts.edge import ProblemError, body, guard, reply
from contracts.validation import Contract, Operation
from peakproof.certification.transport import Reply, Request
from peakproof.fuzzing.door import PLACEHOLDER, Door, header
from peakproof.fuzzing.findings import Findings
from peakproof.fuzzing.known import Known
from peakproof.fuzzing.promises import Books
from simulators.kernel.chance import Chance

GOOD = "Bearer good"
PATH = "/receipts"


class Dock:
    """POST /receipts and GET /stock of the WMS contract. `bug` names what it does wrong; nobody sees the books of one
    that is `closed`."""

    def __init__(self, bug: str = "", *, closed: bool = False) -> None:
        self.role = "wms"
        self.base_url = "http://dock"
        document = load_document("wms")
        self.contract = Contract(
            "wms", {**document, "paths": {path: document["paths"][path] for path in (PATH, "/stock")}}
        )
        self.received: dict[str, dict[str, Any]] = {}
        self.entries = 0
        self._bug = bug
        self._closed = closed
        self._keys: dict[str, bytes] = {}
        self._at_once = False
        self._client = Client(self._app())

    def send(self, request: Request) -> Reply:
        try:
            answer = self._client.open(
                request.path, method=request.method, headers=dict(request.headers), data=request.body
            )
        except RuntimeError as error:
            return Reply(0, {}, b"", 0, "broken", str(error))
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Reply(answer.status_code, headers, answer.data, 0)

    def together(self, requests: Sequence[Request]) -> list[Reply]:
        self._at_once = True
        replies = [self.send(each) for each in requests]
        self._at_once = False
        return replies

    def sealed(self, request: Request, draw: int) -> Request:
        del draw
        if header(request, "Authorization") != PLACEHOLDER:
            return request
        headers = {name: value for name, value in request.headers.items() if name.lower() != "authorization"}
        return Request(request.method, request.path, {**headers, "Authorization": GOOD}, request.body)

    def books(self) -> Books | None:
        return None if self._closed else Books({"receipts": len(self.received)}, {"entries": self.entries})

    def _app(self) -> Flask:
        app = Flask("dock")
        guard(app, "wms", authenticate=self._authenticate)
        app.add_url_rule(PATH, "receive", self._answer, methods=["POST"])
        app.add_url_rule("/stock", "stock", self._stock, methods=["GET"])
        app.before_request_funcs.setdefault(None, []).insert(0, self._before)
        app.after_request(self._after)
        return app

    def _authenticate(self, operation: Operation) -> None:
        if self._bug != "needs no token" and request.headers.get("Authorization") != GOOD:
            raise ProblemError("bad-token", "show the good one", {"WWW-Authenticate": "Bearer"})

    def _before(self) -> None:
        if self._bug == "lets its code fail":
            raise RuntimeError("ContractBreach: no such answer")
        if self._bug == "enters before it refuses" and request.method == "POST":
            self.entries += 1

    def _stock(self) -> Response:
        items = [{"sku": "85123A", "on_hand": self.entries, "held": 0}]
        return reply({"as_of_sequence": self.entries, "items": items, "next_page": None})

    def _answer(self) -> Response:
        asked = body()
        key = request.headers["Idempotency-Key"]
        known = self._keys.get(key)
        if known is not None and known != request.get_data() and self._bug != "takes another payload":
            raise ProblemError("idempotency-key-reused", "take a new one")
        if asked["quantity"] > 1_000_000:
            raise ProblemError("unknown-sku", "no room for so many")
        self._keys[key] = request.get_data()
        is_new = asked["receipt_id"] not in self.received
        if not is_new and known is not None and self._bug == "enters twice":
            self.entries += 1
        if self._at_once and self._bug == "makes two at once":
            asked = {**asked, "receipt_id": f"{asked['receipt_id'][:40]}.{len(self.received)}"}
            is_new = True
        if is_new:
            self.received[asked["receipt_id"]] = asked
            self.entries += 1
        answer = {name: asked[name] for name in ("receipt_id", "sku", "quantity")}
        return reply(answer, 201) if is_new else reply(answer, 200, {"Idempotent-Replayed": "true"})

    def _after(self, response: Response) -> Response:
        is_done = response.status_code < 300 and request.method == "POST"
        is_refused = response.status_code == 422 and request.method == "POST"
        if is_done and self._bug == "fails":
            response.status_code = 500
        elif is_done and self._bug == "answers what is not documented":
            response.status_code = 206
        elif is_done and self._bug == "forgets a member":
            response.set_data(response.get_data().replace(b'"quantity"', b'"count"'))
        elif is_refused and self._bug == "refuses in plain text":
            response.content_type = "text/plain"
        elif is_refused and self._bug == "refuses with a problem of its own":
            response.set_data(response.get_data().replace(b"problem:", b"problem:own-"))
        elif is_refused and self._bug == "refuses with a problem from elsewhere":
            response.set_data(response.get_data().replace(b"problem:invalid-request", b"problem:credit-exceeded"))
        elif is_refused and self._bug == "accepts anything":
            answer = {"receipt_id": "rcp-1", "sku": "85123A", "quantity": 1}
            return reply(answer, 201)
        return response


def door_to(dock: Dock, seed: int = 1) -> Door:
    master = {"sku": ["85123A", "22423"]}
    return Door(dock, Known(master, Chance(seed)), seed, Findings())


@pytest.fixture
def door() -> Iterator[Door]:
    yield door_to(Dock())
