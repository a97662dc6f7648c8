"""The partner as certification talks to it: within the budget, logged, authenticated, and every answer validated."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import orjson

from contracts.errors import ContractBreach
from contracts.validation import Contract, Operation
from contracts.wire import problem_key
from peakproof.certification.budget import Budget
from peakproof.certification.data import Credentials
from peakproof.certification.errors import CannotTell, NotRun
from peakproof.certification.log import ExchangeLog
from peakproof.certification.transport import Reply, Request, Transport
from peakproof.certification.waiting import SECOND_US, Waiter

TOKEN_PATH = "/oauth/token"
_TOKEN_MARGIN_US = 30 * SECOND_US
_PATIENT_ATTEMPTS = 3
_LONGEST_WAIT_S = 120
_PROBLEM_JSON = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Ask:
    """One request as a probe makes it. `token` None: the good one; "": none at all; else this one."""

    method: str
    path: str
    body: Any = None
    key: str = ""
    query: Mapping[str, object] = field(default_factory=dict)
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came of it. `breaches` is what the contract does not allow about the answer."""

    number: int
    ask: Ask
    operation: Operation | None
    reply: Reply
    at_us: int
    breaches: tuple[str, ...] = ()
    badly_refused: tuple[str, ...] = ()
    """Breaches of what an error answer must look like."""
    alone: bool = True
    """Whether nothing else was under way."""
    probe: str = ""

    @property
    def status(self) -> int:
        return self.reply.status

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300

    @property
    def parsed(self) -> Any:
        """The body as JSON; None for anything else."""
        return parsed(self.reply.body)

    @property
    def problem(self) -> str:
        """The catalogue key of the problem, or ""."""
        body = self.parsed
        return problem_key(str(body.get("type", ""))) if isinstance(body, dict) else ""

    @property
    def replayed(self) -> bool:
        return self.reply.headers.get("idempotent-replayed", "") == "true"

    @property
    def retry_after_s(self) -> int | None:
        """Retry-After in whole seconds; None when it is not given so."""
        text = self.reply.headers.get("retry-after", "")
        return int(text) if text.isascii() and text.isdigit() else None

    def member(self, name: str) -> Any:
        """A member of the answer; CannotTell where there is none."""
        body = self.parsed
        if not isinstance(body, dict) or name not in body:
            raise CannotTell(f"{self}, without {name}")
        return body[name]

    def __str__(self) -> str:
        told = f"{self.ask.method} {self.ask.path}"
        if self.reply.failure:
            return f"{told} was not answered ({self.reply.failure}: {self.reply.detail})"
        return f"{told} was answered {self.status}" + (f" {self.problem}" if self.problem else "")


