"""The learned profile: the role's usual profile, with what was seen of this partner laid over it.

A key that was seen carries how; one that was not is marked, and holds the usual value.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from statistics import median, stdev
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from peakproof.certification.data import Role
from peakproof.certification.partner import Exchange
from peakproof.certification.session import Fact, Facts
from scenarios.durations import format_duration
from scenarios.stage import DEFAULT_PROFILES
from simulators.carrier.process import CarrierProfile
from simulators.erp.process import ErpProfile
from simulators.partnerkit.profile import Profile, load
from simulators.threepl.process import ThreePlProfile
from simulators.wms.process import WmsProfile

MODELS: dict[Role, type[Profile]] = {
    "erp": ErpProfile,
    "wms": WmsProfile,
    "threepl": ThreePlProfile,
    "carrier": CarrierProfile,
}
_PACES: dict[Role, dict[str, tuple[str, ...]]] = {
    "erp": {
        "read": ("listCustomers", "listItems", "listPrices", "listTaxRates", "readCustomer", "readSalesOrder",
                 "findSalesOrders", "findInvoices"),
        "create": ("bookSalesOrder",),
        "change": ("changeSalesOrder",),
        "confirm": ("confirmShipment",),
        "invoice": ("createInvoice",),
    },
    "wms": {
        "reads": ("listStock", "readRelease"),
        "writes": ("createRelease", "cancelRelease", "attachLabels", "adjustStock", "receiveStock"),
    },
    "threepl": {
        "reads": ("listStock", "readFulfillmentOrder", "listChangedFulfillmentOrders"),
        "writes": ("submitFulfillmentOrder", "cancelFulfillmentOrder", "adjustStock", "receiveStock"),
    },
    "carrier": {
        "read": ("quoteRates", "findLabels", "readTracking"),
        "label": ("createLabel",),
        "void": ("voidLabel",),
    },
}  # fmt: skip
_FEWEST = 3
_ENOUGH_FOR_SIGMA = 20


@dataclass(frozen=True)
class Learned:
    """The profile as YAML text, which of its keys were seen and how, and which were not."""

    text: str
    seen: Mapping[str, Fact]
    unseen: tuple[str, ...]


def learn(role: Role, facts: Facts, exchanges: Sequence[Exchange], served_at_once: int | None, url: str) -> Learned:
    """Lay the facts over the usual profile. What comes out is a profile that the simulator of the role loads."""
    usual = _usual_of(role)
    base = _content(MODELS[role], usual)
    seen = {**facts.seen, **paces(role, exchanges)}
    if served_at_once is not None and "desk" in base:
        capacity = min(int(base["desk"]["capacity"]), max(1, served_at_once - 1))
        how = f"{served_at_once} calls at once are served or wait; how many of them wait was not observed"
        seen["desk.capacity"] = Fact(capacity, how)
        seen["desk.queue_limit"] = Fact(served_at_once - capacity, how)
    for key, fact in seen.items():
        _put(base, key.split("."), [*fact.value, *_rest(base, key, fact)] if fact.partial else fact.value)
    seen = {key: _admitting(fact, usual) if fact.partial else fact for key, fact in seen.items()}
    _keep_bounds(base)
    base["summary"] = f"As observed at {url}; keys marked 'not observed' are those of {usual}."
    MODELS[role].model_validate(base)
    unseen = tuple(key for key, _ in _leaves(base) if not _covered(key, seen) and key != "summary")
    return Learned(_written(base, seen, usual), seen, unseen)


def paces(role: Role, exchanges: Sequence[Exchange]) -> dict[str, Fact]:
    """Service times in us: of good answers to calls that were alone, less what a refusal at the edge takes."""
    edge = [each.reply.elapsed_us for each in exchanges if each.alone and each.status in (400, 401)]
    on_the_way_us = median(edge) if edge else 0
    facts: dict[str, Fact] = {}
    for name, operations in _PACES[role].items():
        taken = [
            max(1_000.0, each.reply.elapsed_us - on_the_way_us)
            for each in exchanges
            if each.alone and each.good and each.operation and each.operation.operation_id in operations
        ]
        if len(taken) < _FEWEST:
            continue
        how = f"{len(taken)} calls, {on_the_way_us / 1000:.0f} ms on the way taken off"
        facts[f"{name}.median"] = Fact(max(1_000, round(median(taken) / 1_000) * 1_000), how)
        if len(taken) >= _ENOUGH_FOR_SIGMA:
            facts[f"{name}.sigma"] = Fact(round(stdev(map(math.log, taken)), 2), how)
    return facts


def _usual_of(role: Role) -> str:
    return DEFAULT_PROFILES["wms-east" if role == "wms" else role]


def _content(model: type[Profile], name: str) -> dict[str, Any]:
    """A profile as plain values, defaults filled in, what is None left out."""
    content: dict[str, Any] = load(model, name).model_dump(mode="json", exclude_none=True)
    return content


def _put(base: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for part in path[:-1]:
        base = base.setdefault(part, {})
    base[path[-1]] = list(value) if isinstance(value, tuple) else value


def _rest(base: Mapping[str, Any], key: str, fact: Fact) -> list[Any]:
    """What the usual profile has beyond the beginning that was seen."""
    usual: Any = base
    for part in key.split("."):
        usual = usual[part]
    return list(usual[len(fact.value) :])


def _admitting(fact: Fact, usual: str) -> Fact:
    return Fact(fact.value, f"{fact.how}; what may come later was not observed: as {usual}", partial=True)


def _keep_bounds(base: dict[str, Any]) -> None:
    """A pace's bound lies above its median, and an ERP's usual page within its cap."""
    for part in base.values():
        if isinstance(part, dict) and "median" in part and "at_most" in part:
            part["at_most"] = max(part["at_most"], 4 * part["median"])
    pages = base.get("pages")
    if pages:
        pages["default"] = min(pages["default"], pages["cap"])


def _covered(key: str, seen: Mapping[str, Fact]) -> bool:
    return any(key == known or key.startswith(known + ".") for known in seen)


def _leaves(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, child in node.items():
        key = f"{path}.{name}" if path else name
        if isinstance(child, dict):
            yield from _leaves(child, key)
        else:
            yield key, child


def _written(base: Mapping[str, Any], seen: Mapping[str, Fact], usual: str) -> str:
    tree = _commented(base, "", seen, usual)
    tree.yaml_set_start_comment("Learned by peakproof certify. Lines marked 'seen' rest on exchanges of that run.")
    out = StringIO()
    yaml = YAML()
    yaml.width = 4_096
    yaml.dump(tree, out)
    return out.getvalue()


def _commented(node: Mapping[str, Any], path: str, seen: Mapping[str, Fact], usual: str) -> CommentedMap:
    tree = CommentedMap()
    for name, child in node.items():
        key = f"{path}.{name}" if path else name
        if isinstance(child, dict):
            tree[name] = _commented(child, key, seen, usual)
            if key in seen:
                tree.yaml_set_comment_before_after_key(name, before=f"seen: {seen[key].how}", indent=_indent(path))
            continue
        tree[name] = _spelled(key, child)
        if _covered(key, seen):
            if key in seen:
                tree.yaml_set_comment_before_after_key(name, before=f"seen: {seen[key].how}", indent=_indent(path))
        elif key != "summary":
            tree.yaml_add_eol_comment(f"not observed: as {usual}", name)
    return tree


def _indent(path: str) -> int:
    return 2 * (path.count(".") + 1) if path else 0


_DURATIONS = frozenset(
    {
        "median",
        "at_most",
        "per_line",
        "wave_every",
        "departure_every",
        "batch_every",
        "after",
        "walk",
        "opens",
        "closes",
        "delay",
        "spread",
        "timeout",
        "retries",
        "queue_timeout",
        "per",
        "token_lifetime",
        "low",
        "high",
    }
)


def _spelled(key: str, value: Any) -> Any:
    """Durations as people write them. `picking.sigma` and shares stay numbers."""
    if key.rpartition(".")[2] not in _DURATIONS:
        return _flow(value) if isinstance(value, list | tuple) else value
    if isinstance(value, list | tuple):
        return _flow([format_duration(each) for each in value])
    return format_duration(int(value))


def _flow(values: Sequence[Any]) -> CommentedSeq:
    row = CommentedSeq(values)
    row.fa.set_flow_style()
    return row


def write(learned: Learned, file: Path) -> None:
    file.write_text(learned.text, encoding="utf-8")
