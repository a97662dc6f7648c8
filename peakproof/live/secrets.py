"""Who may call whom in a run behind real doors.

All tokens of a process come of one secret: that of the environment, so that they stay the same from start to start, or
one that is drawn. Each token can also be given by itself.

    PEAKPROOF_SERVE_SECRET      the secret that tokens are made from
    PEAKPROOF_TOKEN_ADMIN       the token of /__admin
    PEAKPROOF_TOKEN_WMS_EAST    the integration's token at wms-east, and so on for each host; the client secret for erp
    PEAKPROOF_EVENT_KEY         of which the integration makes the secrets that sign its events
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from scenarios.spec import CHANNELS, NODES, PARTNERS
from scenarios.stage import MONITOR, WAREHOUSES, Keys

SECRET = "PEAKPROOF_SERVE_SECRET"


@dataclass(frozen=True)
class Secrets:
    """The credentials of one run. `admin` opens /__admin; `keys` is who may call whom."""

    admin: str
    keys: Keys


def draw_master(environment: Mapping[str, str]) -> str:
    """The secret of this process: the environment's, or a fresh one."""
    return environment.get(SECRET) or secrets.token_hex(16)


def secrets_of(run: str, master: str, environment: Mapping[str, str]) -> Secrets:
    """The credentials of a run; single tokens of the environment hold for the run without a name only."""

    def token(*owner: str) -> str:
        given = environment.get("PEAKPROOF_TOKEN_" + owner[-1].upper().replace("-", "_"), "") if not run else ""
        if given and owner[0] in ("integration", "admin"):
            return given
        return hmac.digest(master.encode(), "\x1f".join((run, *owner)).encode(), "sha256").hex()[:32]

    return Secrets(
        admin=token("admin", "admin"),
        keys=Keys(
            integration_at={partner: token("integration", partner) for partner in PARTNERS},
            webhook_secrets={partner: token("webhook", partner) for partner in (*WAREHOUSES, "carrier")},
            channels={channel: token("channel", channel) for channel in (*CHANNELS, MONITOR)},
            clerk_at={node: token("clerk", node) for node in NODES},
            event_key=(environment.get("PEAKPROOF_EVENT_KEY", "") if not run else "") or token("events"),
        ),
    )
