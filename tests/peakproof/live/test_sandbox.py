"""The test house: calls carried into a world that stands still between them."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from peakproof.live.house import OPENING
from peakproof.live.sandbox import HostGone, Request, Sandbox
from scenarios.errors import ScenarioError
from scenarios.spec import NODES
from simulators.kernel.tampering import Answer
from simulators.kernel.tasks import TaskFailed

HOUR_US = 3_600_000_000
EAST_STOCK = "/stock?sku=85123A"


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox.open() as opened:
        yield opened


def order(reference: str, quantity: int = 3) -> bytes:
    return orjson.dumps(
        {
            "customer_id": "C-1001",
            "order_reference": reference,
            "currency": "GBP",
            "fill_policy": "fill_available",
            "service": "standard",
            "ship_to": {"name": "Ann", "street": "1 Road", "city": "Leeds", "postcode": "LS1 1AA", "country": "GB"},
            "lines": [{"line_no": 1, "sku": "85123A", "quantity": quantity, "unit": "EA"}],
        }
    )


def placed(box: Sandbox, key: str, reference: str) -> Request:
    headers = {**box.headers("integration"), "Idempotency-Key": key, "Content-Type": "application/json"}
    return Request("POST", "/orders", headers, order(reference))


def read(answer: Answer | HostGone) -> Any:
    assert isinstance(answer, Answer)
    return orjson.loads(answer.body)


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("erp", "/customers"),
        ("wms-east", "/stock"),
        ("wms-west", "/stock"),
        ("threepl", "/stock"),
        ("integration", "/availability?sku=85123A"),
    ],
)
def test_every_host_answers_whoever_shows_its_token(box: Sandbox, host: str, path: str) -> None:
    assert box.call(host, Request("GET", path, box.headers(host))).status == 200
    assert box.call(host, Request("GET", path)).status == 401


def test_an_order_goes_its_way_while_time_passes_and_stands_still_otherwise(box: Sandbox) -> None:
    order_id = read(box.call("integration", placed(box, "k-1", "R-1")))["order_id"]
    path = f"/orders/{order_id}"
    asked = Request("GET", path, box.headers("integration"))
    assert read(box.call("integration", asked))["status"] == "accepted"
    before_us = box.now_us()
    box.advance(48 * HOUR_US)
    assert box.now_us() == before_us + 48 * HOUR_US
    assert read(box.call("integration", asked))["status"] == "invoiced"
    held = [box.stage.stock_of(node, "85123A") for node in NODES]
    assert sum(held) == 3 * OPENING - 3


def test_calls_that_come_together_meet(box: Sandbox) -> None:
    answers = box.together("integration", [placed(box, "k-1", "R-1")] * 3)
    assert len({read(answer)["order_id"] for answer in answers}) == 1


def test_a_real_client_reaches_a_host_by_http(box: Sandbox) -> None:
    with box.serve("wms-east") as url:
        request = urllib.request.Request(url + EAST_STOCK, headers=box.headers("wms-east"))
        with urllib.request.urlopen(request, timeout=10) as answer:
            items = orjson.loads(answer.read())["items"]
        with pytest.raises(urllib.error.HTTPError, match="401: Unauthorized"):
            urllib.request.urlopen(url + EAST_STOCK, timeout=10)
    assert [(item["sku"], item["on_hand"]) for item in items] == [("85123A", OPENING)]


def test_a_host_that_is_down_answers_nobody(box: Sandbox) -> None:
    box.do(box.stage.world.network.crash, "carrier")
    with pytest.raises(HostGone, match="refused"):
        box.call("carrier", Request("GET", "/labels/none", box.headers("carrier")))


def test_what_a_host_raises_comes_out_and_the_house_goes_on(box: Sandbox) -> None:
    def broken(_environ: object, _start: object) -> list[bytes]:
        raise ZeroDivisionError("broken on purpose")

    box.attach("elsewhere", broken)
    with pytest.raises(TaskFailed, match="broken on purpose"):
        box.call("elsewhere", Request("GET", "/"))
    assert box.call("wms-east", Request("GET", "/stock", box.headers("wms-east"))).status == 200


def test_a_setting_that_no_partner_knows_is_refused_before_anything_is_built() -> None:
    with (
        pytest.raises(ScenarioError, match="nonesuch"),
        Sandbox.open(overrides={"cast.wms-east.profile": "nonesuch"}),
    ):
        pytest.fail("the house must not open")


def test_a_vendor_with_short_pages_answers_who_asks_for_no_length() -> None:
    with Sandbox.open(overrides={"cast.wms-east.settings.stock_page_size": "2"}) as box:
        page = read(box.call("wms-east", Request("GET", "/stock", box.headers("wms-east"))))
    assert (len(page["items"]), page["next_page"]) == (2, 2)
