"""The database when a process begins: waited for while it is down, and brought to this version by whoever is first."""

import logging
import threading
import time

from integration.runtime import IntegrationError
from integration.storage import DatabaseFailed
from integration.storage.database import without_password
from integration.storage.schema import migrate

log = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 5.0


class DatabaseMissing(IntegrationError):
    """The database did not answer in time."""


def prepare(url: str, stop: threading.Event, patience_s: float = 60.0) -> None:
    """Bring the database to this version, waiting for it to answer; returns at once when told to `stop` meanwhile.

    Raises DatabaseMissing when it has not within `patience_s`, StorageError when it can't be used by this version.
    """
    ends_at = time.monotonic() + patience_s
    wait_s = FIRST_WAIT_S
    while not stop.is_set():
        try:
            migrate(url)
        except DatabaseFailed as error:
            if time.monotonic() + wait_s > ends_at:
                told = f"gave up on the database {without_password(url)!r} after {patience_s:g} s: {error}"
                raise DatabaseMissing(f"{told}; start it, or mend PEAKPROOF_DATABASE_URL") from error
            log.warning("waiting for the database: %s", error)
            stop.wait(wait_s)
            wait_s = min(LONGEST_WAIT_S, 2 * wait_s)
        else:
            return
