"""The page of the kill matrix, from plain values: who killed whom, who survived, what was a false alarm."""

from typing import Any

from reports.matrix import blamed, headline, render, shown_checks

DEAD: dict[str, Any] = {
    "name": "key-alone",
    "bug": "Answers by key alone.",
    "needs": ["client bug"],
    "caught_by": ["idempotent_reply"],
    "overrides": {"demand.orders": "3"},
    "faults": [{"id": "own-cut", "kind": "cut"}],
    "killed": True,
    "seeds_to_kill": 2,
    "seed": 2,
    "seeds_played": 2,
    "by": [{"check": "idempotent_reply", "kind": "two_orders", "counterexample": {"key": "<k>", "problem": None}}],
    "checks": {"idempotent_reply": {"seeds": 1, "kinds": ["two_orders"]}, "causality": {"seeds": 2, "kinds": ["late"]}},
    "struck": ["cut own-cut"],
    "blamed": ["reply_lost", "cut"],
    "command": ["peakproof", "explore", "exploration", "--mutant", "key-alone"],
    "errors": [],
}
ALIVE: dict[str, Any] = {
    **DEAD,
    "name": "no-fence",
    "caught_by": ["at_most_once"],
    "killed": False,
    "seeds_to_kill": None,
    "seed": None,
    "by": [],
    "checks": {},
    "struck": [],
    "blamed": None,
    "command": None,
    "errors": [{"seed": 1, "error": "Traceback\nKeyError: 1"}],
}


def matrix(**changes: Any) -> dict[str, Any]:
    control = {"seeds": 4, "alarms": [], "errors": []}
    checks = {"at_most_once": "once", "causality": "ordered", "idempotent_reply": "same", "no_storm": "calm"}
    plain = {"scenario": "exploration", "overrides": [], "most_seeds": 50, "checks": checks, "mutants": [DEAD, ALIVE]}
    return {**plain, "control": control, "holds": False, **changes}


def test_the_headline_counts_the_dead_and_the_false_alarms() -> None:
    assert (
        headline(matrix())
        == "1 of 2 deliberate bugs caught, each by its own check; 0 false alarms in 4 runs without a bug"
    )


def test_columns_are_the_checks_that_matter() -> None:
    assert shown_checks([DEAD, ALIVE]) == ["at_most_once", "causality", "idempotent_reply"]


def test_blame_is_told_in_words() -> None:
    assert blamed(DEAD) == "reply lost, cut"
    assert blamed({**DEAD, "blamed": []}) == "none: it shows on a good day"
    assert blamed(ALIVE) == "not caught"


def test_the_page_shows_kills_gaps_and_what_saw_nothing() -> None:
    page = render(matrix())
    assert 'title="idempotent_reply: two orders in 1 of 2 seeds">●</td>' in page
    assert 'title="causality: late in 2 of 2 seeds">○</td>' in page
    assert '<td class="cell missed"' in page
    assert "alive after 2" in page
    assert "No bug here is made for, or was seen by: no_storm." in page
    assert "Seed 1 came to no verdict: KeyError: 1" in page
    assert "&lt;k&gt;" in page
    assert "no finding" in page
    assert "The checks have a gap" in page


def test_false_alarms_are_listed_with_their_command() -> None:
    alarm = {"seed": 7, "check": "causality", "kind": "late", "like": "x", "command": ["peakproof", "run", "a b"]}
    page = render(matrix(control={"seeds": 9, "alarms": [alarm], "errors": []}, mutants=[DEAD]))
    assert "peakproof run &#39;a b&#39;" in page
    assert "1 false alarm in 9 runs" in page


def test_a_whole_matrix_is_said_to_be_proved() -> None:
    assert "The checks are proved" in render(matrix(mutants=[DEAD], holds=True))
