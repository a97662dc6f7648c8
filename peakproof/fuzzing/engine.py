"""Schemathesis at the door: its phases, its checks, our transport.

Schemathesis sends each case through `DoorTransport`, which gives it to the door. A case that fits the document is given
values that the target knows on its way (`Known`), by the hook that Schemathesis offers for that.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import requests
from schemathesis.config import InferenceAlgorithm, SchemathesisConfig
from schemathesis.core.transport import Response
from schemathesis.engine import events, from_schema
from schemathesis.generation import GenerationMode
from schemathesis.generation.case import Case
from schemathesis.hooks import HookContext
from schemathesis.specs.openapi.schemas import OpenApiSchema
from schemathesis.transport.requests import REQUESTS_TRANSPORT, RequestsTransport

from peakproof.certification.transport import Reply, Request
from peakproof.fuzzing.door import KEY_HEADER, PLACEHOLDER, Door
from peakproof.fuzzing.promises import Broken
from simulators.kernel.chance import Chance

PHASES = ("examples", "coverage", "fuzzing", "stateful")
STATEFUL_STEPS = 6
_OWN_BROKEN = "x-peakproof-unanswered"
_REFUSALS = ("422",)
"""A request that fits the document may still be refused by a rule that JSON Schema can't say."""
_LEFT_OUT = frozenset({"content-length", "connection", "transfer-encoding", "host", "x-schemathesis-testcaseid"})
"""Headers that the connection makes anew, and the one that Schemathesis numbers its cases by, at random."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one round generates. `most_examples` per operation and phase; `stateful_runs` of up to STATEFUL_STEPS each.

    `coverage_at_most` cases per operation are kept of the coverage phase, chosen by the seed. No case is begun after
    `at_most`.
    """

    seed: int
    phases: tuple[str, ...] = PHASES
    most_examples: int = 20
    stateful_runs: int = 20
    coverage_at_most: int = 1_000_000
    at_most: int = 1_000_000_000
    round: int = 0


@dataclass
class Round:
    """What one round did: generated cases by phase, and what kept Schemathesis from exercising an operation."""

    cases: Counter[str] = field(default_factory=Counter)
    troubles: list[tuple[str, str]] = field(default_factory=list)


AnyCase = Case[Any]


class DoorTransport(RequestsTransport):
    """Gives each case to the door, as the bytes that `requests` would have put on the wire."""

    def __init__(self, door: Door) -> None:
        super().__init__()
        self._copy_serializers_from(REQUESTS_TRANSPORT)
        self._door = door
        self._left = 0
        self._stop: Callable[[], None] = _nothing

    def when_spent(self, cases: int, stop: Callable[[], None]) -> None:
        """Call `stop` once so many cases were sent."""
        self._left, self._stop = cases, stop

    def send(self, case: AnyCase, *, session: requests.Session | None = None, **kwargs: Any) -> Response:
        given = {name: kwargs[name] for name in ("params", "cookies", "json", "data") if kwargs.get(name) is not None}
        shown = dict(session.headers) if session is not None else {}
        headers = {**shown, **(kwargs.get("headers") or {})}
        data = self.serialize_case(case, base_url=kwargs.get("base_url"), headers=headers, **given)
        if _is_sensible(case) and KEY_HEADER in data["headers"]:
            data["headers"][KEY_HEADER] = self._door.known.key(data["headers"][KEY_HEADER])
        prepared = requests.Request(**data).prepare()
        reply = self._door.case(request_of(prepared))
        self._left -= 1
        if self._left == 0:
            self._stop()
        return _response(prepared, reply)


class DoorSchema(OpenApiSchema):
    """A document whose cases go through a door."""

    door_transport: DoorTransport

    @property
    def transport(self) -> DoorTransport:
        return self.door_transport


def play(door: Door, plan: Plan) -> Round:
    """Play the phases of a plan through a door. What breaks is noted at the door's findings."""
    done = Round()
    schema = _schema(door, plan)
    stream = from_schema(schema).execute()
    schema.door_transport.when_spent(plan.at_most, stream.stop)
    for event in stream:
        if isinstance(event, events.PhaseStarted):
            door.phase = event.phase.name.value
        elif isinstance(event, events.ScenarioFinished):
            done.cases[door.phase] += len(event.recorder.interactions)
            _note_failures(door, event)
        elif isinstance(event, events.NonFatalError):
            done.troubles.append((event.label, str(event.value).strip().partition("\n")[0]))
        elif isinstance(event, events.FatalError):
            raise event.exception
    return done


