"""Faults in Toxiproxy's words: name, type, stream, toxicity, attributes.

Toxiproxy's own types `latency`, `timeout` and `reset_peer` are known; beside them every kind of simulators/kernel/
faults.py is a type that a partner can meet. A fault strikes what the integration sends to the host whose port it was
posted to, or what `source` and `target` of its attributes say; its times are wall time unless `clock` says business.
"""

from collections.abc import Mapping
from typing import Any

from peakproof.live.errors import LiveError
from scenarios.errors import nearest
from scenarios.spec import ENDS, HOSTS, STRUCK_HOSTS
from simulators.kernel.faults import CLOCKS, EDGE_KINDS, FOREVER_US, HOST_KINDS, PROCESS_KINDS, Fault
from simulators.kernel.live import LiveWorld

_FIELDS = ("name", "type", "stream", "toxicity", "attributes")
_ATTRIBUTES: dict[str, tuple[type, ...]] = {
    "latency": (int,), "jitter": (int,), "timeout": (int,), "source": (str,), "target": (str,), "method": (str,),
    "route": (str,), "event": (str,), "nth": (list,), "every": (int,), "limit": (int,), "keys": (list,),
    "strength": (int, float), "delay_ms": (int,), "copies": (int,), "drift": (str,), "field": (str,),
    "duration_ms": (int,), "clock": (str,),
}  # fmt: skip
_TYPE_OF = {"delay": "latency", "request_lost": "timeout", "reply_lost": "timeout", "cut": "reset_peer"}
_FOREIGN = ("bandwidth", "slow_close", "slicer", "limit_data")
TYPES = ("latency", "timeout", "reset_peer", *EDGE_KINDS, *(one for one in HOST_KINDS if one not in PROCESS_KINDS))
_KEEPS_UNTIL_THE_END = ("frozen", "hold", "crash", "pause")


def fault_of(toxic: Mapping[str, Any], host: str, world: LiveWorld) -> Fault:
    """The fault that a toxic posted to a host's port asks for. LiveError when it can't be played."""
    _check_names(toxic, _FIELDS, "a fault")
    attributes = toxic.get("attributes", {})
    _check_attributes(attributes)
    type_, stream = str(toxic.get("type", "")), str(toxic.get("stream", "downstream"))
    if type_ in _FOREIGN:
        raise LiveError(f"type {type_!r} shapes bytes on a wire, which is not simulated: use one of {', '.join(TYPES)}")
    if type_ not in TYPES:
        raise LiveError(f"unknown type {type_!r}{nearest(type_, TYPES)}")
    if stream not in ("upstream", "downstream"):
        raise LiveError(f"stream {stream!r} is neither upstream (the request) nor downstream (the answer)")
    toxicity = toxic.get("toxicity", 1.0)
    if not isinstance(toxicity, int | float) or not 0 < toxicity <= 1:
        raise LiveError(f"toxicity {toxicity!r} is not a share above 0 and up to 1")
    clock = attributes.get("clock", "protocol")
    if clock not in CLOCKS:
        raise LiveError(f"clock {clock!r} is not one of {', '.join(CLOCKS)}")
    now_us = world.protocol.now_us() if clock == "protocol" else world.now_us()
    lasts_ms = attributes.get("duration_ms", 0)
    kind = _kind(type_, stream, attributes)
    if kind in _KEEPS_UNTIL_THE_END and lasts_ms <= 0:
        raise LiveError(f"{kind} needs the attribute duration_ms: what it keeps back goes on at its end")
    try:
        return Fault(
            id=str(toxic.get("name") or f"{type_}_{stream}"),
            kind=kind,
            **_aim(kind, host, attributes),
            **_selection(attributes, float(toxicity)),
            direction="request" if stream == "upstream" else "reply",
            from_us=now_us,
            to_us=now_us + lasts_ms * 1_000 if lasts_ms else FOREVER_US,
            strength=float(attributes.get("strength", toxicity if kind in HOST_KINDS else 1.0)),
            delay_us=attributes.get("delay_ms", attributes.get("latency", 0)) * 1_000,
            copies=attributes.get("copies", 1),
            drift=attributes.get("drift", "added"),
            field=attributes.get("field", ""),
            clock=clock,
        )
    except ValueError as error:
        raise LiveError(str(error)) from error


