"""Every statement of messaging and processes is one that PostgreSQL takes too."""

import importlib

import pytest
from sqlalchemy import Executable
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.elements import ClauseElement

MODULES = (
    "messaging.dead_letters",
    "messaging.inbox",
    "messaging.outbox",
    "process.backorders",
    "process.billing",
    "process.cancellation",
    "process.desk",
    "process.fulfillment",
    "process.labels",
    "process.progress",
    "process.shipping",
    "process.threepl",
)


def statements_of(module: str) -> dict[str, str]:
    found = vars(importlib.import_module(f"integration.{module}"))
    return {
        name: str(value.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
        for name, value in found.items()
        if isinstance(value, Executable) and isinstance(value, ClauseElement)
    }


@pytest.mark.parametrize("module", MODULES)
def test_statements_compile_for_postgresql(module: str) -> None:
    assert statements_of(module)


def test_claims_skip_what_another_process_holds() -> None:
    assert statements_of("messaging.outbox")["_DUE"].endswith("FOR UPDATE SKIP LOCKED")


def test_repeated_inbound_messages_conflict_without_an_error() -> None:
    assert statements_of("messaging.inbox")["_RECEIVE"].endswith("ON CONFLICT DO NOTHING")
