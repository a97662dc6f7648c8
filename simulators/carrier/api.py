"""The carrier on the wire: HTTP to the model and back, nothing more."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, Response, request

from contracts.edge import ProblemError, body, reply
from contracts.wire import iso
from simulators.carrier.model import (
    AlreadyCollected,
    BuyLabel,
    CarrierError,
    ContentLine,
    DuplicateLabel,
    Label,
    NotFound,
    WrongReference,
)
from simulators.carrier.process import Carrier
from simulators.partnerkit import correlation_id, create, write_key

_PROBLEMS: dict[type[CarrierError], str] = {
    NotFound: "not-found",
    WrongReference: "conflicting-state",
    AlreadyCollected: "conflicting-state",
}


def create_app(carrier: Carrier) -> Flask:
    """The application of one carrier; making it begins a life of the host."""
    carrier.start()
    app = create(carrier.name, "carrier", carrier.tokens.check, carrier.limit, keys=carrier.keys)
    handlers = _Handlers(carrier)
    for method, rule, handler in (
        ("POST", "/rates", handlers.rates),
        ("POST", "/labels", handlers.buy_label),
        ("GET", "/labels", handlers.find_labels),
        ("POST", "/labels/<label_id>/void", handlers.void_label),
        ("GET", "/trackings/<tracking_number>", handlers.tracking),
        ("POST", "/subscriptions", handlers.subscribe),
    ):
        app.add_url_rule(rule, f"{method} {rule}", _answering(handler), methods=[method])
    return app


@dataclass(frozen=True, slots=True)
class _Handlers:
    carrier: Carrier

    def rates(self) -> Response:
        rates = [
            {
                "service": rate.service,
                "amount_minor": rate.amount_minor,
                "currency": rate.currency,
                "transit_days": rate.transit_days,
            }
            for rate in self.carrier.rates(body()["weight_g"])
        ]
        return reply({"rates": rates})

    def buy_label(self) -> Response:
        asked = body()
        command = BuyLabel(
            write_key(),
            asked["label_reference"],
            asked["shipment_reference"],
            asked["customer_id"],
            asked["order_reference"],
            asked["service"],
            asked["weight_g"],
            tuple(ContentLine(line["line_no"], line["sku"], line["quantity"]) for line in asked["lines"]),
            correlation_id(),
        )
        label, new = self.carrier.buy_label(command)
        return reply(_label(label), 201) if new else reply(_label(label), 200, {"Idempotent-Replayed": "true"})

    def find_labels(self) -> Response:
        with self.carrier.reading("labels"):
            found = self.carrier.books.labels_of(request.args["label_reference"])
            return reply({"items": [_label(label) for label in found]})

    def void_label(self, label_id: str) -> Response:
        asked = body()
        label = self.carrier.books.label(label_id)
        bought = label.bought
        if (bought.customer_id, bought.order_reference) != (asked["customer_id"], asked["order_reference"]):
            raise WrongReference(f"label {label_id} is for {bought.order_reference!r} of {bought.customer_id}")
        return reply(_label(self.carrier.void_label(label, correlation_id())))

    def tracking(self, tracking_number: str) -> Response:
        with self.carrier.reading("trackings"):
            label = self.carrier.books.tracked(tracking_number)
            scans = [
                {
                    "sequence": scan.sequence,
                    "status": scan.status.value,
                    "occurred_at": iso(scan.occurred_at_us),
                    "reason": scan.reason,
                }
                for scan in label.scans
            ]
            return reply({"tracking_number": tracking_number, "status": label.tracking_status.value, "scans": scans})

    def subscribe(self) -> Response:
        asked = body()
        made = self.carrier.webhooks.subscribe(asked["url"], asked["secret"], asked["types"])
        answer = {"subscription_id": made.subscription_id, "url": made.url, "types": list(made.types)}
        return reply(answer, 201)


def _answering(handler: Callable[..., Response]) -> Callable[..., Response]:
    """The handler, with the model's errors turned into problems."""

    def answer(**path: str) -> Response:
        try:
            return handler(**path)
        except DuplicateLabel as error:
            raise ProblemError("duplicate-reference", str(error), existing_id=error.standing.label_id) from error
        except CarrierError as error:
            raise ProblemError(_PROBLEMS[type(error)], str(error)) from error

    return answer


def _label(label: Label) -> dict[str, object]:
    bought = label.bought
    return {
        "label_id": label.label_id,
        "label_reference": bought.label_reference,
        "tracking_number": label.tracking_number,
        "service": bought.service,
        "amount_minor": label.amount_minor,
        "currency": label.currency,
        "status": label.status.value,
    }
