"""The 3PL: fulfillment orders that are polled, and stock. Consumer side of contracts/openapi/threepl.yaml."""

from collections.abc import Mapping
from typing import Any

from integration.messaging.message import Stamp
from integration.messaging.outcomes import Outcome, Refused
from integration.system.node import NodeClient
from integration.system.partner import Call, path

_ORDER = {"reference": str, "status": str}


class ThreePlClient(NodeClient):
    """One 3PL."""

    def fulfill(self, body: Mapping[str, Any], stamp: Stamp) -> Outcome:
        """Submit a fulfillment order; where the 3PL refuses a second one, the first is read."""
        call = Call("POST", path("fulfillment-orders"), body, stamp, _ORDER)
        outcome = self._exchange(call)
        if isinstance(outcome, Refused) and outcome.problem in {"duplicate-reference", "duplicate-order"}:
            return self.read(str(body["reference"]), stamp.correlation_id)
        return outcome

    def read(self, reference: str, correlation_id: str) -> Outcome:
        """One fulfillment order as it stands."""
        asked = path("fulfillment-orders", reference)
        return self._exchange(Call("GET", asked, stamp=Stamp("", correlation_id), needs=_ORDER))

    def cancel(self, reference: str, body: Mapping[str, Any], stamp: Stamp) -> Outcome:
        """Ask for a whole fulfillment order back; refused `too-late-to-cancel` once it is in work."""
        where = path("fulfillment-orders", reference, "cancel")
        return self._exchange(Call("POST", where, body, stamp, _ORDER))

    def changes(self, changed_since: int, limit: int = 200) -> Outcome:
        """Fulfillment orders that changed after change number `changed_since`, the earliest change first."""
        asked = path("fulfillment-orders", changed_since=changed_since, limit=limit)
        return self._exchange(Call("GET", asked, needs={"items": list, "latest_change": int}))
