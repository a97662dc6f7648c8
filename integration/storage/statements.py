"""Core statements, compiled once per kind of database to text and positional parameters.

SQLAlchemy's own execution spends some 30 us a statement on what never changes between two executions. Here a statement
is compiled by SQLAlchemy for the dialect at hand, once, and then run on the driver's cursor. Constants inside a
statement become part of its text, so that partial indexes apply; what is bound by name stays bound.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import BigInteger, BindParameter, Executable, cast, func
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import visitors
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.elements import ClauseElement, ColumnElement

# A list in an `IN` is padded by its last value to one of these lengths, so that few texts exist per statement.
LIST_SIZES = (1, 4, 16, 64, 256, 1024, 4096)

Params = Mapping[str, Any]


@dataclass(frozen=True)
class Prepared:
    """A statement for one dialect: its text, how to lay out parameters, and what a row of its result looks like."""

    text: str
    arrange: Callable[[Params], Any]
    row: Callable[[Sequence[Any]], Any]


_OF_KIND: dict[type[Dialect], "Statements"] = {}


class Statements:
    """The compiled statements of one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._plain: dict[object, Prepared] = {}
        self._list_names: dict[object, tuple[str, ...]] = {}

    @staticmethod
    def of(dialect: Dialect) -> "Statements":
        """One for all databases of a kind in a process: statements are made at import, and their texts never differ."""
        kind = type(dialect)
        return _OF_KIND.setdefault(kind, Statements(kind()))

    def prepare(self, statement: Executable, params: Params) -> Prepared:
        """The compiled form of `statement` for these parameter names and list lengths."""
        key: object = (statement, *params) if isinstance(statement, Insert) else statement
        found = self._plain.get(key)
        if found is not None:
            return found
        names = self._list_names.get(key)
        if names is None:
            return self._compile(statement, key, params)
        sized = (key, *(list_size(len(params[name])) for name in names))
        found = self._plain.get(sized)
        return found if found is not None else self._compile(statement, key, params)

    def _compile(self, statement: Executable, key: object, params: Params) -> Prepared:
        assert isinstance(statement, ClauseElement)
        _inline_constants(statement)
        columns = list(params) if isinstance(statement, Insert) else None
        compiled = statement.compile(dialect=self._dialect, column_keys=columns)
        assert isinstance(compiled, SQLCompiler)
        lists = tuple(name for name, bind in compiled.binds.items() if bind.expanding and not bind.literal_execute)
        constants = {name: bind.effective_value for name, bind in compiled.binds.items() if not bind.required}
        sizes = {name: list_size(len(params[name])) for name in lists}
        dummies = {name: [0] * size for name, size in sizes.items()}
        state = compiled.construct_expanded_state({**dict.fromkeys(compiled.binds), **constants, **dummies})
        expansion = {name: state.parameter_expansion[name] for name in lists}
        order = tuple(state.positiontup) if state.positiontup is not None else None
        bound = set(order) if order is not None else {n for n in compiled.binds if n not in expansion}
        kept = {name: value for name, value in constants.items() if name in bound}
        prepared = Prepared(state.statement, _arranger(order, expansion, kept), _row_maker(compiled))
        if lists:
            self._list_names[key] = lists
            self._plain[(key, *sizes.values())] = prepared
        else:
            self._plain[key] = prepared
        return prepared


def sum_of(column: ColumnElement[int]) -> ColumnElement[int]:
    """The sum as an integer, which PostgreSQL's sum of big integers is not; null over no rows."""
    return cast(func.sum(column), BigInteger)


def list_size(length: int) -> int:
    """The padded length of a list of `length` values; raises ValueError past the largest, or for an empty list."""
    if length == 0:
        raise ValueError("an empty list was bound to IN: skip the query when there is nothing to ask for")
    for size in LIST_SIZES:
        if length <= size:
            return size
    raise ValueError(f"{length} values were bound to one IN, at most {LIST_SIZES[-1]} are taken: ask in chunks")


def _inline_constants(statement: ClauseElement) -> None:
    for element in visitors.iterate(statement):
        if not isinstance(element, BindParameter) or element.required:
            continue
        if isinstance(element.value, int | str | list | tuple):
            element.literal_execute = True


def _arranger(
    order: tuple[str, ...] | None, expansion: Mapping[str, Sequence[str]], constants: Mapping[str, Any]
) -> Callable[[Params], Any]:
    if order is None:
        return lambda params: {**constants, **_expand(params, expansion)}
    if not order:
        return lambda _params: ()
    if expansion or constants:
        names = order

        def arrange(params: Params) -> list[Any]:
            values = {**constants, **_expand(params, expansion)}
            return [values[name] for name in names]

        return arrange
    if len(order) == 1:
        (only,) = order
        return lambda params: (params[only],)
    return itemgetter(*order)


def _expand(params: Params, expansion: Mapping[str, Sequence[str]]) -> Params:
    if not expansion:
        return params
    values = dict(params)
    for name, names in expansion.items():
        given = list(values.pop(name))
        given += [given[-1]] * (len(names) - len(given))
        values.update(zip(names, given, strict=True))
    return values


def _row_maker(compiled: SQLCompiler) -> Callable[[Sequence[Any]], Any]:
    columns = [entry.keyname for entry in compiled._result_columns or ()]
    if not columns:
        return tuple
    make_type: Any = namedtuple
    make: Callable[[Sequence[Any]], Any] = make_type("Row", columns)._make
    return make
