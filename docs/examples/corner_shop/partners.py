"""The partners over HTTP, with a plain `requests.Session`. The time-out is long: carriers take seconds for a label."""

from collections.abc import Iterator
from typing import Any, Protocol

import requests

TIMEOUT_S = 30.0
WAREHOUSE = "wms-east"
EVENTS = ["release.picked", "release.packed", "release.shipped", "inventory.changed"]


class Clock(Protocol):
    def now_us(self) -> int: ...

    def sleep(self, duration_us: int) -> None: ...


class Partners:
    """ERP, warehouse and carrier."""

    def __init__(self, urls: dict[str, str], credentials: dict[str, str], clock: Clock) -> None:
        self._urls = urls
        self._credentials = credentials
        self._clock = clock
        self._session = requests.Session()
        self._erp_token = ""
        self._erp_token_ends_us = 0

    def subscribe(self, url: str, secret: str) -> None:
        self._post(WAREHOUSE, "/subscriptions", {"url": url, "secret": secret, "types": EVENTS})

    def all_of(self, partner: str, path: str) -> Iterator[dict[str, Any]]:
        """Every row of a paged list."""
        page: int | None = 1
        while page is not None:
            answer = self._get(partner, path, {"page": page})
            yield from answer["items"]
            page = answer["next_page"]

    def stock(self) -> tuple[int, list[dict[str, Any]]]:
        """The warehouse's stock and the number of its last booking; read anew when it moved between two pages."""
        while True:
            pages = [self._get(WAREHOUSE, "/stock", {"page": 1})]
            while pages[-1]["next_page"] is not None:
                pages.append(self._get(WAREHOUSE, "/stock", {"page": pages[-1]["next_page"]}))
            if pages[0]["as_of_sequence"] == pages[-1]["as_of_sequence"]:
                return pages[0]["as_of_sequence"], [item for page in pages for item in page["items"]]

    def book(self, key: str, body: dict[str, Any], trace: str) -> dict[str, Any]:
        return self._post("erp", "/sales-orders", body, key, trace)

    def release(self, key: str, body: dict[str, Any], trace: str) -> dict[str, Any]:
        return self._post(WAREHOUSE, "/releases", body, key, trace)

    def label(self, key: str, body: dict[str, Any], trace: str) -> dict[str, Any]:
        return self._post("carrier", "/labels", body, key, trace)

    def attach_labels(self, release_id: str, body: dict[str, Any], trace: str) -> dict[str, Any]:
        return self._post(WAREHOUSE, f"/releases/{release_id}/labels", body, f"labels-{release_id}", trace)

    def confirm_shipment(self, key: str, body: dict[str, Any], trace: str) -> dict[str, Any]:
        return self._post("erp", "/shipments", body, f"shipment-{key}", trace)

    def invoice(self, key: str, body: dict[str, Any], trace: str) -> dict[str, Any]:
        return self._post("erp", "/invoices", body, f"invoice-{key}", trace)

    def _get(self, partner: str, path: str, query: dict[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token(partner)}"}
        return _json(self._session.get(self._urls[partner] + path, params=query, headers=headers, timeout=TIMEOUT_S))

    def _post(self, partner: str, path: str, body: dict[str, Any], key: str = "", trace: str = "") -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token(partner)}"}
        if key:
            headers["Idempotency-Key"] = key
        if trace:
            headers["traceparent"] = trace
        return _json(self._session.post(self._urls[partner] + path, json=body, headers=headers, timeout=TIMEOUT_S))

    def _token(self, partner: str) -> str:
        """The ERP's tokens expire, the others' do not."""
        if partner != "erp":
            return self._credentials[partner]
        if self._clock.now_us() >= self._erp_token_ends_us:
            body = {
                "grant_type": "client_credentials",
                "client_id": "integration",
                "client_secret": self._credentials["erp"],
            }
            answer = _json(self._session.post(self._urls["erp"] + "/oauth/token", json=body, timeout=TIMEOUT_S))
            self._erp_token = answer["access_token"]
            self._erp_token_ends_us = self._clock.now_us() + answer["expires_in"] * 900_000
        return self._erp_token


def _json(answer: requests.Response) -> dict[str, Any]:
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found
