"""What is posted to each role, and how the partner is asked what became of it. Probes are written against this."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol
from urllib.parse import quote

from contracts.wire import iso
from peakproof.certification.data import Role, TestData
from peakproof.certification.errors import CannotTell
from peakproof.certification.partner import Ask, Exchange, Partner

DUPLICATE_PROBLEMS = frozenset({"duplicate-reference", "duplicate-order"})


@dataclass(frozen=True, slots=True)
class Draft:
    """Something to post, under a business reference of its own."""

    reference: str
    order_reference: str
    ask: Ask

    def again(self, key: str) -> Ask:
        """The same under another key."""
        return replace(self.ask, key=key)


class Subject(Protocol):
    """What one role is asked to do."""

    operation_id: str
    """What posts a draft."""
    unknown: tuple[str, ...]
    """Paths of things that do not exist."""
    lists: tuple[str, ...]
    """Paths that answer page by page."""

    def draft(self, sku: str = "") -> Draft:
        """Something new to post, of a sku or of the usual one."""
        ...

    drafts: list[Draft]
    """All that were made."""

    def standing(self, draft: Draft) -> list[str]:
        """The partner's names of what it has of a draft and could be asked to take back."""
        ...

    def altered(self, draft: Draft) -> Ask:
        """The same reference and key with another payload."""
        ...

    def payload_of(self, answer: Exchange) -> object:
        """What in an answer depends on the payload that `altered` changes."""
        ...

    def identity(self, answer: Exchange) -> str:
        """The partner's name of what it made."""
        ...

    def count(self, draft: Draft) -> int | None:
        """How many the partner has of a draft; None where it can't be asked."""
        ...

    def exists(self, draft: Draft) -> bool:
        """Whether the partner has anything of a draft."""
        ...

    def ping(self) -> Ask:
        """A read that must succeed."""
        ...

    def is_cancelled(self, answer: Exchange) -> bool:
        """Whether an answer shows a draft as wholly cancelled."""
        ...

    def read(self, draft: Draft, identity: str) -> Exchange:
        """What stands."""
        ...

    def cancel(self, draft: Draft, identity: str, key: str) -> Ask:
        """Take it back."""
        ...


class Names:
    """Ids that no other run of certification uses: they carry its beginning, and count."""

    def __init__(self, run: str) -> None:
        self.run = run
        self._count = 0

    def next(self, kind: str) -> str:
        self._count += 1
        return f"CERT.{self.run}.{kind}{self._count}"


class _Base:
    def __init__(self, partner: Partner, data: TestData, names: Names) -> None:
        self._partner = partner
        self._data = data
        self._names = names
        self.drafts: list[Draft] = []

    def _order(self) -> tuple[str, str]:
        return self._names.next("R"), self._names.next("PO")

    def _lines(self, units: int | None = None, sku: str = "") -> list[dict[str, object]]:
        return [{"line_no": 1, "sku": sku or self._data.skus[0], "quantity": units or self._data.units}]

    def _drawn(self, reference: str, order_reference: str, path: str, body: Mapping[str, Any]) -> Draft:
        draft = Draft(reference, order_reference, Ask("POST", path, body, self._names.next("K")))
        self.drafts.append(draft)
        return draft


class _NodeSubject(_Base):
    """What a warehouse and a 3PL are asked alike: an order stands under the reference that its caller gave it."""

    def standing(self, draft: Draft) -> list[str]:
        return [draft.reference]

    def exists(self, draft: Draft) -> bool:
        return self.read(draft, draft.reference).good

    def ping(self) -> Ask:
        return Ask("GET", "/stock", query={"sku": self._data.skus[0]})

    def is_cancelled(self, answer: Exchange) -> bool:
        return bool(answer.member("status") == "cancelled")

    def read(self, draft: Draft, identity: str) -> Exchange:
        """What stands under this identity."""
        raise NotImplementedError


