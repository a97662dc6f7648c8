"""The ERP: orders, shipment confirmations, invoices, reference data. Consumer side of contracts/openapi/erp.yaml."""

from collections.abc import Iterator, Mapping
from typing import Any

from integration.messaging.message import Stamp
from integration.messaging.outcomes import Done, ErrorClass, Outcome, Refused, Retry, Uncertain
from integration.runtime import Answer, Clock, Http
from integration.system.partner import SECOND_US, Call, PartnerClient, answer_of, outcome_of, path

# Asked for until the ERP says that it is too much; then its own default serves.
_PAGE_ROWS = 500
_SALES_ORDER = {"erp_order_id": str, "lines": list}
# A token is renewed this long before it ends, so that it does not end on its way.
_TOKEN_MARGIN_US = 30 * SECOND_US


class ErpClient(PartnerClient):
    """Presents a token that expires, and renews it once when it is turned away with it."""

    def __init__(
        self,
        http: Http,
        clock: Clock,
        base_url: str,
        client_id: str,
        client_secret: str,
        timeout_us: int,
    ) -> None:
        super().__init__(http, base_url, "", timeout_us)
        self._clock = clock
        self._page_size: int | None = _PAGE_ROWS
        self._credentials = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        self._token = ""
        self._renew_at_us = 0

    def book_order(self, body: Mapping[str, Any], stamp: Stamp) -> Outcome:
        """Done with the sales order, also where the ERP refuses a second one: then the first is looked up."""
        outcome = self._exchange(Call("POST", path("sales-orders"), body, stamp, _SALES_ORDER))
        if isinstance(outcome, Refused) and outcome.problem == "duplicate-order":
            found = self.find_order(str(body["customer_id"]), str(body["order_reference"]), stamp.correlation_id)
            if isinstance(found, Done) and not found.answer:
                return Retry(f"{outcome.detail}, but none is listed yet", healthy=True)
            return found
        return outcome

    def find_order(self, customer_id: str, order_reference: str, correlation_id: str) -> Outcome:
        """Done with the sales order of that reference, or with nothing where there is none."""
        asked = path("sales-orders", customer_id=customer_id, order_reference=order_reference)
        outcome = self._exchange(Call("GET", asked, stamp=Stamp("", correlation_id), needs={"items": list}))
        if not isinstance(outcome, Done):
            return outcome
        items = [item for item in outcome.answer["items"] if isinstance(item.get("erp_order_id"), str)]
        return Done(items[0] if items else {})

    def change_order(self, erp_order_id: str, body: Mapping[str, Any], stamp: Stamp) -> Outcome:
        """Tell the ERP what is backordered and what was cancelled, in cumulative numbers."""
        where = path("sales-orders", erp_order_id, "changes")
        return self._exchange(Call("POST", where, body, stamp, _SALES_ORDER))

    def confirm_shipment(self, body: Mapping[str, Any], stamp: Stamp) -> Outcome:
        """Tell the ERP what left the house."""
        return self._exchange(Call("POST", path("shipments"), body, stamp, {"shipment_id": str}))

    def invoice(self, body: Mapping[str, Any], stamp: Stamp) -> Outcome:
        """Have the ERP invoice one shipment."""
        return self._exchange(Call("POST", path("invoices"), body, stamp, {"invoice_id": str}))

    def customers(self, changed_since: str | None) -> Iterator[Mapping[str, Any]]:
        """Customers changed since that wire timestamp (None: all). Raises ReadFailed between pages."""
        return self._pages("customers", changed_since)

    def items(self, changed_since: str | None) -> Iterator[Mapping[str, Any]]:
        """Items, as `customers`."""
        return self._pages("items", changed_since)

    def prices(self, changed_since: str | None) -> Iterator[Mapping[str, Any]]:
        """Contract prices, as `customers`."""
        return self._pages("price-lists", changed_since)

    def tax_rates(self, changed_since: str | None) -> Iterator[Mapping[str, Any]]:
        """Tax rates, as `customers`."""
        return self._pages("tax-rates", changed_since)

    def _pages(self, collection: str, changed_since: str | None) -> Iterator[Mapping[str, Any]]:
        page: int | None = 1
        while page is not None:
            outcome = self._page(collection, page, changed_since)
            if page == 1 and isinstance(outcome, Refused) and outcome.problem == "page-size-exceeded":
                self._page_size = None
                outcome = self._page(collection, page, changed_since)
            answer = answer_of(collection, outcome)
            yield from answer["items"]
            page = answer.get("next_page")

    def _page(self, collection: str, page: int, changed_since: str | None) -> Outcome:
        asked = path(collection, page=page, page_size=self._page_size, changed_since=changed_since)
        return self._exchange(Call("GET", asked, needs={"items": list}))

    def customer(self, customer_id: str) -> Outcome:
        """One customer as the ERP knows it now."""
        return self._exchange(Call("GET", path("customers", customer_id), needs={"customer_id": str}))

    def _exchange(self, call: Call) -> Outcome:
        answer = self._send_with_token(call)
        return outcome_of(call, answer) if not isinstance(answer, Retry | Uncertain) else answer

    def _send_with_token(self, call: Call) -> Answer | Retry | Uncertain:
        token = self._token
        if not token or self._clock.now_us() >= self._renew_at_us:
            failed = self._renew(token)
            if failed is not None:
                return failed
        token = self._token
        answer = self._send(call, f"Bearer {token}")
        if isinstance(answer, Retry | Uncertain) or answer.status not in {401, 403}:
            return answer
        failed = self._renew(token)
        return self._send(call, f"Bearer {self._token}") if failed is None else failed

    def _renew(self, known: str) -> Retry | Uncertain | None:
        """Get a new token, unless another task has got one since `known` was read. None when there is one."""
        if self._token != known and self._clock.now_us() < self._renew_at_us:
            return None
        call = Call("POST", path("oauth", "token"), self._credentials, needs={"access_token": str, "expires_in": int})
        answer = self._send(call, "")
        outcome = outcome_of(call, answer) if not isinstance(answer, Retry | Uncertain) else answer
        match outcome:
            case Done(token):
                self._token = str(token["access_token"])
                lifetime_us = int(token["expires_in"]) * SECOND_US
                self._renew_at_us = self._clock.now_us() + max(lifetime_us - _TOKEN_MARGIN_US, lifetime_us // 2)
                return None
            case Retry() | Uncertain():
                # Nothing but the token was asked for, so the call itself certainly did not happen.
                return Retry(outcome.reason, outcome.after_us, outcome.error_class)
            case Refused():
                return Retry(outcome.detail, 0, ErrorClass.PLATFORM)
        raise AssertionError(f"a token exchange came to {outcome!r}")