def toxic_of(fault: Fault) -> dict[str, Any]:
    """A fault as a toxic; a time that is not bounded is left out."""
    attributes = {
        "host": fault.host, "source": fault.source, "target": fault.target, "method": fault.method,
        "route": fault.route, "event": fault.event, "nth": list(fault.nth), "every": fault.every, "limit": fault.limit,
        "keys": list(fault.keys), "strength": fault.strength, "delay_ms": fault.delay_us // 1_000,
        "from_us": fault.from_us, "to_us": 0 if fault.to_us >= FOREVER_US else fault.to_us, "clock": fault.clock,
    }  # fmt: skip
    return {
        "name": fault.id,
        "type": _TYPE_OF.get(fault.kind, fault.kind),
        "stream": "upstream" if fault.direction == "request" and fault.kind != "reply_lost" else "downstream",
        "toxicity": fault.share or 1.0,
        "attributes": {name: value for name, value in attributes.items() if value},
    }


def _kind(type_: str, stream: str, attributes: Mapping[str, Any]) -> str:
    """Our kind for Toxiproxy's type."""
    if type_ == "latency":
        if attributes.get("jitter"):
            raise LiveError("jitter is not played: for latency that varies, use type latency_tail with delay_ms")
        return "delay" if "latency" in attributes else "latency"
    if type_ in ("timeout", "reset_peer") and attributes.get("timeout"):
        raise LiveError(f"{type_} with a timeout of {attributes['timeout']} ms is not played: leave it out or 0")
    if type_ == "timeout":
        return "request_lost" if stream == "upstream" else "reply_lost"
    return "cut" if type_ == "reset_peer" else type_


def _aim(kind: str, host: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    if kind in HOST_KINDS:
        players = STRUCK_HOSTS.get(kind, HOSTS)
        if host not in players:
            raise LiveError(f"{host} does not play {kind}; those who do are {', '.join(players)}")
        return {"host": host}
    source, target = attributes.get("source", "integration"), attributes.get("target", host)
    for end in (source, target):
        if end not in (*ENDS, "outside"):
            raise LiveError(f"unknown host {end!r}{nearest(end, (*ENDS, 'outside'))}")
    if host not in (source, target):
        raise LiveError(f"neither {source!r} nor {target!r} is {host}: post the fault to a port that it is about")
    return {"source": source, "target": target}


def _selection(attributes: Mapping[str, Any], toxicity: float) -> dict[str, Any]:
    return {
        "method": attributes.get("method", ""),
        "route": attributes.get("route", ""),
        "event": attributes.get("event", ""),
        "nth": tuple(attributes.get("nth", ())),
        "every": attributes.get("every", 0),
        "limit": attributes.get("limit", 0),
        "keys": tuple(attributes.get("keys", ())),
        "share": toxicity if toxicity < 1 else 0.0,
    }


def _check_names(given: Mapping[str, Any], known: tuple[str, ...], what: str) -> None:
    for name in given:
        if name not in known:
            raise LiveError(f"{what} has no {name!r}{nearest(name, known)}")


def _check_attributes(attributes: object) -> None:
    if not isinstance(attributes, dict):
        raise LiveError(f"attributes are an object, not {attributes!r}")
    _check_names(attributes, tuple(_ATTRIBUTES), "attributes")
    for name, value in attributes.items():
        types = _ATTRIBUTES[name]
        if not isinstance(value, types) or isinstance(value, bool):
            raise LiveError(f"attribute {name} is {value!r}, not {' or '.join(one.__name__ for one in types)}")
        if isinstance(value, int | float) and value < 0:
            raise LiveError(f"attribute {name} is {value!r}: it can't be below 0")
