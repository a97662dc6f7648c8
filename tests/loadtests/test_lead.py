"""The lead lets in whom it expects, has all begin at once, keeps what they deliver, and says who is lost."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
import pytest

from loadtests.lead import Lead, Message
from loadtests.plan import Pace, Plan, Standing, clock_name
from peakproof.live.collected import rows_of

PLAN = Plan({"name": "x", "demand": {}}, 5, "peak", {}, 2, "")
TOKENS = {"channels": {"portal": "secret-token"}, "clerks": {}}
PACE = Pace(1, 2, 3, 60.0)
ROW = b'{"seq":0,"key":"a"}\n'


class Crowd:
    """A lead, and what it has told whom."""

    def __init__(self, directory: Path) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.directory = directory
        self.lead = Lead(PLAN, TOKENS, "1.0", directory, self._tell, lambda: 77)

    def _tell(self, client: str, message: Message) -> None:
        self.told.append((client, dict(message)))

    def hello(self, client: str, version: str = "1.0", clock: str = "elsewhere") -> dict[str, Any]:
        self.lead.hear(client, {"say": "hello", "version": version, "clock": clock, "name": f"host-{client}"})
        return self.told[-1][1]

    def begun(self) -> "Crowd":
        for client in "ab":
            self.hello(client)
            self.lead.hear(client, {"say": "ready", "skew_us": 10})
        self.lead.set_pace(PACE)
        self.lead.begin()
        return self

    @property
    def standing(self) -> Standing:
        return Standing.read(self.directory)


@pytest.fixture
def crowd(tmp_path: Path) -> Crowd:
    return Crowd(tmp_path)


def test_each_is_told_its_place_the_plan_and_the_tokens(crowd: Crowd) -> None:
    told = crowd.hello("a")
    assert (told["say"], told["place"], told["tokens"], told["shares_clock"]) == ("plan", 0, TOKENS, False)
    assert Plan.from_json(told["plan"]) == PLAN
    told = crowd.hello("b", clock=clock_name())
    assert (told["place"], told["shares_clock"]) == (1, True)
    assert crowd.standing.ready == 0


def test_another_version_is_refused_and_told_nothing(crowd: Crowd) -> None:
    told = crowd.hello("a", version="0.9")
    why = "it has peakproof 0.9 and this run 1.0: install the same on both"
    assert told == {"say": "refused", "why": why}
    assert crowd.standing.refused == [f"host-a: {why}"]
    crowd.lead.hear("a", {"say": "ready", "skew_us": 0})
    crowd.lead.hear("a", {"say": "ask_clock", "number": 1})
    assert len(crowd.told) == 1
    assert crowd.standing.workers == {}


def test_one_too_many_is_refused(crowd: Crowd) -> None:
    crowd.hello("a")
    crowd.hello("b")
    assert crowd.hello("c")["why"] == "the run has all of its 2 workers: begin it with a higher --expect-workers"


def test_all_begin_together_once_all_are_ready_and_time_is_known(crowd: Crowd) -> None:
    crowd.hello("a")
    crowd.lead.hear("a", {"say": "ready", "skew_us": 10})
    crowd.lead.set_pace(PACE)
    crowd.lead.begin()
    assert not crowd.lead.may_begin
    crowd.hello("b")
    crowd.lead.hear("b", {"say": "ready", "skew_us": 250})
    assert crowd.lead.may_begin
    crowd.told.clear()
    crowd.lead.begin()
    crowd.lead.begin()
    assert crowd.told == [(client, {"say": "begin", "pace": asdict(PACE)}) for client in "ab"]
    assert (crowd.standing.ready, crowd.standing.skew_us) == (2, 250)


def test_one_who_is_not_heard_of_is_told_again(crowd: Crowd) -> None:
    first = crowd.hello("a")
    assert crowd.hello("a") == first
    assert sorted(crowd.standing.workers) == [0]
    crowd.lead.remind()
    assert crowd.told[-1][1] == first
    crowd.begun().lead.hear("a", {"say": "counts", "counts": {}})
    crowd.told.clear()
    crowd.lead.remind()
    assert [(client, told["say"]) for client, told in crowd.told] == [("b", "begin")]
    for _ in range(2):
        crowd.lead.hear("a", {"say": "ended", "skew_us": 1})
        assert crowd.told[-1] == ("a", {"say": "done"})
    assert crowd.standing.ended == 1


def test_the_leads_clock_is_told(crowd: Crowd) -> None:
    crowd.hello("a")
    crowd.lead.hear("a", {"say": "ask_clock", "number": 4})
    assert crowd.told[-1] == ("a", {"say": "clock", "number": 4, "now_us": 77})


def test_evidence_and_counts_lie_where_the_runner_looks_for_them(crowd: Crowd) -> None:
    crowd.begun().lead.hear("b", {"say": "rows", "kind": "operations", "first": 0, "lines": ROW})
    assert crowd.told[-1] == ("b", {"say": "written", "kind": "operations", "following": 1})
    crowd.lead.hear("b", {"say": "counts", "counts": {"orders_ok": 3}})
    assert [row["key"] for row in rows_of(crowd.directory / "crowd-1" / "operations.ndjson")] == ["a"]
    assert orjson.loads((crowd.directory / "crowd-1" / "counts.json").read_bytes()) == {"orders_ok": 3}


def test_it_is_over_when_all_have_ended(crowd: Crowd) -> None:
    crowd.begun().lead.hear("a", {"say": "ended", "skew_us": 900})
    assert (crowd.told[-1], crowd.lead.is_over) == (("a", {"say": "done"}), False)
    crowd.lead.look_after(["b"])
    crowd.lead.hear("b", {"say": "ended", "skew_us": 5})
    assert crowd.lead.is_over
    crowd.lead.close()
    assert (crowd.standing.trouble, crowd.standing.ended, crowd.standing.skew_us) == ("", 2, 900)


def test_one_who_is_gone_in_the_middle_is_lost_and_it_is_over(crowd: Crowd) -> None:
    crowd.begun().lead.look_after(["a"])
    assert crowd.lead.is_over
    assert crowd.standing.lost
    assert crowd.standing.trouble == "worker 1 (host-b) was lost before its part was done"


def test_the_place_of_one_who_goes_before_the_beginning_is_free_again(crowd: Crowd) -> None:
    crowd.hello("a")
    crowd.hello("b")
    crowd.lead.look_after(["b"])
    assert crowd.hello("c")["place"] == 0
    assert (crowd.standing.trouble, sorted(crowd.standing.workers)) == ("", [0, 1])


def test_one_who_fails_or_leaves_rows_out_ends_it(crowd: Crowd) -> None:
    crowd.begun().lead.hear("a", {"say": "failed", "why": "no module named shop"})
    assert crowd.standing.trouble == "worker 0 (host-a) can't go on: no module named shop"
    crowd.lead.hear("b", {"say": "rows", "kind": "operations", "first": 9, "lines": ROW})
    assert (crowd.standing.lost, crowd.told[-1][1]["say"]) == (False, "begin")
    assert crowd.standing.trouble.startswith("worker 0")


def test_a_crowd_that_is_stopped_has_not_done_its_part(crowd: Crowd) -> None:
    crowd.begun().lead.close()
    assert (crowd.standing.lost, crowd.standing.trouble) == (True, "the crowd was stopped before its part was done")


def test_no_token_lies_in_a_file(crowd: Crowd) -> None:
    crowd.begun().lead.close()
    assert [
        file for file in crowd.directory.rglob("*") if file.is_file() and b"secret-token" in file.read_bytes()
    ] == []
