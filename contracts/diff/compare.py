"""Two trees of contracts in, verdicts out: which changes there are, and whom each breaks.

Whose pacts count: those of BASE, because they are what runs against the provider today and keeps running while the
newer side is rolled out; and those of HEAD, because they are what runs tomorrow. A consumer that is deployed together
with the change is judged by HEAD's alone; pacts don't tell which consumer that is, so it is named.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from urllib.parse import unquote, urlsplit

from contracts.diff import events, openapi, pacts, problems
from contracts.diff.changes import Change, Subject
from contracts.diff.pacts import Interaction, Rule, Side
from contracts.diff.rules import Weight
from contracts.diff.schema import Place
from contracts.diff.tree import PROBLEMS, Document, Tree
from contracts.wire import problem_type


class Verdict(StrEnum):
    """What becomes of a change once the pacts have been asked, worst first."""

    SOMEBODY = "breaking for somebody"
    UNJUDGED = "cannot be judged"
    NOBODY = "breaking for nobody"
    COMPATIBLE = "compatible"


@dataclass(frozen=True, slots=True)
class Concerned:
    """A consumer that a change concerns: what it does, and in which interactions."""

    consumer: str
    told: str
    interactions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """One change with its verdict. `where` lists every operation or event that has it; there is at least one."""

    document: str
    where: tuple[str, ...]
    words: str
    verdict: Verdict
    concerned: tuple[Concerned, ...]

    @property
    def sentence(self) -> str:
        """The change in the consumer's words, on one line."""
        more = f" (and {len(self.where) - 1} more)" if len(self.where) > 1 else ""
        told = "".join(f"; the {who.consumer} {who.told}" for who in self.concerned)
        return f"{self.document}: {self.where[0]}{more} {self.words}{told}"


@dataclass(frozen=True, slots=True)
class Compared:
    """All changes, worst first within their document, and remarks on pacts that could not be used."""

    changes: tuple[Judged, ...]
    remarks: tuple[str, ...]

    def of(self, verdict: Verdict) -> list[Judged]:
        """The changes with that verdict."""
        return [change for change in self.changes if change.verdict is verdict]


def compare(base: Tree, head: Tree, together: Iterable[str] = ()) -> Compared:
    """Compares two trees. `together`: consumers that are deployed with the change."""
    users = _Users.of(base, head, tuple(together))
    judged: list[Judged] = []
    for name in sorted({*base.apis, *head.apis}):
        if not base.same(head, f"openapi/{name}.yaml", "openapi/common.yaml"):
            old, new = base.api(name), head.api(name)
            users.find(name, old, new)
            judged += _folded(users.judged(change) for change in openapi.changes(name, old, new))
    paths = [path for path in {*base.files, *head.files} if path.startswith("events/") and path.endswith(".json")]
    if not base.same(head, *paths):
        old, new = base.events(), head.events()
        users.find_events({*old["components"]["schemas"], *new["components"]["schemas"]})
        judged += _folded(users.judged(change) for change in events.changes(old, new))
    judged += _meanings(base, head, users)
    remarks = (*users.remarks, *_unknown_providers(users, base, head), *_not_compared(base, head))
    return Compared(tuple(judged), remarks)


def _meanings(base: Tree, head: Tree, users: "_Users") -> list[Judged]:
    """What changed in the meaning of problems, worst first."""
    if base.same(head, PROBLEMS):
        return []
    old, new = base.problems(), head.problems()
    users.find_problems(sorted(old.keys() & new.keys()))
    return _folded(users.judged(change) for change in problems.changes(old, new))


def _not_compared(base: Tree, head: Tree) -> Iterator[str]:
    """Remarks on files that say something of the wire, differ, and are not compared."""
    for path in sorted({*base.files, *head.files}):
        compared = path == PROBLEMS or path.startswith(("openapi/", "pacts/"))
        compared |= path.startswith("events/") and path.endswith(".json")
        if not compared and not base.same(head, path):
            yield f"contracts/{path} differs and is not compared: read its change yourself"


def _unknown_providers(users: "_Users", base: Tree, head: Tree) -> Iterator[str]:
    """Remarks on pacts whose provider is none of the documents: what it changes is never told to break them."""
    asked = {one.provider: one.consumer for one in users.interactions if not one.event}
    for tree in (base, head):
        for name in tree.apis:
            asked.pop(name, None)
    if not asked:
        return
    for tree in (base, head):  # a host is as good as a name, but takes reading every document
        for name in tree.apis:
            for host in _hosts(tree.api(name)):
                asked.pop(host, None)
    for provider, consumer in sorted(asked.items()):
        yield f"the pact of {consumer} with {provider} is of no use: no document has that name or is served under it"


def consumers(*trees: Tree) -> list[str]:
    """Those who have a pact in one of the trees, by name."""
    return sorted({interaction.consumer for tree in trees for interaction in _read(tree)})


def _folded(judged: Iterable[Judged]) -> list[Judged]:
    """Changes that say the same of several operations as one, worst first."""
    found: dict[tuple[str, Verdict, tuple[Concerned, ...]], Judged] = {}
    for one in judged:
        plain = tuple(replace(who, interactions=()) for who in one.concerned)
        key = (one.words, one.verdict, plain)
        known = found.get(key)
        found[key] = one if known is None else _joined(known, one)
    order = list(Verdict)
    return sorted(found.values(), key=lambda one: order.index(one.verdict))


def _joined(one: Judged, other: Judged) -> Judged:
    concerned = tuple(
        replace(who, interactions=tuple(dict.fromkeys([*who.interactions, *also.interactions])))
        for who, also in zip(one.concerned, other.concerned, strict=True)
    )
    return replace(one, where=tuple(dict.fromkeys([*one.where, *other.where])), concerned=concerned)


