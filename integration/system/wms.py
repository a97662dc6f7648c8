"""A warehouse: releases, their labels, stock and events. Consumer side of contracts/openapi/wms.yaml."""

from collections.abc import Mapping, Sequence
from typing import Any

from integration.messaging.message import Stamp
from integration.messaging.outcomes import Outcome, Refused
from integration.system.node import NodeClient
from integration.system.partner import Call, path

_RELEASE = {"release_id": str, "lines": list}


class WmsClient(NodeClient):
    """One warehouse."""

    def release(self, body: Mapping[str, Any], stamp: Stamp) -> Outcome:
        """Done with the release, also where the warehouse refuses a second one: then the first is read."""
        outcome = self._exchange(Call("POST", path("releases"), body, stamp, _RELEASE))
        if isinstance(outcome, Refused) and outcome.problem == "duplicate-reference":
            return self.read_release(str(body["release_id"]), stamp.correlation_id)
        return outcome

    def read_release(self, release_id: str, correlation_id: str) -> Outcome:
        """The release as it stands."""
        return self._exchange(
            Call("GET", path("releases", release_id), stamp=Stamp("", correlation_id), needs=_RELEASE)
        )

    def cancel_release(self, release_id: str, body: Mapping[str, Any], stamp: Stamp) -> Outcome:
        """Ask for lines of a release back; refused `too-late-to-cancel` once picking began."""
        where = path("releases", release_id, "cancel")
        return self._exchange(Call("POST", where, body, stamp, _RELEASE))

    def attach_labels(self, release_id: str, body: Mapping[str, Any], stamp: Stamp) -> Outcome:
        """Name the tracking number of every parcel."""
        where = path("releases", release_id, "labels")
        return self._exchange(Call("POST", where, body, stamp, _RELEASE))

    def subscribe(self, url: str, secret: str, types: Sequence[str]) -> Outcome:
        """Have events sent to `url`, signed with `secret`."""
        body = {"url": url, "secret": secret, "types": list(types)}
        return self._exchange(Call("POST", path("subscriptions"), body, needs={"subscription_id": str}))
