"""Who calls: a Locust user for each kind of caller, whose connections its calls go over.

Each process has one of each. Their calls are begun by the schedule and never wait for one another: `concurrency` is
so high that the pool of connections is no bound.
"""

from locust import FastHttpUser


class Caller(FastHttpUser):
    """Never tries again by itself and follows no redirect: the crowd decides what a client does."""

    abstract = True
    concurrency = 10_000
    max_retries = 0
    max_redirects = 0


class PortalBuyer(Caller):
    """Orders one basket at a time, and may look at availability first."""

    abstract = True


class EdiBatch(Caller):
    """Sends what its system has collected, many orders in the same minute."""

    abstract = True


class MarketplaceBurst(Caller):
    """Passes on what a marketplace sold, as it comes."""

    abstract = True


class OrderTracker(Caller):
    """Looks at orders later."""

    abstract = True


class ImpatientRetrier(Caller):
    """Sends an order again under a fresh key, having forgotten the first."""

    abstract = True


class Clerk(Caller):
    """Books movements of stock at a node."""

    abstract = True


BUYERS: dict[str, type[Caller]] = {"portal": PortalBuyer, "edi": EdiBatch, "marketplace": MarketplaceBurst}
PARTS: dict[str, type[Caller]] = {"tracker": OrderTracker, "reimport": ImpatientRetrier, "clerk": Clerk}


def caller(sender: str, part: str) -> type[Caller]:
    """Who sends a letter of this sender in this part."""
    return PARTS.get(part) or BUYERS[sender]
