"""What no random request reaches, driven by script: quotas, gateways, stale tokens, large bodies, attempts at once.

Each scene plays in a house furnished for it. `everywhere` needs no house and goes to live endpoints, too.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace

from contracts.validation import Operation
from peakproof.certification.transport import Request
from peakproof.fuzzing.door import KEY_HEADER, PLACEHOLDER, Door
from peakproof.fuzzing.findings import Findings
from peakproof.fuzzing.house import HOST_OF, HouseTarget, known_of_house
from peakproof.fuzzing.promises import Broken, Exchange, simultaneous
from peakproof.fuzzing.stories import STORIES, Script, StoryBroke
from simulators.kernel.faults import Fault

PHASE = "driven"
LARGE_BODY_BYTES = 2_100_000
_GATEWAY = {"throttle": 429, "error_before": 503, "error_after": 500}
_FEW_CALLS = "{kind: window, calls: 3, per: 10m}"
_FEW_IN_A_BUCKET = "{kind: bucket, per_second: 0.01, burst: 3}"
_QUOTA = {
    "erp": "settings.quota",
    "carrier": "settings.quota",
    "wms-east": "settings.limit",
    "threepl": "settings.limit",
}
_MOST_CALLS = 40
_IDLE_CHANNEL = "edi"
_OPERATORS = ("operations:read", "operations:write")
_STALE_US = 2 * 3_600_000_000

Scene = Callable[[Door, HouseTarget], None]


def drive(role: str, seed: int, findings: Findings) -> Iterator[Door]:
    """Play every scene of a role; each gives its door, for what it counted."""
    host = HOST_OF[role]
    furnished: list[tuple[Mapping[str, str], tuple[Scene, ...]]] = [
        (_for_story(host), (_story,)),
        (_few_calls(host), (_quota,)),
        ({}, (_everywhere, _gateway, *_AFTER.get(role, ()))),
    ]
    if role == "orders":
        furnished.append(({"integration.channel_scopes": f"{{{_IDLE_CHANNEL}: []}}"}, (_wrong_channel,)))
    if role == "erp":
        furnished.append(({"cast.erp.profile": "strict"}, (_stale_token,)))
    for overrides, scenes in furnished:
        with _door(role, seed, overrides, findings) as (door, target):
            for scene in scenes:
                scene(door, target)
            yield door


def everywhere(door: Door) -> None:
    """What every operation must refuse alike: no token, a wrong one, too large a body, no JSON, no such parameter."""
    door.phase = PHASE
    for operation in door.contract.operations:
        asked = plain(operation)
        _must(door, replace(asked, path=asked.path + "?no_such_parameter=1"), 422)
        if operation.secured:
            _must(door, replace(asked, headers=_without(asked, "Authorization")), 401)
            _must(door, replace(asked, headers={**asked.headers, "Authorization": "Bearer wrong"}), 401)
            _must(door, replace(asked, headers={**asked.headers, "Authorization": "Basic d3Jvbmc6d3Jvbmc="}), 401)
        _must(door, replace(asked, method="PATCH"), 405)
        if operation.method == "GET" and 404 in operation.answers:
            _must(door, asked, 404)
        if operation.body is not None:
            media_type = operation.media_types[0]
            _must(door, replace(asked, body=b'"' + b"x" * LARGE_BODY_BYTES + b'"'), 413)
            _must(door, replace(asked, body=b'{"half":'), 400)
            _must(door, replace(asked, headers={**asked.headers, "Content-Type": "text/csv"}, body=b"a;b"), 415)
            _must(
                door, replace(asked, headers={**asked.headers, "Content-Type": media_type}, body=b'{"no_such": 1}'), 422
            )


def plain(operation: Operation) -> Request:
    """A request of the operation's shape: right headers, an identifier that nobody has, an empty object."""
    path = "/".join("1" if part.startswith("{") else part for part in operation.path.split("/"))
    if operation.path.startswith("/webhooks/"):
        path = "/webhooks/wms-east"
    headers = {"Authorization": PLACEHOLDER} if operation.secured else {}
    if operation.body is not None:
        headers["Content-Type"] = operation.media_types[0]
    for parameter in operation.headers:
        if parameter.required:
            headers[parameter.name] = (
                "1700000000" if "timestamp" in parameter.name else f"driven-{operation.operation_id}"
            )
    return Request(operation.method, path, headers, b"{}" if operation.body is not None else b"")


def _story(door: Door, target: HouseTarget) -> None:
    """The role's story; then each of its writes under its old key, whatever became of what it made."""
    script = Script(door, target)
    with suppress(StoryBroke):
        STORIES[target.role](script)
    for first in script.firsts.values():
        door.repeat(first)
        _at_once(door, first)


