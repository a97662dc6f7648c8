"""Adapters: five calls go out in the target's words, and its answers come back in ours."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from contracts.wire import problem_type
from loadtests import adapters
from loadtests.adapters import Adapter, AdapterError, Call, OrderApi, Request, Told, unobservable
from scenarios.crowd import Letter
from simulators.kernel.tampering import Answer

HEADERS = {"Authorization": "Bearer t", "traceparent": "00-1", "Idempotency-Key": "k"}


class Shop(OrderApi):
    """Places and cancels; tells what it was asked."""

    provides = frozenset({"promises", "cancel"})

    def place(self, order: Mapping[str, Any], key: str) -> Request:
        return Request("PUT", f"/baskets/{key}", {"for": order["customer_id"]})

    def cancel(self, order_id: str, cancel: Mapping[str, Any], key: str) -> Request:
        return Request("DELETE", f"/baskets/{order_id}", None, {"X-Why": cancel["reason"]})

    def told(self, call: Call, status: int, headers: Mapping[str, str], body: Any) -> Told:
        if status == 503:
            return Told.info(int(headers["retry-after"]))
        return Told.ok(order_id="b-1") if status == 200 else Told.fail(body["why"], lines=[])


def letter(method: str, path: str, body: object = None) -> Letter:
    return Letter("portal", "buyer", method, f"http://integration{path}", HEADERS, orjson.dumps(body) if body else b"")


PLACED = letter("POST", "/orders", {"customer_id": "C1"})


def test_calls_go_out_in_the_targets_words() -> None:
    sent = {"traceparent": "00-1", "Authorization": "Bearer t"}
    assert Shop().request(PLACED) == (
        "PUT", "/baskets/k", {**sent, "Content-Type": "application/json"}, b'{"for":"C1"}',
    )  # fmt: skip
    cancel = letter("POST", "/orders/b%2F1/cancel", {"reason": "late"})
    assert Shop().request(cancel) == ("DELETE", "/baskets/b/1", {**sent, "X-Why": "late"}, b"")


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("/orders/b-1", Call("read", "b-1", key="k", channel="portal")),
        ("/orders?customer_id=C", Call("find", query={"customer_id": ["C"]}, key="k", channel="portal")),
        ("/availability?sku=A", Call("availability", query={"sku": ["A"]}, key="k", channel="portal")),
    ],
)
def test_reads_are_told_apart(path: str, call: Call) -> None:
    assert adapters.call_of(letter("GET", path)) == call


def test_answers_come_back_in_our_words() -> None:
    done = Shop().answer(PLACED, Answer(200, {}, b"{}"))
    assert (done.status, orjson.loads(done.body)) == (200, {"order_id": "b-1"})
    refused = Shop().answer(PLACED, Answer(400, {}, b'{"why":"out-of-stock"}'))
    assert orjson.loads(refused.body) == {"lines": [], "type": problem_type("out-of-stock"), "status": refused.status}
    put_off = Shop().answer(PLACED, Answer(503, {"retry-after": "7"}, b""))
    assert (put_off.headers["retry-after"], orjson.loads(put_off.body)["type"]) == ("7", problem_type("overloaded"))


def test_a_fail_is_a_definite_problem() -> None:
    with pytest.raises(AdapterError, match="'overloaded' is no definite problem"):
        Told.fail("overloaded")


def test_ours_is_left_as_it_is() -> None:
    answer = Answer(200, {}, b"{}")
    assert (Adapter().request(PLACED), Adapter().answer(PLACED, answer)) == (None, answer)
    assert unobservable(Adapter()) == {}


def test_what_a_target_does_not_provide_can_not_be_judged() -> None:
    hidden = unobservable(Shop())
    assert hidden["availability_agrees"] == "the target's adapter does not provide availability"
    assert "no_oversell" not in hidden


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("shop", "is not module:Class"),
        ("no_such_module_here:Shop", "can't be had: ModuleNotFoundError"),
        ("broken_adapters:Missing", "can't be had: AttributeError"),
        ("broken_adapters:Number", "made int"),
        ("broken_adapters:Boaster", "provides 'availabilty'; did you mean 'availability'"),
    ],
)
def test_an_adapter_that_can_not_be_had_is_refused(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "from loadtests.adapters import OrderApi\nNumber = int\n"
    source += "class Boaster(OrderApi):\n    provides = frozenset({'availabilty'})\n"
    (tmp_path / "broken_adapters.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(AdapterError, match=said):
        adapters.load(name)
