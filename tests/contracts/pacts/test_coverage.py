"""What the pacts exercise of each API, by operation and status."""

from pathlib import Path

import orjson
import pytest

from integration.system.carrier import CarrierClient
from integration.system.erp import ErpClient
from integration.system.threepl import ThreePlClient
from integration.system.wms import WmsClient
from peakproof.live.coverage import exercised_by_pacts
from peakproof.live.pacts import PACTS, PactError

# The operations that each public method of a client calls.
CALLED = {
    ErpClient: {
        "book_order": ("POST", "/sales-orders"),
        "find_order": ("GET", "/sales-orders"),
        "change_order": ("POST", "/sales-orders/{erp_order_id}/changes"),
        "confirm_shipment": ("POST", "/shipments"),
        "invoice": ("POST", "/invoices"),
        "customers": ("GET", "/customers"),
        "items": ("GET", "/items"),
        "prices": ("GET", "/price-lists"),
        "tax_rates": ("GET", "/tax-rates"),
        "customer": ("GET", "/customers/{customer_id}"),
    },
    WmsClient: {
        "release": ("POST", "/releases"),
        "read_release": ("GET", "/releases/{release_id}"),
        "cancel_release": ("POST", "/releases/{release_id}/cancel"),
        "attach_labels": ("POST", "/releases/{release_id}/labels"),
        "subscribe": ("POST", "/subscriptions"),
        "stock": ("GET", "/stock"),
    },
    ThreePlClient: {
        "fulfill": ("POST", "/fulfillment-orders"),
        "read": ("GET", "/fulfillment-orders/{reference}"),
        "cancel": ("POST", "/fulfillment-orders/{reference}/cancel"),
        "changes": ("GET", "/fulfillment-orders"),
        "stock": ("GET", "/stock"),
    },
    CarrierClient: {
        "create_label": ("POST", "/labels"),
        "labels": ("GET", "/labels"),
        "void": ("POST", "/labels/{label_id}/void"),
        "tracking": ("GET", "/trackings/{tracking_number}"),
        "subscribe": ("POST", "/subscriptions"),
    },
}
DOCUMENTS = {ErpClient: "erp", WmsClient: "wms", ThreePlClient: "threepl", CarrierClient: "carrier"}


@pytest.mark.parametrize("client", CALLED, ids=lambda client: client.__name__)
def test_every_call_of_every_client_succeeds_in_a_pact(client: type) -> None:
    public = {name for name in dir(client) if not name.startswith("_")}
    assert public == set(CALLED[client])
    exercised = exercised_by_pacts()
    succeeding = {found[:3] for found in exercised if found[3] < 300}
    assert {(DOCUMENTS[client], *called) for called in CALLED[client].values()} <= succeeding


def test_paths_are_told_as_templates_and_messages_left_out() -> None:
    exercised = exercised_by_pacts()
    assert ("erp", "POST", "/sales-orders/{erp_order_id}/changes", 422) in exercised
    assert ("orders", "GET", "/orders/{order_id}", 404) in exercised
    assert {document for document, *_ in exercised} == {"orders", "erp", "wms", "threepl", "carrier"}


def test_a_call_that_no_document_has_is_named(tmp_path: Path) -> None:
    document = orjson.loads((PACTS / "integration-carrier.json").read_bytes())
    document["interactions"] = [one for one in document["interactions"] if one["type"] == "Synchronous/HTTP"][:1]
    document["interactions"][0]["request"]["path"] = "/parcels"
    (tmp_path / "odd.json").write_bytes(orjson.dumps(document))
    with pytest.raises(PactError, match=r"calls (GET|POST) /parcels, which carrier\.yaml does not have"):
        exercised_by_pacts(tmp_path)
