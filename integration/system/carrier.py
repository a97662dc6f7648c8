"""The carrier: labels and tracking. Consumer side of contracts/openapi/carrier.yaml."""

from collections.abc import Mapping, Sequence
from typing import Any

from integration.messaging.message import Stamp
from integration.messaging.outcomes import Done, Outcome, Refused, Retry
from integration.system.partner import Call, PartnerClient, path

_LABEL = {"label_id": str, "tracking_number": str}


class CarrierClient(PartnerClient):
    """One carrier. A label costs money, and not every carrier recognizes a repeated request."""

    def create_label(self, body: Mapping[str, Any], stamp: Stamp) -> Outcome:
        """Buy a label; where the carrier refuses a second one, the first is looked up."""
        outcome = self._exchange(Call("POST", path("labels"), body, stamp, _LABEL))
        if isinstance(outcome, Refused) and outcome.problem in {"duplicate-reference", "duplicate-order"}:
            found = self.labels(str(body["label_reference"]), stamp.correlation_id)
            if isinstance(found, Done):
                active = active_labels(found.answer)
                return Done(active[0]) if active else Retry("the carrier shows no active label yet", healthy=True)
            return found
        return outcome

    def labels(self, label_reference: str, correlation_id: str) -> Outcome:
        """Every label of a reference, voided ones too: `items`."""
        asked = path("labels", label_reference=label_reference)
        return self._exchange(Call("GET", asked, stamp=Stamp("", correlation_id), needs={"items": list}))

    def void(self, label_id: str, body: Mapping[str, Any], stamp: Stamp) -> Outcome:
        """Give a label back."""
        where = path("labels", label_id, "void")
        return self._exchange(Call("POST", where, body, stamp, {"label_id": str}))

    def tracking(self, tracking_number: str, correlation_id: str = "") -> Outcome:
        """The scans of a parcel."""
        asked = path("trackings", tracking_number)
        return self._exchange(Call("GET", asked, stamp=Stamp("", correlation_id), needs={"tracking_number": str}))

    def subscribe(self, url: str, secret: str, types: Sequence[str]) -> Outcome:
        """Have events sent to `url`, signed with `secret`."""
        body = {"url": url, "secret": secret, "types": list(types)}
        return self._exchange(Call("POST", path("subscriptions"), body, needs={"subscription_id": str}))


def active_labels(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The labels of an answer that are not voided, in the carrier's order."""
    return [label for label in answer["items"] if label.get("status") != "voided"]