@dataclass
class _Users:
    """The interactions of all pacts by what they are about."""

    interactions: list[Interaction]
    by_subject: dict[Subject, list[Interaction]]
    remarks: list[str]

    @staticmethod
    def of(base: Tree, head: Tree, together: tuple[str, ...]) -> "_Users":
        before, after = _read(base), _read(head)
        counted = [one for one in before if one.consumer not in together]
        told = {(one.consumer, one.provider, one.description, repr(one)) for one in counted}
        counted += [one for one in after if (one.consumer, one.provider, one.description, repr(one)) not in told]
        remarks = [] if before or after else ["there are no pacts: nothing can be told to break anybody"]
        return _Users(counted, {}, remarks)

    def find(self, name: str, old: Document, new: Document) -> None:
        """Find the interactions with one API, by its name or by a host that it is served under."""
        hosts = {name, *_hosts(old), *_hosts(new)}
        templates = [*openapi.routes(old), *openapi.routes(new)]
        templates.sort(key=lambda template: template[1].count("{"))
        for interaction in self.interactions:
            if interaction.provider not in hosts or interaction.event:
                continue
            found = next((path for method, path in templates if _falls_under(interaction, method, path)), None)
            if found is None:
                self.remarks.append(
                    f"the pact of {interaction.consumer} with {interaction.provider} calls {interaction.method} "
                    f"{interaction.path} ({interaction.description!r}), which {name} does not have"
                )
                continue
            subject = Subject(name, interaction.method, openapi.route_of(found))
            self.by_subject.setdefault(subject, []).append(_routed(interaction, found))

    def find_events(self, types: set[str]) -> None:
        """Find the messages of each event type."""
        for interaction in self.interactions:
            if interaction.event in types:
                self.by_subject.setdefault(Subject(events.DOCUMENT, event=interaction.event), []).append(interaction)
            elif interaction.event:
                self.remarks.append(
                    f"the pact of {interaction.consumer} with {interaction.provider} has a message "
                    f"{interaction.description!r} that is none of the events: {interaction.event!r}"
                )

    def find_problems(self, keys: Sequence[str]) -> None:
        """Find the interactions that expect one of these problems, whoever answers it."""
        by_uri = {problem_type(key): Subject(problems.DOCUMENT, problem=key) for key in keys}
        for interaction in self.interactions:
            for uri in interaction.answered.values(("body", "type")):
                if isinstance(uri, str) and uri in by_uri:
                    self.by_subject.setdefault(by_uri[uri], []).append(interaction)

    def judged(self, change: Change) -> Judged:
        """The change with its verdict."""
        by_consumer: dict[str, list[tuple[str, bool, str]]] = {}
        if change.weight is not Weight.COMPATIBLE:
            for consumer, told, proven, description in self._concerns(change):
                by_consumer.setdefault(consumer, []).append((told, proven, description))
        concerned = tuple(
            Concerned(consumer, _strongest(told), tuple(dict.fromkeys(description for _, _, description in told)))
            for consumer, told in sorted(by_consumer.items())
        )
        proven = any(proven for told in by_consumer.values() for _, proven, _ in told)
        return Judged(
            change.subject.document, (change.where,), change.words, _verdict(change, concerned, proven), concerned
        )

    def _concerns(self, change: Change) -> Iterator[tuple[str, str, bool, str]]:
        here = self.by_subject.get(change.subject, [])
        for interaction in here:
            everything = [
                other
                for subject, others in self.by_subject.items()
                if subject.document == change.subject.document
                for other in others
                if other.consumer == interaction.consumer
            ]
            concern = change.bearing(interaction, everything)
            if concern is not None:
                yield interaction.consumer, concern.told, concern.proven, interaction.description


def _verdict(change: Change, concerned: Sequence[Concerned], proven: bool) -> Verdict:
    if change.weight is Weight.COMPATIBLE:
        return Verdict.COMPATIBLE
    if change.weight is Weight.UNJUDGED and not proven:
        return Verdict.UNJUDGED
    return Verdict.SOMEBODY if concerned else Verdict.NOBODY


def _strongest(told: Sequence[tuple[str, bool, str]]) -> str:
    """What is said of a consumer: what an interaction proves, else the first concern."""
    return next((words for words, proven, _ in told if proven), told[0][0])


def _read(tree: Tree) -> list[Interaction]:
    return [interaction for path, pact in tree.pacts().items() for interaction in pacts.read(path, pact)]


def _hosts(document: Mapping[str, Any]) -> list[str]:
    return [urlsplit(server["url"]).hostname or "" for server in document.get("servers", [])]


def _falls_under(interaction: Interaction, method: str, template: str) -> bool:
    steps, parts = interaction.path.split("/"), template.split("/")
    return (
        interaction.method == method
        and len(steps) == len(parts)
        and all(part == step or part.startswith("{") for part, step in zip(parts, steps, strict=True))
    )


def _routed(interaction: Interaction, template: str) -> Interaction:
    """With the values of its path parameters, which only the template gives names to."""
    pairs = zip(template.split("/"), interaction.path.split("/"), strict=True)
    values = {part[1:-1]: unquote(step) for part, step in pairs if part.startswith("{")}
    rules: dict[Place, Rule] = {
        ("path", name): rule for place, rule in interaction.sent.rules.items() if place == ("path",) for name in values
    }
    sent = Side({**interaction.sent.carried, "path": values}, {**interaction.sent.rules, **rules})
    return replace(interaction, route=template, sent=sent)
