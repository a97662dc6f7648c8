"""Tables, and the unit of work over them."""

from integration.storage.database import Database, DatabaseFailed, StorageError, Transaction
from integration.storage.records import audit, touch_order

__all__ = ["Database", "DatabaseFailed", "StorageError", "Transaction", "audit", "touch_order"]
