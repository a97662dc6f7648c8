"""Values that a partner knows, put into generated requests: random ones alone never name anything that exists.

Master data are known from the start. What succeeded is remembered as a record, whose members go together: the order
that a change is for must be named with its own customer and reference.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from simulators.kernel.chance import Chance

_UNTOUCHED_SHARE = 0.15
_RECORD_SHARE = 0.55
_MOST_RECORDS = 40
_COUNTS = frozenset({"quantity", "confirmed", "backordered", "cancelled"})
_SMALL = 4


class Known:
    """`master` gives the known values of a member, by its name; `aliases` which members mean the same elsewhere."""

    def __init__(self, master: Mapping[str, Sequence[Any]], chance: Chance) -> None:
        self._master = master
        self._chance = chance
        self._records: deque[dict[str, Any]] = deque(maxlen=_MOST_RECORDS)
        self._draws = 0

    def learn(self, *bodies: object, **members: object) -> None:
        """Remember a write that succeeded: what was asked, what was answered, and what its path named."""
        record: dict[str, Any] = {}
        for body in bodies:
            if isinstance(body, Mapping):
                record.update(body)
        record.update(members)
        for parcel in record.get("parcels") or []:
            if isinstance(parcel, Mapping):
                record.update({name: value for name, value in parcel.items() if value is not None and name != "lines"})
        if record:
            self._records.append(record)

    def plant(
        self, body: Any, path: Mapping[str, Any], query: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any], dict[str, Any]]:
        """A request of the same shape that names what is known, mostly."""
        self._draws += 1
        draw = self._draws
        chance = self._chance
        if chance.hit(_UNTOUCHED_SHARE, "plant", draw):
            return body, dict(path), dict(query)
        record: Mapping[str, Any] = {}
        if self._records and chance.hit(_RECORD_SHARE, "plant-record", draw):
            record = chance.choose(list(self._records), "plant-which", draw)
        fresh = isinstance(body, dict) and not path and chance.hit(0.6, "plant-fresh", draw)
        planted = self._object(body, record, draw, fresh) if isinstance(body, dict) else body
        return planted, self._flat(path, record, draw), self._flat(query, record, draw)

    def key(self, given: str) -> str:
        """An Idempotency-Key that no request had yet, mostly."""
        if self._chance.hit(_UNTOUCHED_SHARE, "plant-key", self._draws):
            return given
        return f"fuzz-{self._chance.hex(8, 'key')}-{self._draws}"

    def _flat(self, values: Mapping[str, Any], record: Mapping[str, Any], draw: int) -> dict[str, Any]:
        return {name: self._value(name, value, record, draw) for name, value in values.items()}

    def _object(self, body: Mapping[str, Any], record: Mapping[str, Any], draw: int, fresh: bool) -> dict[str, Any]:
        planted: dict[str, Any] = {}
        for position, (name, value) in enumerate(body.items()):
            if name == "lines" and isinstance(value, list):
                planted[name] = self._lines(value, record.get("lines") or [], draw)
            elif name == "parcels" and isinstance(value, list):
                planted[name] = self._parcels(value, record)
            elif position == 0 and fresh and name not in self._master:
                planted[name] = value  # the thing's own name: a new one, or the request only repeats what was
            else:
                planted[name] = self._value(name, value, record, draw)
        return planted

    def _lines(self, lines: list[Any], known: Sequence[Any], draw: int) -> list[Any]:
        planted: list[Any] = []
        for index, line in enumerate(lines[: _SMALL * 2]):
            if not isinstance(line, dict):
                return lines
            source = known[index % len(known)] if known and isinstance(known[index % len(known)], Mapping) else {}
            member = {name: self._value(name, value, source, draw * 10 + index) for name, value in line.items()}
            if "line_no" in line and not (source and index < len(known)):
                member["line_no"] = index + 1
            for name in _COUNTS & line.keys():
                if isinstance(line[name], int):
                    member[name] = line[name] % _SMALL + (1 if name == "quantity" else 0)
            planted.append(member)
        return planted

    def _parcels(self, parcels: list[Any], record: Mapping[str, Any]) -> list[Any]:
        known = [each for each in record.get("parcels") or [] if isinstance(each, Mapping)]
        if not known:
            return parcels
        return [
            {**parcel, "parcel_id": known[index % len(known)].get("parcel_id", parcel.get("parcel_id"))}
            if isinstance(parcel, dict)
            else parcel
            for index, parcel in enumerate(parcels[: len(known)])
        ]

    def _value(self, name: str, value: Any, record: Mapping[str, Any], draw: int) -> Any:
        known = record.get(name)
        if known is not None and type(known) is type(value) and not isinstance(known, dict | list):
            return known
        options = self._master.get(name)
        if options and isinstance(value, type(options[0])):
            return self._chance.choose(list(options), "plant-master", name, draw)
        if isinstance(value, list) and options and value and isinstance(value[0], type(options[0])):
            return sorted(
                {self._chance.choose(list(options), "plant-list", name, draw, place) for place in range(len(value))}
            )
        return value
