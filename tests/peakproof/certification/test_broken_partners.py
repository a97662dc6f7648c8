"""Each deliberate fault of a partner is named by its own promise, and a good partner breaks none."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from peakproof.certification.data import Role
from peakproof.certification.probes import LONG, probes_of
from peakproof.live.sandbox import Sandbox
from tests.peakproof.certification import faults
from tests.peakproof.certification.partners import SKUS, Way, certified, outcomes

Made = Callable[[Sandbox], Way]
CHANGING = faults.ChangingIds()

WMS_FAULTS: dict[str, tuple[Made, list[str]]] = {
    "forgets idempotency": (
        lambda _box: Way(faults.forgets_idempotency()),
        ["duplicate-sequential", "duplicate-concurrent", "duplicate-lost-reply", "key-reuse", "key-other-reference"],
    ),
    "books twice at once": (lambda _box: Way(faults.books_twice_at_once()), ["duplicate-concurrent"]),
    "500 on unknown ids": (
        lambda _box: Way(faults.layer(faults.fails_on_unknown_ids)),
        ["unknown-ids", "no-server-errors"],
    ),
    "ignores tokens": (
        lambda box: Way(faults.ignores_tokens(box, "wms-east")),
        ["token-required", "token-garbage"],
    ),
    "cursor loops": (lambda _box: Way(faults.layer(faults.cursor_loops)), ["pages-end"]),
    "html errors": (lambda _box: Way(faults.layer(faults.wrong_content_type)), ["problem-details"]),
    "stock stays": (lambda _box: Way(faults.stock_stays(SKUS[1])), ["stock-after-shipment"]),
    "cancels what has shipped": (lambda _box: Way(faults.layer(faults.cancels_what_has_shipped)), ["cancel-late"]),
    "dishonest Retry-After": (lambda box: Way(faults.dishonest_retry_after(box)), ["rate-limit"]),
    "tells too much": (lambda _box: Way(faults.layer(faults.tells_too_much)), ["schema-readRelease"]),
    "unsigned webhooks": (lambda _box: Way(on_the_way=faults.unsigned), ["webhook-signature"]),
    "changing webhook ids": (
        lambda _box: Way(faults.layer(CHANGING.api), CHANGING.on_the_way),
        ["webhook-ids"],
    ),
    "no retries": (lambda _box: Way(on_the_way=faults.never_again), ["webhook-retries"]),
    "deaf to 410": (lambda _box: Way(on_the_way=faults.deaf_to_gone), ["webhook-gone"]),
    "none": (lambda _box: Way(), []),
}


QUICK = frozenset(probe.name for probe in probes_of("wms") if probe not in LONG)
WEBHOOKS = frozenset(name for name in QUICK if name.startswith("webhook-"))


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox.open() as opened:
        yield opened


@pytest.mark.parametrize("fault", WMS_FAULTS)
def test_a_fault_of_a_warehouse_is_named(box: Sandbox, tmp_path: Path, fault: str) -> None:
    """Beside its own promise each fault meets those about webhooks, or those about everything else."""
    made, named = WMS_FAULTS[fault]
    others = WEBHOOKS if WEBHOOKS & set(named) else QUICK - WEBHOOKS
    way = replace(made(box), only=others | frozenset(named))
    done = certified(box, "wms", tmp_path, way, list(WMS_FAULTS).index(fault) + 1)
    assert outcomes(done, "failed") == named
    assert done.verdict.standing == ("fit" if named in ([], ["webhook-gone"]) else "unfit")


@pytest.mark.long
@pytest.mark.parametrize("fault", WMS_FAULTS)
def test_a_fault_of_a_warehouse_is_named_among_all_promises(box: Sandbox, tmp_path: Path, fault: str) -> None:
    made, named = WMS_FAULTS[fault]
    done = certified(box, "wms", tmp_path, made(box), 100 + list(WMS_FAULTS).index(fault))
    assert outcomes(done, "failed") == named


OTHER_FAULTS: dict[str, tuple[Role, Made, list[str]]] = {
    "an ERP invoices a shipment twice": (
        "erp",
        lambda _box: Way(faults.layer(faults.invoices_twice)),
        ["order-arithmetic"],
    ),
    "an ERP takes stale tokens": (
        "erp",
        lambda box: Way(faults.ignores_tokens(box, "erp", but=("", "Bearer certify-made-this-token-up"))),
        ["token-expiry"],
    ),
    "a 3PL loses the cursor": ("threepl", lambda _box: Way(faults.layer(faults.cursor_loops)), ["pages-end"]),
    "a carrier charges more than it quotes": (
        "carrier",
        lambda _box: Way(faults.layer(faults.charges_more)),
        ["label-price"],
    ),
}


@pytest.mark.parametrize("fault", OTHER_FAULTS)
def test_a_fault_of_another_partner_is_named(box: Sandbox, tmp_path: Path, fault: str) -> None:
    role, made, named = OTHER_FAULTS[fault]
    quick = frozenset(probe.name for probe in probes_of(role) if probe not in LONG)
    number = 50 + list(OTHER_FAULTS).index(fault)
    done = certified(box, role, tmp_path, replace(made(box), only=quick | frozenset(named)), number)
    assert outcomes(done, "failed") == named
    assert done.verdict.standing == "unfit"


def test_a_partner_that_comes_to_bits_ends_in_a_verdict(box: Sandbox, tmp_path: Path) -> None:
    """Answers of the right status and the wrong shape trip no probe; the schemas tell what is wrong."""
    done = certified(box, "wms", tmp_path, Way(faults.layer(faults.shapeless), only=QUICK - WEBHOOKS), 70)
    assert done.verdict.standing == "unfit"
    assert "schema-createRelease" in outcomes(done, "failed")
    assert "cancel-early" in outcomes(done, "inconclusive")