class Partner:
    """One partner under certification."""

    def __init__(
        self,
        transport: Transport,
        contract: Contract,
        credentials: Credentials,
        waiter: Waiter,
        budget: Budget,
        log: ExchangeLog,
        forbidden: Collection[str] = (),
    ) -> None:
        """`forbidden` are operation ids that must not be called in this run."""
        self._transport = transport
        self.contract = contract
        self._forbidden = frozenset(forbidden)
        self._credentials = credentials
        self.waiter = waiter
        self.budget = budget
        self._log = log
        self._token = credentials.token
        self._renew_at_us: int | None = None
        self.probe = ""
        self.exchanges: list[Exchange] = []
        self.token_lifetime_s: int | None = None
        for secret in (credentials.token, credentials.client_secret):
            log.hide(secret)

    @property
    def issues_tokens(self) -> bool:
        """Whether the contract has a token endpoint."""
        return ("POST", TOKEN_PATH) in [(each.method, each.path) for each in self.contract.operations]

    def ask(self, ask: Ask, patient: bool = True) -> Exchange:
        """One exchange, and while the partner's limit refuses it another after the wait that it asks for.

        BudgetSpent when no request is left.
        """
        return self._sent(ask, self._request(ask), patient)

    def carry(self, request: Request) -> Exchange:
        """A request that somebody else made, as it is. NotRun for one that must not be sent, BudgetSpent as `ask`."""
        ask = Ask(request.method, request.path.partition("?")[0], request.body, token="")
        self._check_charges(ask)
        return self._sent(ask, request, patient=True)

    def _sent(self, ask: Ask, request: Request, patient: bool) -> Exchange:
        attempts = _PATIENT_ATTEMPTS if patient else 1
        while True:
            self.budget.take()
            at_us = self.waiter.now_us()
            exchange = self._noted(ask, self._transport.send(request), at_us, request)
            attempts -= 1
            wait_s = exchange.retry_after_s
            if exchange.status != 429 or not attempts or wait_s is None or wait_s > _LONGEST_WAIT_S:
                return exchange
            self.waiter.wait(wait_s * SECOND_US)

    def together(self, asks: Sequence[Ask]) -> list[Exchange]:
        """Several exchanges at the same moment."""
        requests = [self._request(ask) for ask in asks]
        self.budget.take(len(requests))
        at_us = self.waiter.now_us()
        replies = self._transport.together(requests)
        sent = zip(asks, replies, requests, strict=True)
        return [self._noted(ask, reply, at_us, request, crowd=len(asks)) for ask, reply, request in sent]

    def cut(self, ask: Ask) -> None:
        """Send a request and break the connection before its answer is read."""
        request = self._request(ask)
        self.budget.take()
        at_us = self.waiter.now_us()
        self._transport.cut(request)
        self._noted(ask, Reply(0, {}, b"", 0, "broken", "cut on purpose before the answer"), at_us, request)

    def fresh_token(self) -> Exchange:
        """Ask the token endpoint; the token is used from then on when there is one."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self._credentials.client_id,
            "client_secret": self._credentials.client_secret,
        }
        answer = self.ask(Ask("POST", TOKEN_PATH, form, token=""))
        if answer.good and isinstance(answer.parsed, dict) and isinstance(answer.parsed.get("access_token"), str):
            self._token = answer.parsed["access_token"]
            self._log.hide(self._token)
            lifetime_s = answer.parsed.get("expires_in")
            if isinstance(lifetime_s, int):
                self.token_lifetime_s = lifetime_s
                self._renew_at_us = self.waiter.now_us() + lifetime_s * SECOND_US - _TOKEN_MARGIN_US
        return answer

    @property
    def token(self) -> str:
        """The token in use, a fresh one where the last has nearly expired. NotRun when none is given out."""
        due = self._renew_at_us is not None and self.waiter.now_us() >= self._renew_at_us
        if (not self._token or due) and self._credentials.client_id:
            answer = self.fresh_token()
            if not answer.good:
                raise NotRun(f"no token: {answer}")
        return self._token

    def _request(self, ask: Ask) -> Request:
        self._check_charges(ask)
        headers = {"accept": "application/json"}
        token = self.token if ask.token is None else ask.token
        if token:
            headers["authorization"] = f"Bearer {token}"
        if ask.key:
            headers["idempotency-key"] = ask.key
        if ask.body is not None:
            headers["content-type"] = "application/json"
        body = ask.body if isinstance(ask.body, bytes) else b"" if ask.body is None else orjson.dumps(ask.body)
        path = f"{ask.path}?{urlencode(ask.query)}" if ask.query else ask.path
        return Request(ask.method, path, headers, body)

    def _check_charges(self, ask: Ask) -> None:
        operation = self._operation(ask)
        if operation is not None and operation.operation_id in self._forbidden:
            raise NotRun(f"{operation.operation_id} costs money; --allow-charges lets it be called")

    def _noted(self, ask: Ask, reply: Reply, at_us: int, request: Request, crowd: int = 1) -> Exchange:
        operation = self._operation(ask)
        if operation is not None and operation.path == TOKEN_PATH and isinstance(parsed(reply.body), dict):
            self._log.hide(str(parsed(reply.body).get("access_token", "")))
        breaches, badly_refused = judged(operation, reply)
        number = self._log.write(
            kind="request", probe=self.probe, at_us=at_us, method=request.method, path=request.path,
            request_headers=dict(request.headers), request_body=request.body, status=reply.status,
            response_headers=dict(reply.headers), response_body=reply.body, elapsed_us=reply.elapsed_us,
            failure=reply.failure, detail=reply.detail, at_once=crowd,
        )  # fmt: skip
        exchange = Exchange(number, ask, operation, reply, at_us, breaches, badly_refused, crowd == 1, self.probe)
        self.exchanges.append(exchange)
        return exchange

    def _operation(self, ask: Ask) -> Operation | None:
        template = self.contract.route_of(ask.path)
        return next(
            (each for each in self.contract.operations if (each.method, each.path) == (ask.method, template)), None
        )


def judged(operation: Operation | None, reply: Reply) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the contract does not allow about an answer, and among errors what is no proper problem."""
    if operation is None or not reply.status:
        return (), ()
    media_type = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = parsed(reply.body)
    is_error = reply.status >= 400
    if is_error and (media_type != _PROBLEM_JSON or not isinstance(body, dict)):
        shown = media_type or "no content type"
        return (), (f"{operation.method} {operation.path}: {reply.status} came as {shown}, not {_PROBLEM_JSON}",)
    try:
        spec = operation.answer(reply.status)
        found = [f"{violation.pointer or 'the whole'}: {violation.message}" for violation in
                 operation.answer_errors(reply.status, body)]  # fmt: skip
    except ContractBreach as breach:
        return (str(breach),), ()
    found += [f"header {name} is missing" for name in spec.required_headers if name.lower() not in reply.headers]
    if not is_error and spec.media_type and media_type != spec.media_type:
        found.append(f"came as {media_type or 'no content type'}, not {spec.media_type}")
    key = problem_key(str(body.get("type", ""))) if is_error and isinstance(body, dict) else ""
    if is_error and spec.problems and key not in spec.problems:
        found.append(f"problem {key or 'of a foreign type'} is not documented for this status")
    told = tuple(f"{operation.method} {operation.path} {reply.status}: {each}" for each in found)
    return ((), told) if is_error else (told, ())


def parsed(body: bytes) -> Any:
    """A body as JSON; None for anything else."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
