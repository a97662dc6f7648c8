"""Every promise can be broken: a partner with one bug made for it is told by that name, a sound one by none."""

import pytest

from peakproof.certification.transport import Request
from peakproof.fuzzing.door import PLACEHOLDER
from peakproof.fuzzing.engine import Plan, play
from peakproof.fuzzing.findings import Finding
from tests.peakproof.fuzzing.conftest import Dock, door_to

SHORT = Plan(seed=3, phases=("fuzzing",), most_examples=60)
WHOLE = Plan(seed=3, phases=("examples", "coverage", "fuzzing"), most_examples=60)
BUGS = {
    "fails": "answered",
    "lets its code fail": "answered",
    "answers what is not documented": "documented",
    "forgets a member": "documented",
    "refuses in plain text": "problem",
    "refuses with a problem of its own": "problem",
    "refuses with a problem from elsewhere": "problem",
    "enters before it refuses": "refused-untouched",
    "enters twice": "one-effect",
    "makes two at once": "one-effect",
    "takes another payload": "one-request",
    "needs no token": "ignored_auth",
    "accepts anything": "negative_data_rejection",
}


def found(bug: str) -> list[Finding]:
    door = door_to(Dock(bug))
    play(door, SHORT)
    return list(door.findings)


def test_a_sound_partner_breaks_no_promise() -> None:
    door = door_to(Dock())
    done = play(door, WHOLE)
    assert [(each.promise, each.told) for each in door.findings] == []
    assert done.troubles == []
    statuses = {status for method, path, status in door.statuses if (method, path) == ("POST", "/receipts")}
    assert statuses == {200, 201, 400, 401, 405, 415, 422}


@pytest.mark.parametrize(("bug", "promise"), BUGS.items())
def test_a_bug_made_for_a_promise_is_told_by_its_name(bug: str, promise: str) -> None:
    assert ("POST /receipts", promise) in {(each.operation, each.promise) for each in found(bug)}


def test_where_the_books_cannot_be_seen_the_documented_reads_show_what_a_refusal_changed() -> None:
    sound, unsound = door_to(Dock(closed=True)), door_to(Dock("enters before it refuses", closed=True))
    for door in (sound, unsound):
        play(door, Plan(seed=3, phases=("fuzzing",), most_examples=100))
    assert list(sound.findings) == []
    (finding,) = unsound.findings
    assert (finding.operation, finding.promise) == ("POST /receipts", "refused-untouched")
    assert "yet GET /stock?sku=" in finding.told


def test_a_finding_shows_the_request_as_a_shell_line_without_its_secrets() -> None:
    door = door_to(Dock("fails"))
    headers = {"Authorization": PLACEHOLDER, "Idempotency-Key": "k-1", "Content-Type": "application/json"}
    body = b'{"receipt_id":"rcp-1","sku":"85123A","quantity":5,"reason":"it\'s here"}'
    door.exchange(Request("POST", "/receipts", headers, body))
    (answered, *_) = door.findings
    assert answered.promise == "answered"
    assert answered.told == "answered 500"
    assert answered.curl == (
        "curl -i -X POST -H 'Authorization: ***' -H 'Idempotency-Key: k-1' -H 'Content-Type: application/json'"
        ' --data-binary \'{"receipt_id":"rcp-1","sku":"85123A","quantity":5,"reason":"it\'"\'"\'s here"}\''
        " http://dock/receipts"
    )


def test_the_smallest_request_is_the_example_and_every_break_is_counted() -> None:
    door = door_to(Dock("fails"))
    headers = {"Authorization": PLACEHOLDER, "Content-Type": "application/json"}
    for number, reason in enumerate(("a long reason", "short", "a longer reason than that")):
        body = b'{"receipt_id":"rcp-%d","sku":"85123A","quantity":5,"reason":"%s"}' % (number, reason.encode())
        door.exchange(Request("POST", "/receipts", {**headers, "Idempotency-Key": f"k-{number}"}, body))
    answered = next(each for each in door.findings if each.promise == "answered")
    assert door.findings.times(answered) == 3
    assert '"reason":"short"' in answered.curl


def test_the_same_seed_sends_the_same_requests() -> None:
    requests = sent(1)
    assert len(requests) >= 4
    assert sent(1) == requests
    assert sent(2) != requests


def sent(seed: int) -> list[Request]:
    dock = Dock()
    requests: list[Request] = []
    carry = dock.send

    def recorded(request: Request) -> object:
        requests.append(request)
        return carry(request)

    dock.send = recorded  # type: ignore[assignment, method-assign]
    play(door_to(dock, seed), Plan(seed=seed, phases=("fuzzing",), most_examples=4))
    return requests