def _at_once(door: Door, first: Exchange) -> None:
    """Two attempts at the same moment under a fresh key, at a vendor that refuses the second."""
    operation = first.operation
    if operation is None or 409 not in operation.answers:
        return
    request = replace(first.request, headers={**first.request.headers, KEY_HEADER: f"at-once-{operation.operation_id}"})
    before = door.target.books()
    for broken in simultaneous(door.together(request), before, door.target.books()):
        door.note(request, first.reply, broken)


def _everywhere(door: Door, _target: HouseTarget) -> None:
    everywhere(door)


def _quota(door: Door, target: HouseTarget) -> None:
    """Ask until the quota is used up; from then on every operation behind it answers 429."""
    for operation in door.contract.operations:
        if not operation.secured:
            continue
        asked = plain(operation)
        if any(scope in _OPERATORS for scope in operation.scopes):
            channel = target.box.headers(target.host, _IDLE_CHANNEL)["Authorization"]
            asked = replace(asked, headers={**asked.headers, "Authorization": channel})
        for _ in range(_MOST_CALLS):
            if door.exchange(asked).reply.status == 429:
                break
        else:
            broken = Broken("reachable", f"{_MOST_CALLS} calls in a row and no 429, with a quota of a few")
            door.note(asked, door.exchange(asked).reply, broken)


def _gateway(door: Door, target: HouseTarget) -> None:
    """Every operation behind a gateway that turns calls away, loses answers, or is overloaded."""
    for path in ("/", "/operations/"):
        target.token(path)
    source = "portal" if target.host == "integration" else "integration"
    faults = target.box.stage.world.faults
    for kind, status in _GATEWAY.items():
        fault = Fault(f"gateway-{kind}", kind, source=source, target=target.host, delay_us=2_000_000)
        target.box.do(faults.add, fault)
        for operation in door.contract.operations:
            _must(door, plain(operation), status)
        target.box.do(faults.remove, fault.id)


def _stale_token(door: Door, target: HouseTarget) -> None:
    """A token that was good once: 401, or 403 at a vendor who means by it that the token has expired."""
    status = 403 if "cast.erp.profile" in target.overrides else 401
    stale = target.token("/")
    target.box.advance(_STALE_US)
    door.refresh()
    for operation in door.contract.operations:
        if operation.secured:
            asked = plain(operation)
            _must(door, replace(asked, headers={**asked.headers, "Authorization": stale}), status)


def _wrong_channel(door: Door, target: HouseTarget) -> None:
    """The good token of a channel that may do nothing."""
    channel = target.box.headers(target.host, _IDLE_CHANNEL)["Authorization"]
    for operation in door.contract.operations:
        if 403 in operation.answers:
            asked = plain(operation)
            _must(door, replace(asked, headers={**asked.headers, "Authorization": channel}), 403)


def _must(door: Door, request: Request, status: int) -> None:
    """One exchange that must end with a status, where the document has it."""
    operation = door.operation_of(request)
    if operation is not None and status not in operation.answers:
        return
    expected = (status,) if status >= 500 else ()
    exchange = door.exchange(request, expected)
    if exchange.reply.status != status:
        door.note(request, exchange.reply, Broken("reachable", f"answered {exchange.reply.status}, not {status}"))


def _without(request: Request, name: str) -> dict[str, str]:
    return {given: value for given, value in request.headers.items() if given != name}


def _for_story(host: str) -> dict[str, str]:
    if host == "integration":
        return {"integration.retry_attempts": "1"}
    return {f"cast.{host}.settings.keys": "{in_flight: refuse}"}


def _few_calls(host: str) -> dict[str, str]:
    if host == "integration":
        # The operations channel has no quota; another that was given its scopes does.
        scopes = f"{{{_IDLE_CHANNEL}: [{', '.join(_OPERATORS)}]}}"
        return {"integration.channel_rate_per_second": "0.5", "integration.channel_scopes": scopes}
    return {f"cast.{host}.{_QUOTA[host]}": _FEW_IN_A_BUCKET if host == "threepl" else _FEW_CALLS}


_AFTER: Mapping[str, tuple[Scene, ...]] = {"erp": (_stale_token,)}
"""Scenes of single roles that need no furniture of their own."""


@contextmanager
def _door(role: str, seed: int, overrides: Mapping[str, str], findings: Findings) -> Iterator[tuple[Door, HouseTarget]]:
    with HouseTarget(role, seed, overrides) as target:
        door = Door(target, known_of_house(seed, target.box), seed, findings)
        door.phase = PHASE
        yield door, target
