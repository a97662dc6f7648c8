"""Tables, and the unit of work over them."""

from integration.storage.database import Database, StorageError, Transaction
from integration.storage.records import audit, touch_order

__all__ = ["Database", "StorageError", "Transaction", "audit", "touch_order"]