class WmsSubject(_NodeSubject):
    operation_id = "createRelease"
    unknown: tuple[str, ...] = ("/releases/{}",)
    lists: tuple[str, ...] = ("/stock",)

    def draft(self, sku: str = "") -> Draft:
        reference, order_reference = self._order()
        body = {
            "release_id": reference,
            "customer_id": self._data.customer_id,
            "order_reference": order_reference,
            "service": "standard",
            "ship_to": self._data.address.model_dump(),
            "lines": self._lines(sku=sku),
        }
        return self._drawn(reference, order_reference, "/releases", body)

    def altered(self, draft: Draft) -> Ask:
        return replace(draft.ask, body={**draft.ask.body, "lines": self._lines(self._data.units + 1)})

    def payload_of(self, answer: Exchange) -> object:
        return answer.member("lines")[0]["quantity"]

    def identity(self, answer: Exchange) -> str:
        return str(answer.member("release_id"))

    def count(self, draft: Draft) -> int | None:  # noqa: ARG002 - a warehouse lists no releases
        return None

    def read(self, draft: Draft, identity: str) -> Exchange:  # noqa: ARG002
        return self._partner.ask(Ask("GET", f"/releases/{quote(identity, safe='')}"))

    def cancel(self, draft: Draft, identity: str, key: str) -> Ask:
        body = {
            "customer_id": self._data.customer_id,
            "order_reference": draft.order_reference,
            "reason": "certification",
            "lines": [{"line_no": 1, "quantity": self._data.units}],
        }
        return Ask("POST", f"/releases/{quote(identity, safe='')}/cancel", body, key)


class ThreePlSubject(_NodeSubject):
    operation_id = "submitFulfillmentOrder"
    unknown: tuple[str, ...] = ("/fulfillment-orders/{}",)
    lists: tuple[str, ...] = ("/stock",)

    def draft(self, sku: str = "") -> Draft:
        reference, order_reference = self._order()
        body = {
            "reference": reference,
            "customer_id": self._data.customer_id,
            "order_reference": order_reference,
            "ship_to": self._data.address.model_dump(),
            "lines": self._lines(sku=sku),
        }
        return self._drawn(reference, order_reference, "/fulfillment-orders", body)

    def altered(self, draft: Draft) -> Ask:
        return replace(draft.ask, body={**draft.ask.body, "lines": self._lines(self._data.units + 1)})

    def payload_of(self, answer: Exchange) -> object:
        return answer.member("lines")[0]["quantity"]

    def identity(self, answer: Exchange) -> str:
        return str(answer.member("reference"))

    def count(self, draft: Draft) -> int | None:
        found = [each for each in self.changes(0) if each.get("order_reference") == draft.order_reference]
        return len({each.get("reference") for each in found})

    def changes(self, since: int) -> list[Mapping[str, Any]]:
        """Every order that changed after a point, read page by page. CannotTell when the pages do not end."""
        found: list[Mapping[str, Any]] = []
        for _ in range(50):
            answer = self._partner.ask(Ask("GET", "/fulfillment-orders", query={"changed_since": since}))
            items = answer.member("items")
            found += items
            if not items:
                return found
            reached = max(int(item["change"]) for item in items)
            if reached <= since:
                raise CannotTell(f"changes after {since} list change {reached}: reading on would never end")
            if reached >= int(answer.member("latest_change")):
                return found
            since = reached
        raise CannotTell("the list of changes did not end within 50 pages")

    def read(self, draft: Draft, identity: str) -> Exchange:  # noqa: ARG002
        return self._partner.ask(Ask("GET", f"/fulfillment-orders/{quote(identity, safe='')}"))

    def cancel(self, draft: Draft, identity: str, key: str) -> Ask:
        body = {
            "customer_id": self._data.customer_id,
            "order_reference": draft.order_reference,
            "reason": "certification",
        }
        return Ask("POST", f"/fulfillment-orders/{quote(identity, safe='')}/cancel", body, key)


class CarrierSubject(_Base):
    operation_id = "createLabel"
    unknown: tuple[str, ...] = ("/trackings/{}",)
    lists: tuple[str, ...] = ()
    weight_g = 1_500

    def draft(self, sku: str = "") -> Draft:
        reference, order_reference = self._order()
        body = {
            "label_reference": reference,
            "shipment_reference": self._names.next("S"),
            "customer_id": self._data.customer_id,
            "order_reference": order_reference,
            "service": "standard",
            "ship_to": self._data.address.model_dump(),
            "weight_g": self.weight_g,
            "lines": self._lines(sku=sku),
        }
        return self._drawn(reference, order_reference, "/labels", body)

    def altered(self, draft: Draft) -> Ask:
        return replace(draft.ask, body={**draft.ask.body, "service": "express"})

    def payload_of(self, answer: Exchange) -> object:
        return answer.member("service")

    def identity(self, answer: Exchange) -> str:
        return str(answer.member("label_id"))

    def labels(self, draft: Draft) -> list[Mapping[str, Any]]:
        answer = self._partner.ask(Ask("GET", "/labels", query={"label_reference": draft.reference}))
        return list(answer.member("items"))

    def count(self, draft: Draft) -> int | None:
        return len(self.labels(draft))

    def standing(self, draft: Draft) -> list[str]:
        return [str(label["label_id"]) for label in self.labels(draft) if label["status"] == "active"]

    def exists(self, draft: Draft) -> bool:
        return bool(self.labels(draft))

    def ping(self) -> Ask:
        return Ask("POST", "/rates", {"ship_to": self._data.address.model_dump(), "weight_g": self.weight_g})

    def is_cancelled(self, answer: Exchange) -> bool:
        return bool(answer.member("status") == "voided")

    def read(self, draft: Draft, identity: str) -> Exchange:  # noqa: ARG002
        return self._partner.ask(Ask("GET", "/labels", query={"label_reference": draft.reference}))

    def cancel(self, draft: Draft, identity: str, key: str) -> Ask:
        body = {"customer_id": self._data.customer_id, "order_reference": draft.order_reference}
        return Ask("POST", f"/labels/{quote(identity, safe='')}/void", body, key)


