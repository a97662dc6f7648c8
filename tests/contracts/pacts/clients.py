"""Two consumers of the order API, as their own teams would write them: a storefront and a customer portal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import urllib3

_TYPE = "urn:peakproof:problem:"


class OrderRefused(Exception):
    """What was asked was refused for good; `why` is the problem's name."""

    def __init__(self, why: str, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{why}: {problem.get('detail')}")
        self.why = why
        self.problem = problem


class TryLater(Exception):
    """Not now; `after_s` is how long to wait, 0 where the integration did not say."""

    def __init__(self, why: str, after_s: int) -> None:
        super().__init__(f"{why}, in {after_s} s")
        self.why = why
        self.after_s = after_s


class LoginExpired(Exception):
    """The channel's token is not taken."""


@dataclass(frozen=True)
class Placed:
    """What the shopper is told. `again`: it is the answer of an earlier attempt."""

    order_id: str
    total: str
    confirmed: int
    backordered: int
    again: bool


class _Channel:
    def __init__(self, url: str, token: str = "good-token") -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._pool = urllib3.PoolManager(retries=False, timeout=5)

    def _call(self, method: str, path: str, **more: Any) -> urllib3.BaseHTTPResponse:
        headers = {"Authorization": f"Bearer {self._token}", **more.pop("headers", {})}
        answer = self._pool.request(method, self._url + path, headers=headers, **more)
        if answer.status == 401:
            raise LoginExpired
        if answer.status in (429, 503):
            why = answer.json()["type"].removeprefix(_TYPE)
            raise TryLater(why, int(answer.headers["Retry-After"]))
        if answer.status >= 400:
            problem = answer.json()
            why = problem["type"].removeprefix(_TYPE)
            if why == "request-in-flight":
                raise TryLater(why, 0)
            raise OrderRefused(why, problem)
        return answer


class Storefront(_Channel):
    """Shows what can be had, and orders it."""

    def available(self, *skus: str) -> dict[str, int]:
        """Units that can be promised now, by sku."""
        answer = self._call("GET", "/availability", fields=[("sku", sku) for sku in skus])
        return {item["sku"]: item["available"] for item in answer.json()["items"]}

    def place(self, order: Mapping[str, Any], key: str) -> Placed:
        """Place an order. Repeat it with the same key when nothing was heard."""
        answer = self._call("POST", "/orders", json=order, headers={"Idempotency-Key": key})
        told = answer.json()
        assert answer.headers["Location"] == f"/orders/{told['order_id']}"
        return Placed(
            order_id=told["order_id"],
            total=f"{told['total_minor'] / 100:.2f} {told['currency']}",
            confirmed=sum(line["confirmed"] for line in told["lines"]),
            backordered=sum(line["backordered"] for line in told["lines"]),
            again=answer.headers.get("Idempotent-Replayed") == "true",
        )

    def subscribe(self, url: str, key: str, *types: str) -> tuple[str, str]:
        """Have events of these types sent to a URL from now on; the subscription's id, and the secret that signs."""
        body = {"url": url, "types": types}
        told = self._call("POST", "/subscriptions", json=body, headers={"Idempotency-Key": key}).json()
        assert told["status"] == "active"
        return told["subscription_id"], told["secret"]

    def renew_secret(self, url: str, key: str, *types: str) -> str:
        """Have a new secret; the one before holds for a while beside it."""
        body = {"url": url, "types": types, "new_secret": True}
        told = self._call("POST", "/subscriptions", json=body, headers={"Idempotency-Key": key}).json()
        return str(told["secret"])

    def subscriptions(self) -> dict[str, tuple[str, str]]:
        """The id and the status of each, by URL."""
        items = self._call("GET", "/subscriptions").json()["items"]
        return {item["url"]: (item["subscription_id"], item["status"]) for item in items}

    def unsubscribe(self, subscription_id: str) -> None:
        """Have nothing more sent; one that is no longer there is as good."""
        try:
            self._call("DELETE", f"/subscriptions/{subscription_id}")
        except OrderRefused as refusal:
            if refusal.why != "not-found":
                raise


class Portal(_Channel):
    """Shows customers their orders, and cancels them."""

    def order(self, order_id: str) -> dict[str, Any]:
        """What the page of one order shows."""
        told = self._call("GET", f"/orders/{order_id}").json()
        return {
            "status": told["status"],
            "lines": [(line["sku"], line["ordered"], line["shipped"]) for line in told["lines"]],
            "from": [part["node"] for part in told["fulfillments"]],
            "parcels": [(parcel["tracking_number"], parcel["tracking_status"]) for parcel in told["parcels"]],
            "invoices": told["invoices"],
            "history": [entry["event"] for entry in told["timeline"]],
        }

    def invoices(self, order_id: str) -> list[tuple[str, str, int]]:
        """Number, net amount and units of each invoice of an order."""
        told = self._call("GET", f"/orders/{order_id}/invoices").json()
        return [
            (
                item["invoice_id"],
                f"{item['net_minor'] / 100:.2f} {told['currency']}",
                sum(line["quantity"] for line in item["lines"]),
            )
            for item in told["items"]
        ]

    def find(self, customer_id: str, order_reference: str) -> str | None:
        """The order of a customer's reference."""
        fields = {"customer_id": customer_id, "order_reference": order_reference}
        items = self._call("GET", "/orders", fields=fields).json()["items"]
        return str(items[0]["order_id"]) if items else None

    def cancel(self, order_id: str, key: str, quantity: int | None = None, line_no: int = 1) -> str:
        """Cancel all that is open, or some of a line: "cancelled", or "requested" where a warehouse must agree."""
        body: dict[str, Any] = {"reason": "customer"}
        if quantity is not None:
            body["lines"] = [{"line_no": line_no, "quantity": quantity}]
        headers = {"Idempotency-Key": key}
        return str(self._call("POST", f"/orders/{order_id}/cancel", json=body, headers=headers).json()["result"])