def request_of(prepared: requests.PreparedRequest) -> Request:
    """A prepared request as the door takes it."""
    body = prepared.body or b""
    assert isinstance(body, str | bytes), "every serializer gives text or bytes"
    content = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    headers = {
        _text(name): _text(value) for name, value in prepared.headers.items() if _text(name).lower() not in _LEFT_OUT
    }
    return Request(prepared.method or "", prepared.path_url, headers, content)


def _schema(door: Door, plan: Plan) -> DoorSchema:
    config = SchemathesisConfig(seed=plan.seed)
    project = config.projects.default
    project.base_url = door.target.base_url
    project.headers = {"Authorization": PLACEHOLDER}
    project.continue_on_failure = True
    project.phases.update(phases=list(plan.phases))
    project.generation.update(max_examples=plan.most_examples, no_shrink=True, database="none")
    project.phases.stateful.max_steps = STATEFUL_STEPS
    # Not LOCATION_HEADERS: it reads every text of an answer as a URL, and fails on one such as "http://[".
    project.phases.stateful.inference.algorithms = [InferenceAlgorithm.DEPENDENCY_ANALYSIS]
    project.phases.stateful.generation.update(max_examples=plan.stateful_runs, no_shrink=True, database="none")
    accepted = project.checks.positive_data_acceptance.expected_statuses
    project.checks.positive_data_acceptance.expected_statuses = [*accepted, *_REFUSALS]
    document = deepcopy(door.contract.document)
    schema = DoorSchema(raw_schema=document, config=config.projects.get(document))
    schema.door_transport = DoorTransport(door)
    sampled = _Sample(plan)

    def map_case(_context: HookContext, case: AnyCase) -> AnyCase:
        return _planted(door, case)

    def filter_case(_context: HookContext, case: AnyCase) -> bool:
        return sampled.takes(door.phase, case)

    schema.hooks.hook(map_case)
    schema.hooks.hook(filter_case)
    return schema


class _Sample:
    """Which cases of the coverage phase are sent, where not all are: a share by keyed chance, up to the bound."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._chance = Chance(plan.seed)
        self._seen: Counter[str] = Counter()
        self._taken: Counter[str] = Counter()

    def takes(self, phase: str, case: AnyCase) -> bool:
        at_most = self._plan.coverage_at_most
        if phase != "coverage" or at_most > 10_000:
            return True
        name = case.operation.label
        self._seen[name] += 1
        if self._taken[name] >= at_most or not self._chance.hit(0.15, "coverage", name, self._seen[name]):
            return False
        self._taken[name] += 1
        return True


def _planted(door: Door, case: AnyCase) -> AnyCase:
    """The case with values that the target knows. Parts are set only where they change: Schemathesis takes a part that
    was set for a changed one and validates it anew, even the body of an operation that has none."""
    if not _is_sensible(case) or door.phase == "coverage":
        return case
    path, query = dict(case.path_parameters or {}), dict(case.query or {})
    body, planted_path, planted_query = door.known.plant(case.body, path, query)
    if body is not case.body and body != case.body:
        case.body = body
    if planted_path != path:
        case.path_parameters = planted_path
    if planted_query != query:
        case.query = planted_query
    return case


def _is_sensible(case: AnyCase) -> bool:
    """It was made to fit the document."""
    return case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE


def _note_failures(door: Door, event: events.ScenarioFinished) -> None:
    for case_id, checks in event.recorder.checks.items():
        interaction = event.recorder.interactions.get(case_id)
        response = interaction.response if interaction is not None else None
        for check in checks:
            if check.failure_info is None or response is None or _OWN_BROKEN in response.headers:
                continue
            failure = check.failure_info.failure
            told = " ".join(f"{failure.title}: {failure.message}".split())
            reply = Reply(response.status_code, _flat(response.headers), response.content, 0)
            door.note(request_of(response.request), reply, Broken(check.name, told))


def _response(prepared: requests.PreparedRequest, reply: Reply) -> Response:
    headers = {name: [value] for name, value in reply.headers.items()}
    if not reply.status:
        headers = {"content-type": ["text/plain"], _OWN_BROKEN: [reply.failure]}
    return Response(
        status_code=reply.status or 500,
        headers=headers,
        content=reply.body,
        request=prepared,
        elapsed=reply.elapsed_us / 1_000_000,
        verify=False,
    )


def _nothing() -> None:
    """Nobody waits for the end of the budget."""


def _flat(headers: Mapping[str, list[str]]) -> dict[str, str]:
    return {name: values[0] for name, values in headers.items() if values}


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