class ErpSubject(_Base):
    operation_id = "bookSalesOrder"
    unknown: tuple[str, ...] = ("/sales-orders/{}", "/customers/{}")
    lists: tuple[str, ...] = ("/customers", "/items", "/price-lists", "/tax-rates")

    def draft(self, sku: str = "") -> Draft:
        _, order_reference = self._order()
        body = self._body(order_reference, self._data.units, sku)
        return self._drawn(order_reference, order_reference, "/sales-orders", body)

    def _body(self, order_reference: str, units: int, sku: str = "") -> dict[str, Any]:
        money = self._data.money
        net_minor = units * money.unit_price_minor
        tax_minor = (net_minor * money.tax_rate_bp + 5_000) // 10_000
        line = {
            "line_no": 1,
            "sku": sku or self._data.skus[0],
            "quantity": units,
            "unit_price_minor": money.unit_price_minor,
            "tax_rate_bp": money.tax_rate_bp,
            "confirmed": units,
            "backordered": 0,
        }
        return {
            "order_id": self._names.next("O"),
            "customer_id": self._data.customer_id,
            "order_reference": order_reference,
            "currency": money.currency,
            "ordered_at": iso(self._partner.waiter.now_us()),
            "lines": [line],
            "total_minor": net_minor + tax_minor,
            "tax_minor": tax_minor,
        }

    def altered(self, draft: Draft) -> Ask:
        body = self._body(draft.order_reference, self._data.units + 1)
        return replace(draft.ask, body={**body, "order_id": draft.ask.body["order_id"]})

    def payload_of(self, answer: Exchange) -> object:
        return answer.member("lines")[0]["quantity"]

    def identity(self, answer: Exchange) -> str:
        return str(answer.member("erp_order_id"))

    def count(self, draft: Draft) -> int | None:
        query = {"customer_id": self._data.customer_id, "order_reference": draft.order_reference}
        return len(self._partner.ask(Ask("GET", "/sales-orders", query=query)).member("items"))

    def standing(self, draft: Draft) -> list[str]:
        query = {"customer_id": self._data.customer_id, "order_reference": draft.order_reference}
        items = self._partner.ask(Ask("GET", "/sales-orders", query=query)).member("items")
        return [str(item["erp_order_id"]) for item in items if item["status"] == "open"]

    def exists(self, draft: Draft) -> bool:
        return bool(self.count(draft))

    def ping(self) -> Ask:
        return Ask("GET", f"/customers/{quote(self._data.customer_id, safe='')}")

    def is_cancelled(self, answer: Exchange) -> bool:
        return all(line["cancelled"] == line["quantity"] for line in answer.member("lines"))

    def read(self, draft: Draft, identity: str) -> Exchange:  # noqa: ARG002
        return self._partner.ask(Ask("GET", f"/sales-orders/{quote(identity, safe='')}"))

    def cancel(self, draft: Draft, identity: str, key: str) -> Ask:
        return self.change(draft, identity, key, self._data.units)

    def change(self, draft: Draft, identity: str, key: str, cancelled: int) -> Ask:
        body = {
            "change_id": self._names.next("C"),
            "customer_id": self._data.customer_id,
            "order_reference": draft.order_reference,
            "reason": "cancel",
            "lines": [{"line_no": 1, "backordered": 0, "cancelled": cancelled}],
        }
        return Ask("POST", f"/sales-orders/{quote(identity, safe='')}/changes", body, key)


def subject_of(role: Role, partner: Partner, data: TestData, names: Names) -> Subject:
    """The subject of a role."""
    makers: dict[Role, Callable[[Partner, TestData, Names], Subject]] = {
        "wms": WmsSubject,
        "threepl": ThreePlSubject,
        "carrier": CarrierSubject,
        "erp": ErpSubject,
    }
    return makers[role](partner, data, names)
