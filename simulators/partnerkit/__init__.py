"""What all partners share: books, webhooks out, tokens, limits, counters with queues, profiles and the Flask frame.

A partner is three files (model, process, api) and this kit. Errors of this package::

    PartnerError
    └── ProfileError   a profile that cannot be used: a missing file, an unknown key, a value out of range

What a caller did wrong is not an error here but an answer: `contracts.edge.ProblemError`.
"""

from simulators.partnerkit.access import StaticTokens, Tokens
from simulators.partnerkit.app import cap, correlation_id, create, paged, write_key
from simulators.partnerkit.errors import PartnerError, ProfileError
from simulators.partnerkit.keys import Keys, KeySettings
from simulators.partnerkit.ledger import Ledger
from simulators.partnerkit.limits import BucketSettings, RateLimit, TokenBucket, WindowLimit, WindowSettings
from simulators.partnerkit.profile import Duration, Profile, load
from simulators.partnerkit.service import Desk, DeskSettings, Pace, service_time_us
from simulators.partnerkit.webhooks import Webhooks, WebhookSettings

__all__ = [
    "BucketSettings",
    "Desk",
    "DeskSettings",
    "Duration",
    "KeySettings",
    "Keys",
    "Ledger",
    "Pace",
    "PartnerError",
    "Profile",
    "ProfileError",
    "RateLimit",
    "StaticTokens",
    "TokenBucket",
    "Tokens",
    "WebhookSettings",
    "Webhooks",
    "WindowLimit",
    "WindowSettings",
    "cap",
    "correlation_id",
    "create",
    "load",
    "paged",
    "service_time_us",
    "write_key",
]
