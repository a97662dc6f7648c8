"""The lead of a crowd: lets workers in, tells each its plan, writes their evidence, and says how all of them stand.

Lead and workers talk in messages of one type, TALK; which is meant stands under `say`.

| a worker says | the lead answers |
|---|---|
| `hello`: its `version`, `name`, and which `clock` it has | `plan`, `tokens` and its `place`; or `refused` and `why` |
| `ask_clock` | `clock`: what the lead's shows |
| `ready`: it has what it needs; by how much its clock may be wrong | `begin` with the pace, once all are ready |
| `rows`: a batch of evidence | `written`: what is to come next |
| `counts`: what came of its calls until now | |
| `ended`: all is done and delivered | `done` |
| `failed`: `why` it can't go on | |
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from loadtests.plan import Pace, Plan, Standing, clock_name, monotonic_us
from loadtests.rows import Batch, Files, RowsMissing

TALK = "peakproof"
Message = Mapping[str, Any]


class Lead:
    """`hear` what workers say; `tell` is how they are answered, by the client's id."""

    def __init__(
        self,
        plan: Plan,
        tokens: Mapping[str, Any],
        version: str,
        directory: Path,
        tell: Callable[[str, Message], None],
        now_us: Callable[[], int] = monotonic_us,
    ) -> None:
        self.standing = Standing()
        self._plan = plan
        self._tokens = tokens
        self._version = version
        self._directory = directory
        self._tell = tell
        self._now_us = now_us
        self._places: dict[str, int] = {}
        self._files: dict[int, Files] = {}
        self._pace: Pace | None = None
        self._has_begun = False

    @property
    def crowds(self) -> int:
        """How many workers there are to be."""
        return self._plan.crowds

    @property
    def may_begin(self) -> bool:
        """Whether every worker is ready and business time is known."""
        return self._pace is not None and self.standing.ready == self.crowds

    @property
    def is_over(self) -> bool:
        """Whether all are done, or the run can't go on."""
        return bool(self.standing.trouble) or self.standing.ended == self.crowds

    def set_pace(self, pace: Pace) -> None:
        """Business time is known from now on."""
        self._pace = pace

    def begin(self) -> None:
        """Have every worker begin. Said again, it changes nothing."""
        if self._has_begun or not self.may_begin:
            return
        assert self._pace is not None
        self._has_begun = True
        self.remind()

    def remind(self) -> None:
        """Have those begin who have not said anything since the others were told to."""
        if self._pace is None or not self._has_begun:
            return
        for client, place in self._places.items():
            if place not in self._files:
                self._tell(client, {"say": "begin", "pace": asdict(self._pace)})

    def hear(self, client: str, message: Message) -> None:
        """One message of a client. What a client says who was not let in is not heard."""
        say = message["say"]
        if say == "hello":
            self._let_in(client, message)
        elif client not in self._places:
            return
        elif say == "ask_clock":
            self._tell(client, {"say": "clock", "number": message["number"], "now_us": self._now_us()})
        elif say == "rows":
            self._write(client, message)
        elif say == "counts":
            self._leave_counts(self._places[client], message["counts"])
        else:
            self._note(client, message)

    def look_after(self, present: Collection[str]) -> None:
        """Who was let in and is not present any more is lost, unless its part is done or had not begun."""
        for client, place in list(self._places.items()):
            worker = self.standing.workers[place]
            if client in present or worker["ended"]:
                continue
            del self._places[client]
            if self._has_begun:
                self._trouble(f"worker {place} ({worker['name']}) was lost before its part was done", lost=True)
            else:
                del self.standing.workers[place]
            self._say()

    def close(self) -> None:
        """It is over, whether all is done or not."""
        if not self.is_over:
            self._trouble("the crowd was stopped before its part was done", lost=True)
            self._say()
        for files in self._files.values():
            files.close()

    def _let_in(self, client: str, hello: Message) -> None:
        why = "" if client in self._places else self._reason_against(hello)
        if why:
            self.standing.refused.append(f"{hello['name']}: {why}")
            self._tell(client, {"say": "refused", "why": why})
        else:
            place = self._places.get(client, self._free_place)
            self._places[client] = place
            self.standing.workers.setdefault(place, {"name": hello["name"], "ready": False, "ended": False})
            shares_clock = hello["clock"] == clock_name() != ""
            told = {"plan": self._plan.to_json(), "tokens": dict(self._tokens), "place": place}
            self._tell(client, {"say": "plan", "shares_clock": shares_clock, **told})
        self._say()

    @property
    def _free_place(self) -> int:
        """The first that nobody has; where there is none, the one after the last."""
        return next(place for place in range(self.crowds + 1) if place not in self.standing.workers)

    def _reason_against(self, hello: Message) -> str:
        if hello["version"] != self._version:
            return f"it has peakproof {hello['version']} and this run {self._version}: install the same on both"
        if self._has_begun or len(self.standing.workers) == self.crowds:
            return f"the run has all of its {self.crowds} workers: begin it with a higher --expect-workers"
        return ""

    def _write(self, client: str, message: Message) -> None:
        place = self._places[client]
        batch = Batch(message["kind"], message["first"], message["lines"])
        try:
            following = self._files_of(place).add(batch)
        except RowsMissing as error:
            self._trouble(str(error))
            self._say()
        else:
            self._tell(client, {"say": "written", "kind": batch.kind, "following": following})

    def _files_of(self, place: int) -> Files:
        if place not in self._files:
            self._files[place] = Files(self._directory / f"crowd-{place}")
        return self._files[place]

    def _leave_counts(self, place: int, counts: Mapping[str, int]) -> None:
        (self._files_of(place).directory / "counts.json").write_bytes(orjson.dumps(dict(counts)))

    def _note(self, client: str, message: Message) -> None:
        """What a worker says of itself."""
        worker = self.standing.workers[self._places[client]]
        if message["say"] == "failed":
            self._trouble(f"worker {self._places[client]} ({worker['name']}) can't go on: {message['why']}")
        else:
            assert message["say"] in ("ready", "ended"), message["say"]
            worker[message["say"]] = True
            self.standing.skew_us = max(self.standing.skew_us, message["skew_us"])
            if worker["ended"]:
                self._tell(client, {"say": "done"})
        self._say()

    def _trouble(self, why: str, lost: bool = False) -> None:
        """The first is the cause."""
        if not self.standing.trouble:
            self.standing.trouble, self.standing.lost = why, lost

    def _say(self) -> None:
        self.standing.write(self._directory)
