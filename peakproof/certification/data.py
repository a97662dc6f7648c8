"""What certification may use: the test-data file, its credentials, and the file of waivers.

Both are YAML, closed to unknown keys, with errors that name file, line and the nearest valid key.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from peakproof.certification.errors import CertificationError
from scenarios.loading import load_model

Role = Literal["erp", "wms", "threepl", "carrier"]
ROLES: tuple[Role, ...] = ("erp", "wms", "threepl", "carrier")
NODES: tuple[Role, ...] = ("wms", "threepl")
"""Roles that keep stock."""


class Part(BaseModel):
    """What all parts of the files share."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Credentials(Part):
    """A fixed token, or a client of the partner's token endpoint. The environment stands in for what is left out."""

    token: str = ""
    client_id: str = ""
    client_secret: str = ""

    def completed(self, environ: Mapping[str, str]) -> "Credentials":
        """These, with PEAKPROOF_TOKEN, PEAKPROOF_CLIENT_ID and PEAKPROOF_CLIENT_SECRET where something is missing."""
        return Credentials(
            token=self.token or environ.get("PEAKPROOF_TOKEN", ""),
            client_id=self.client_id or environ.get("PEAKPROOF_CLIENT_ID", ""),
            client_secret=self.client_secret or environ.get("PEAKPROOF_CLIENT_SECRET", ""),
        )


class Address(Part):
    name: str = "Certification"
    street: str = "1 High Street"
    city: str = "Leeds"
    postcode: str = "LS1 1AA"
    country: str = "GB"


class Money(Part):
    """What an ERP needs to price an order line: minor units, hundredths of a percent."""

    currency: str = "GBP"
    unit_price_minor: Annotated[int, Field(ge=0)] = 255
    tax_rate_bp: Annotated[int, Field(ge=0, le=10_000)] = 2_000


class TestData(Part):
    """Base data that exist at the partner and may be used. `pact_states` maps provider states to their parameters."""

    __test__ = False  # pytest takes every class named Test... for one of its own

    credentials: Credentials = Credentials()
    customer_id: str
    skus: Annotated[tuple[str, ...], Field(min_length=1)]
    units: Annotated[int, Field(ge=1, le=1_000)] = 3
    """Units of each line that is ordered."""
    node: str = "wms-east"
    address: Address = Address()
    money: Money = Money()
    charged: tuple[str, ...] = ("createLabel",)
    """Operations that cost money: called with --allow-charges only."""
    pact_states: Mapping[str, Mapping[str, Any] | None] = {}
    """Provider states that the partner's test system is in, with what the pacts may ask of them."""


class Waiver(Part):
    """A finding that is known and accepted until a day."""

    probe: str
    reason: Annotated[str, Field(min_length=3)]
    expires: Annotated[date, BeforeValidator(lambda given: given.date() if hasattr(given, "date") else given)]


class Waivers(Part):
    """The file of waivers."""

    waivers: tuple[Waiver, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may cost the partner; `patience_us` is the longest wait of one probe for something to happen."""

    max_requests: int = 400
    max_per_second: float = 5.0
    allow_charges: bool = False
    patience_us: int = 60_000_000


def read_test_data(file: Path, environ: Mapping[str, str] = os.environ) -> TestData:
    """The test data with complete credentials. Raises ScenarioError for a file, CertificationError without them."""
    data = load_model(TestData, file, {})
    credentials = data.credentials.completed(environ)
    return data.model_copy(update={"credentials": credentials})


def check_credentials(role: Role, credentials: Credentials) -> None:
    """Raise CertificationError unless there is something to authenticate with."""
    if credentials.token or (credentials.client_id and credentials.client_secret):
        return
    raise CertificationError(
        f"no credentials for the {role}: put 'token' or 'client_id' and 'client_secret' under 'credentials:' of the "
        "test-data file, or set PEAKPROOF_TOKEN, or PEAKPROOF_CLIENT_ID and PEAKPROOF_CLIENT_SECRET"
    )


def read_waivers(file: Path | None, known: tuple[str, ...]) -> tuple[Waiver, ...]:
    """The waivers; CertificationError for one that names no probe."""
    if file is None:
        return ()
    waivers = load_model(Waivers, file, {}).waivers
    for waiver in waivers:
        if waiver.probe not in known and not waiver.probe.startswith("pact-"):
            raise CertificationError(f"no probe {waiver.probe!r}; valid here: {', '.join(known)}", file=str(file))
    return waivers
