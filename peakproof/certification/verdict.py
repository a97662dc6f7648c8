"""The verdict: findings scored, waivers applied, one word and one exit code."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from peakproof import exits
from peakproof.certification.data import Waiver
from peakproof.certification.session import Finding

POINTS = {"blocking": 3, "advisory": 1}
Standing = Literal["fit", "unfit", "undecided"]
EXITS: dict[Standing, int] = {"fit": exits.HOLDS, "unfit": exits.VIOLATED, "undecided": exits.INCONCLUSIVE}


@dataclass(frozen=True)
class Verdict:
    """`score` is 0 to 100: points of promises kept over points of those that could be looked at or should have been."""

    standing: Standing
    score: int
    headline: str
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        return EXITS[self.standing]


def waived(findings: Sequence[Finding], waivers: Sequence[Waiver], today: date) -> tuple[Finding, ...]:
    """The findings, each with its waiver. One holds to the end of its day of expiry."""
    by_probe = {waiver.probe: waiver for waiver in waivers}
    found = []
    for finding in findings:
        waiver = by_probe.get(finding.probe)
        if waiver is None or finding.outcome == "passed":
            found.append(finding)
            continue
        told = {"reason": waiver.reason, "expires": waiver.expires.isoformat()}
        holds = today <= waiver.expires
        found.append(replace(finding, waived=told) if holds else replace(finding, expired=told))
    return tuple(found)


def judge(findings: Sequence[Finding], role: str) -> Verdict:
    """Unfit when a blocking promise is broken, undecided when one could not be looked at, else fit."""
    withholding = [each for each in findings if each.withholds]
    broken = [each for each in withholding if each.outcome == "failed"]
    standing: Standing = "unfit" if broken else "undecided" if withholding else "fit"
    return Verdict(standing, _score(findings), _headline(findings, standing, role), tuple(findings))


def _score(findings: Sequence[Finding]) -> int:
    counted = [each for each in findings if each.outcome != "not run" or not each.may_be_missed]
    possible = sum(POINTS[each.weight] for each in counted)
    earned = sum(POINTS[each.weight] for each in counted if each.outcome == "passed")
    return round(100 * earned / possible) if possible else 0


def _headline(findings: Sequence[Finding], standing: Standing, role: str) -> str:
    first = next((each for each in findings if each.probe == "reachable" and each.outcome != "passed"), None)
    if first is not None:
        return f"The {role} could not be examined: {first.said}"
    withholding = [each for each in findings if each.withholds]
    if standing == "fit":
        failed = sum(1 for each in findings if each.outcome == "failed")
        unseen = sum(1 for each in findings if each.outcome == "not run")
        rest = f"; {failed} advisory or waived findings" if failed else ""
        rest += f"; {unseen} promises were not tried" if unseen else ""
        return f"This {role} is fit to be onboarded{rest}"
    if standing == "unfit":
        broken = [each.probe for each in withholding if each.outcome == "failed"]
        count = "a blocking promise is" if len(broken) == 1 else f"{len(broken)} blocking promises are"
        return f"This {role} is not fit to be onboarded: {count} broken ({', '.join(broken)})"
    missing = [each.probe for each in withholding]
    count = "one promise" if len(missing) == 1 else f"{len(missing)} promises"
    return f"Nothing blocking is broken, but {count} could not be looked at ({', '.join(missing)})"
