"""A Pact Broker: where pacts are published, and where those to verify come from. Its standard environment names it."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from peakproof.live.pacts import MISSING, PactError, PactFile, Source
from scenarios.errors import nearest

if TYPE_CHECKING:
    from pact import Verifier

_TIMEOUT_S = 30.0
_SELECTORS = {
    "consumer": "consumer",
    "tag": "tag",
    "fallbackTag": "fallback_tag",
    "latest": "latest",
    "deployedOrReleased": "deployed_or_released",
    "deployed": "deployed",
    "released": "released",
    "environment": "environment",
    "mainBranch": "main_branch",
    "branch": "branch",
    "matchingBranch": "matching_branch",
    "fallbackBranch": "fallback_branch",
}


@dataclass(frozen=True)
class Version:
    """Which version of a provider was verified, or of a consumer is published."""

    number: str
    branch: str = ""
    build_url: str = ""


@dataclass(frozen=True)
class Broker:
    """Where it is, and how to log in: by a token, or by name and password."""

    url: str
    token: str = ""
    username: str = ""
    password: str = ""

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> "Broker":
        """By PACT_BROKER_BASE_URL and PACT_BROKER_TOKEN, or _USERNAME and _PASSWORD. PactError when they don't fit."""
        broker = cls(
            environment.get("PACT_BROKER_BASE_URL", "").rstrip("/"),
            environment.get("PACT_BROKER_TOKEN", ""),
            environment.get("PACT_BROKER_USERNAME", ""),
            environment.get("PACT_BROKER_PASSWORD", ""),
        )
        if not broker.url.startswith(("http://", "https://")):
            raise PactError(f"PACT_BROKER_BASE_URL is {broker.url!r}: set it to the broker's URL, https://...")
        if broker.token and (broker.username or broker.password):
            raise PactError("PACT_BROKER_TOKEN and PACT_BROKER_USERNAME are both set: keep one of the two")
        if bool(broker.username) != bool(broker.password):
            raise PactError("PACT_BROKER_USERNAME and PACT_BROKER_PASSWORD belong together: set both")
        return broker

    def source(
        self,
        selectors: Sequence[Mapping[str, Any]],
        branch: str,
        pending: bool,
        wip_since: str,
        publish: Version | None,
    ) -> Source:
        """The pacts that the broker chooses; what is pending or work in progress is its word. `publish`: tell it the
        results, as those of that version.
        """

        def add(verifier: "Verifier") -> None:
            if publish is not None:
                verifier.set_publish_options(publish.number, publish.build_url or None, publish.branch or None, [])
            builder = verifier.broker_source(
                self.url,
                username=self.username or None,
                password=self.password or None,
                token=self.token or None,
                selector=True,
                use_env=False,
            )  # type: ignore[call-overload]
            builder = builder.include_pending() if pending else builder.exclude_pending()
            if wip_since:
                builder.include_wip_since(wip_since)
            if branch:
                builder.provider_branch(branch)
            for one in selectors:
                builder.consumer_version(**{_SELECTORS[name]: value for name, value in one.items()})
            builder.build()

        return add

    def publish(self, pacts: Sequence[PactFile], version: Version) -> list[str]:
        """Publish the pacts of each consumer as those of a version; what the broker said. PactError when it refused."""
        said: list[str] = []
        for consumer in dict.fromkeys(pact.consumer for pact in pacts):
            said += self._publish(consumer, [pact for pact in pacts if pact.consumer == consumer], version)
        return said

    def _publish(self, consumer: str, pacts: Sequence[PactFile], version: Version) -> list[str]:
        body: dict[str, Any] = {
            "pacticipantName": consumer,
            "pacticipantVersionNumber": version.number,
            "contracts": [
                {
                    "consumerName": pact.consumer,
                    "providerName": pact.provider,
                    "specification": "pact",
                    "contentType": "application/json",
                    "content": base64.b64encode(pact.path.read_bytes()).decode(),
                }
                for pact in pacts
            ],
        }
        if version.branch:
            body["branch"] = version.branch
        if version.build_url:
            body["buildUrl"] = version.build_url
        answer = self._post("/contracts/publish", body)
        return [str(notice.get("text", "")) for notice in answer.get("notices", [])]

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        try:
            import urllib3  # noqa: PLC0415
        except ImportError as error:
            raise PactError(MISSING) from error
        headers = {"Content-Type": "application/json", "Accept": "application/hal+json", **self._login()}
        try:
            answer = urllib3.request(
                "POST", self.url + path, body=orjson.dumps(body), headers=headers, timeout=_TIMEOUT_S, retries=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise PactError(f"the broker at {self.url} can't be reached: {error}") from error
        told = _read(answer.data)
        if not 200 <= answer.status < 300:
            raise PactError(
                f"the broker at {self.url} answered {answer.status}: {_why(told) or str(answer.data[:200])}"
            )
        return told

    def _login(self) -> dict[str, str]:
        if self.token:
            return {"Authorization": f"Bearer {self.token}"}
        if self.username:
            pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        return {}


def read_selector(text: str) -> dict[str, Any]:
    """A consumer version selector as the broker knows them, such as {"mainBranch": true}. PactError when it is none."""
    try:
        selector = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise PactError(f'{text!r} is no JSON: write a selector such as {{"mainBranch": true}}') from error
    if not isinstance(selector, dict) or not selector:
        raise PactError(f'{text!r} is no selector: write an object such as {{"mainBranch": true}}')
    for name in selector:
        if name not in _SELECTORS:
            raise PactError(f"a selector has no {name!r}{nearest(str(name), _SELECTORS)}")
    return selector


def _read(body: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}


def _why(told: Mapping[str, Any]) -> str:
    notices = [str(notice.get("text", "")) for notice in told.get("notices", []) if notice.get("type") == "error"]
    errors = told.get("errors") or told.get("error") or ""
    return "; ".join(notices) or (str(errors) if errors else "")
