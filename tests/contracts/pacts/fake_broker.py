"""A small Pact Broker: it holds what was published, and what it was asked and told."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import orjson
from flask import Flask, Response, request
from werkzeug.serving import make_server

TOKEN = "broker-token"


@dataclass
class FakeBroker:
    """`pacts` are documents by consumer and provider; `asked` every request as (method, path, body)."""

    pacts: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    pending: bool = False
    takes_results: bool = True
    logins: list[str] = field(default_factory=list)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    url: str = ""

    def app(self) -> Flask:
        app = Flask("broker")

        @app.before_request
        def note() -> Response | None:
            self.logins.append(request.headers.get("Authorization", ""))
            self.asked.append((request.method, request.path, request.get_json(silent=True)))
            if self.logins[-1] not in (f"Bearer {TOKEN}", "Basic " + base64.b64encode(b"ann:secret").decode()):
                return _hal({"error": "Please log in"}, 401)
            return None

        app.get("/")(self._index)
        app.post("/contracts/publish")(self._publish)
        app.route("/pacts/provider/<provider>/for-verification", methods=["GET", "POST"])(self._for_verification)
        app.get("/pacts/<consumer>/<provider>")(self._pact)
        app.put("/pacticipants/<provider>/branches/<branch>/versions/<number>")(self._branch)
        app.post("/results/<consumer>/<provider>")(self._result)
        app.get("/pacticipants/<provider>")(self._pacticipant)
        return app

    def _index(self) -> Response:
        links = {
            "pb:provider-pacts-for-verification": {
                "href": f"{self.url}/pacts/provider/{{provider}}/for-verification",
                "templated": True,
            },
            "pb:pacticipant": {"href": f"{self.url}/pacticipants/{{pacticipant}}", "templated": True},
            "pb:pacticipant-branch-version": {
                "href": f"{self.url}/pacticipants/{{pacticipant}}/branches/{{branch}}/versions/{{version}}",
                "templated": True,
            },
        }
        return _hal({"_links": links})

    def _pacticipant(self, provider: str) -> Response:
        branch = f"{self.url}/pacticipants/{provider}/branches/{{branch}}/versions/{{version}}"
        links = {"pb:branch-version": {"href": branch, "templated": True}}
        return _hal({"name": provider, "_links": links})

    def _publish(self) -> Response:
        told = request.get_json()
        for one in told["contracts"]:
            document = orjson.loads(base64.b64decode(one["content"]))
            self.pacts[one["consumerName"], one["providerName"]] = document
        text = f"{told['pacticipantName']} {told['pacticipantVersionNumber']}: {len(told['contracts'])} pacts published"
        return _hal({"notices": [{"type": "success", "text": text}]})

    def _for_verification(self, provider: str) -> Response:
        embedded = [
            {
                "shortDescription": "latest",
                "verificationProperties": {"pending": self.pending, "notices": []},
                "_links": {"self": {"href": f"{self.url}/pacts/{consumer}/{provider}", "name": f"{consumer} pact"}},
            }
            for consumer, of in self.pacts
            if of == provider
        ]
        return _hal({"_embedded": {"pacts": embedded}, "_links": {"self": {"href": request.url}}})

    def _pact(self, consumer: str, provider: str) -> Response:
        results = {"href": f"{self.url}/results/{consumer}/{provider}"}
        links = {
            "self": {"href": request.url},
            "pb:provider": {"href": f"{self.url}/pacticipants/{provider}"},
            "pb:publish-verification-results": results,
        }
        return _hal({**self.pacts[consumer, provider], "_links": links})

    def _branch(self, provider: str, branch: str, number: str) -> Response:
        return _hal({"name": branch, "version": number, "provider": provider})

    def _result(self, consumer: str, provider: str) -> Response:
        if not self.takes_results:
            return _hal({"error": "the books are closed"}, 403)
        return _hal({"consumer": consumer, "provider": provider}, 201)

    def told_results(self) -> list[dict[str, Any]]:
        """The results that were published."""
        return [body for method, path, body in self.asked if method == "POST" and path.startswith("/results/")]


@contextmanager
def running(broker: FakeBroker) -> Iterator[FakeBroker]:
    """The broker on loopback; its `url` says where."""
    server = make_server("127.0.0.1", 0, broker.app(), threaded=True)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    broker.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield broker
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _hal(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, content_type="application/hal+json")
