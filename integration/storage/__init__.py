"""Tables, and the unit of work over them."""

from integration.storage.database import Database, DatabaseFailed, StorageError, Transaction
from integration.storage.records import audit, touch_order
from integration.storage.statements import sum_of

__all__ = ["Database", "DatabaseFailed", "StorageError", "Transaction", "audit", "sum_of", "touch_order"]
