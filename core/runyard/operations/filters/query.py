"""Translates the filters and sorts of the API to SQL: a closed list of fields; every value is bound.

A filter body may have one object per kind (`flows`, `flow_runs`, ...). The object of the listed kind
restricts it directly; the others through a relation (an EXISTS). In SQL every kind has one alias: flows f,
flow_runs r, task_runs t, deployments d, work_pools p, work_queues q, workers w, logs l, artifacts a,
variables v.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runyard.base import clock, texts
from runyard.base.errors import InvalidInput
from runyard.domain.states import STATE_TYPES
from runyard.operations.filters.query_fields import FIELDS, FILTERS, RELATIONS, SORTS, TABLES, Field
from runyard.operations.filters.query_text import like_pattern, search_terms
from runyard.store import index_conditions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runyard.store.database import Row, Transaction

MAX_LIMIT = 200
MAX_OFFSET = 2**63 - 1
# A listing of up to this many states, and up to this many rows, is a union of one listing per state.
_MOST_STATES, _MOST_OF_A_STATE = 12, 2_000


def search(
    tx: Transaction,
    kind: str,
    body: Mapping[str, Any],
    columns: str | None = None,
    joins: str = "",
    where: Iterable[str] = (),
    values: Mapping[str, Any] | None = None,
    most: int = MAX_LIMIT,
) -> list[Row]:
    """The rows of a listing.

    Args:
        kind: `flows`, `flow_runs`, `task_runs`, `deployments`, `work_pools`, `work_queues`, `workers` or
            `logs`.
        body: the filter objects by kind, `limit` (at most 200, the default), `offset`, `sort`.
        columns: SQL of the columns; default: all columns of the kind.
        joins: SQL of joins to the kind's own table, for `columns`.
        where: further conditions, with `values` for their parameters.
        most: the maximum and the default of `limit`.

    Raises:
        InvalidInput: an unknown field, operator or sort value, or a limit out of range.
    """
    builder = _Builder(tx.dialect, values)
    table, alias = TABLES[kind]
    limit, offset = page(body, most)
    order = _order(kind, body.get("sort"))
    each = [] if where or limit + offset > _MOST_OF_A_STATE else _by_state(kind, body)
    if each:
        # The first rows of each state, in index order: sorting all rows takes time proportional to their
        # number.
        found = " UNION ALL ".join(
            f"SELECT * FROM (SELECT {alias}.* FROM {table} {alias}{_where(builder.conditions(kind, part))} "  # noqa: S608  # as below
            f"ORDER BY {order} LIMIT {limit + offset}) x"
            for part in each
        )
        source, condition = f"({found})", ""
    else:
        source, condition = table, _where([*where, *builder.conditions(kind, body)])
    sql = (
        f"SELECT {columns or alias + '.*'} FROM {source} {alias} {joins}{condition} "  # noqa: S608  # closed lists, values bound
        f"ORDER BY {order} LIMIT {limit} OFFSET {offset}"
    )
    return tx.all(sql, builder.values)


def count(
    tx: Transaction,
    kind: str,
    body: Mapping[str, Any],
    where: Iterable[str] = (),
    values: Mapping[str, Any] | None = None,
) -> int:
    """The number of rows that match the filter objects of `body`; the arguments are those of `search`."""
    builder = _Builder(tx.dialect, values)
    table, alias = TABLES[kind]
    conditions = [*where, *builder.conditions(kind, body)]
    sql = f"SELECT count(*) AS n FROM {table} {alias}{_where(conditions)}"  # noqa: S608  # closed lists, values bound
    return int(tx.value(sql, builder.values))


def paginate(
    tx: Transaction, kind: str, body: Mapping[str, Any], columns: str | None = None, joins: str = ""
) -> tuple[list[Row], dict[str, int]]:
    """The rows of a page of a listing, and where it is: `count`, `limit`, `pages` and `page`.

    Args:
        body: as for `search`, with `page` (the first is 1) instead of `offset`.

    Raises:
        InvalidInput: as `search`; or `page` is less than 1.
    """
    number = 1 if body.get("page") is None else body["page"]
    if number < 1:
        raise InvalidInput(f"Invalid page {number}: the first page is 1")
    limit, _ = page(body)
    asked = {**body, "offset": (number - 1) * limit}
    rows, total = search(tx, kind, asked, columns, joins), count(tx, kind, body)
    pages = -(-total // limit) if limit else 0
    return rows, {"count": total, "limit": limit, "pages": pages, "page": number}


def conditions(tx: Transaction, kind: str, body: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """The conditions and values of the filter objects of `body`; empty if they filter nothing."""
    builder = _Builder(tx.dialect, None)
    return builder.conditions(kind, body), builder.values


def page(body: Mapping[str, Any], most: int = MAX_LIMIT) -> tuple[int, int]:
    """The validated `limit` and `offset` of a listing."""
    limit, offset = body.get("limit"), body.get("offset")
    limit = most if limit is None else limit
    if not isinstance(limit, int) or not 0 <= limit <= most:
        raise InvalidInput(f"Invalid limit {limit}: it must be between 0 and {most}")
    if offset is not None and (not isinstance(offset, int) or not 0 <= offset <= MAX_OFFSET):
        raise InvalidInput(f"Invalid offset {offset}: it must be between 0 and {MAX_OFFSET}")
    return limit, offset or 0


def _by_state(kind: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Split a filter of runs in several states into one filter per state; empty for any other filter."""
    chosen = body.get(kind) if kind in ("flow_runs", "task_runs") else None
    state = chosen.get("state") if isinstance(chosen, Mapping) else None
    if not isinstance(chosen, Mapping) or not isinstance(state, Mapping):
        return []
    if "or_" in (chosen.get("operator"), state.get("operator")):
        return []
    for name in ("type", "name"):
        given = state.get(name)
        if not isinstance(given, Mapping) or given.get("operator") == "or_":
            continue
        wanted = given.get("any_")
        if isinstance(wanted, (list, tuple)) and 1 < len(wanted) <= _MOST_STATES:
            each = dict.fromkeys(str(item).upper() if name == "type" else str(item) for item in wanted)
            filters = [{**state, name: {**given, "any_": [item]}} for item in each]
            return [{**body, kind: {**chosen, "state": part}} for part in filters]
    return []


def _as_jsonb(column: str) -> str:
    """A JSON column for PostgreSQL's operators, which refuse escaped NUL and lone surrogates."""
    # After an even number of backslashes, which are escaped backslashes.
    spelled = r"'(?<!\\)((\\\\)*)\\u(0000|d[89a-f][0-9a-f][0-9a-f])'"
    plain = rf"regexp_replace({column}, {spelled}, '\1?', 'gi')"
    return f"CAST(CASE WHEN strpos({column}, '\\u') > 0 THEN {plain} ELSE {column} END AS jsonb)"


def _where(conditions: list[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _order(kind: str, sort: str | None) -> str:
    sorts = SORTS[kind]
    if sort is None:
        return next(iter(sorts.values()))
    if sort not in sorts:
        raise InvalidInput(f"cannot sort {kind} by {sort!r}; valid are {', '.join(sorts)}")
    return sorts[sort]


class _Builder:
    """Collects the values of a statement while its conditions are built."""

    def __init__(self, dialect: str, values: Mapping[str, Any] | None) -> None:
        self.dialect = dialect
        self.values: dict[str, Any] = dict(values or {})
        # A prefix of a state column that prevents the use of an index.
        self.aside = ""

    def bind(self, value: Any) -> str:
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f":{name}"

    def conditions(self, kind: str, body: Mapping[str, Any]) -> list[str]:
        found = []
        for name, other in FILTERS.items():
            chosen = body.get(name)
            if not chosen:
                continue
            if other == kind:
                found.append(self.object(other, chosen))
            elif other in RELATIONS.get(kind, {}):
                found.append(self.related(kind, other, chosen))
            else:
                known = ", ".join((kind, *RELATIONS.get(kind, {})))
                raise InvalidInput(f"{kind} cannot be filtered by {name}; by: {known}")
        return [condition for condition in found if condition]

    def related(self, kind: str, other: str, chosen: Mapping[str, Any]) -> str:
        if kind == "flow_runs" and other == "flows":
            name = _only_name(chosen)
            if name is not None:
                # Names are unique: an equality can use the index of a flow's runs by time.
                return f"r.flow_id = (SELECT f.id FROM flows f WHERE f.name = {self.bind(name)})"  # noqa: S608  # bound
        condition = self.object(other, chosen)
        if not condition:
            return ""
        return f"EXISTS (SELECT 1 FROM {RELATIONS[kind][other]} AND {condition})"  # noqa: S608  # closed lists, values bound

    def object(self, kind: str, chosen: Mapping[str, Any]) -> str:
        """The condition of one filter object; empty if it filters nothing."""
        runs = chosen.get("flow_run_id") if kind == "task_runs" and self.dialect == "sqlite" else None
        # SQLite estimates a state to be as rare as a run's tasks, and would scan all failed ones.
        self.aside = "+" if isinstance(runs, Mapping) and runs.get("any_") else ""
        return self.group(kind, FIELDS[kind], chosen, "")

    def group(self, kind: str, fields: Mapping[str, Any], chosen: Mapping[str, Any], path: str) -> str:
        found = []
        for name, asked in chosen.items():
            if name == "operator" or asked is None:
                continue
            field = fields.get(name)
            if field is None:
                raise InvalidInput(f"{kind} cannot be filtered by {path}{name}; by: {', '.join(fields)}")
            if not hasattr(asked, "items"):
                raise InvalidInput(f"the filter {kind}.{path}{name} must be an object of operators")
            if isinstance(field, dict):
                found.append(self.group(kind, field, asked, f"{path}{name}."))
            else:
                found.append(self.field(f"{kind}.{path}{name}", field, asked))
        return _combine(found, chosen)

    def field(self, where: str, field: Field, asked: Mapping[str, Any]) -> str:
        found = []
        for name, value in asked.items():
            if name == "operator" or value is None:
                continue
            if name not in field.operators:
                raise InvalidInput(f"{where} has no {name!r}; valid are {', '.join(field.operators)}")
            try:
                if name in _LISTS and isinstance(value, (str, bytes, Mapping)):
                    raise TypeError  # its characters or keys would be taken for the values
                found.append(_OPERATORS[name](self, field, value))
            except (TypeError, ValueError, AttributeError, OverflowError) as error:
                said, wanted = texts.shortened(texts.told(value, repr), 200), _WANTED.get(name, "a text")
                raise InvalidInput(f"{where}.{name} is {said}; give {wanted}") from error
        return _combine(found, asked)

    # The operators, by their names in the API; each returns a condition.

    def any_(self, field: Field, value: Iterable[Any]) -> str:
        if field.kind == "tags":
            return self.tags_overlap(field.sql, list(value))
        return self.membership(field, list(value))

    def not_any_(self, field: Field, value: Iterable[Any]) -> str:
        wanted = list(value)
        return f"NOT ({self.membership(field, wanted)})" if wanted else ""

    def membership(self, field: Field, wanted: list[Any]) -> str:
        if not wanted:
            return "1 = 0"
        if field.kind == "state_type":
            return self.state_types(field.sql, wanted)
        names = [self.bind(str(item)) for item in wanted]
        test = f"= {names[0]}" if len(names) == 1 else f"IN ({', '.join(names)})"
        if field.kind == "state_name":
            return _within(
                f"{self.aside}{field.sql} {test}", index_conditions.of_names(field.sql, map(str, wanted))
            )
        return field.sql.format(test=test) if field.kind == "nested" else f"{self.path(field)} {test}"

    def state_types(self, column: str, wanted: list[Any]) -> str:
        """Literal, not bound (it is a closed list), so that partial indexes can be used."""
        types = sorted({str(item).upper() for item in wanted})
        for kind in types:
            if kind not in STATE_TYPES:
                raise InvalidInput(f"unknown state type {kind!r}; valid are {', '.join(STATE_TYPES)}")
        literals = ", ".join(f"'{kind}'" for kind in types)
        condition = f"{self.aside}{column} {'=' if len(types) == 1 else 'IN'} ({literals})"
        return _within(condition, index_conditions.of_types(column, types))

    def tags_overlap(self, column: str, wanted: list[Any]) -> str:
        if not wanted:
            return "1 = 0"
        names = ", ".join(self.bind(str(tag)) for tag in wanted)
        return f"EXISTS (SELECT 1 FROM {self.elements(column)} WHERE e.value IN ({names}))"  # noqa: S608  # closed lists, values bound

    def all_(self, field: Field, value: Iterable[Any]) -> str:
        tests = [self.tags_overlap(field.sql, [tag]) for tag in value]
        return f"({' AND '.join(tests)})" if tests else ""

    def elements(self, column: str) -> str:
        if self.dialect == "sqlite":
            return f"json_each({column}) e"
        return f"jsonb_array_elements_text({_as_jsonb(column)}) AS e (value)"

    def path(self, field: Field) -> str:
        """The SQL of a field's value; for a JSON column, of the part that the field names."""
        if field.kind != "json":
            return field.sql
        column, _, part = field.sql.partition(" ")
        if self.dialect == "sqlite":
            return f"json_extract({column}, '$.{part}')"
        return f"{_as_jsonb(column)} ->> '{part}'"

    def like_(self, field: Field, value: str) -> str:
        name = self.bind(f"%{value}%")
        test = f"LIKE lower({name}) ESCAPE '\\'"
        return field.sql.format(test=test) if field.kind == "nested" else f"lower({field.sql}) {test}"

    def startswith_(self, field: Field, value: Iterable[str]) -> str:
        prefixes = [value] if isinstance(value, str) else list(value)
        tests = [
            f"lower({field.sql}) LIKE lower({self.bind(like_pattern(prefix) + '%')}) ESCAPE '\\'"
            for prefix in prefixes
        ]
        return f"({' OR '.join(tests)})" if tests else "1 = 0"

    def before_(self, field: Field, value: Any) -> str:
        return f"{field.sql} <= {self.bind(microseconds_of(value))}"

    def after_(self, field: Field, value: Any) -> str:
        return f"{field.sql} >= {self.bind(microseconds_of(value))}"

    def ge_(self, field: Field, value: Any) -> str:
        return f"{field.sql} >= {self.bind(int(value))}"

    def le_(self, field: Field, value: Any) -> str:
        return f"{field.sql} <= {self.bind(int(value))}"

    def eq_(self, field: Field, value: Any) -> str:
        return f"{field.sql} = {self.bind(int(bool(value)))}"

    def is_null_(self, field: Field, value: bool) -> str:
        if field.kind == "tags":
            return f"{field.sql} = '[]'" if value else f"{field.sql} <> '[]'"
        if field.kind == "exists":
            return f"NOT {field.sql}" if value else field.sql
        return f"{field.null or field.sql} IS {'' if value else 'NOT '}NULL"

    def exists_(self, field: Field, value: bool) -> str:
        return self.is_null_(field, not value)

    def query(self, field: Field, value: str) -> str:
        terms = search_terms(value)
        groups: dict[str, list[str]] = {"any": [], "all": [], "none": []}
        for role, text in terms:
            groups[role].append(f"{field.sql} LIKE lower({self.bind(f'%{like_pattern(text)}%')}) ESCAPE '\\'")
        tests = groups["all"] + [f"NOT {test}" for test in groups["none"]]
        if groups["any"]:
            tests.append(f"({' OR '.join(groups['any'])})")
        return f"({' AND '.join(tests)})" if tests else ""


_OPERATORS: dict[str, Callable[[_Builder, Field, Any], str]] = {
    name: getattr(_Builder, name)
    for name in (
        "any_", "not_any_", "all_", "like_", "startswith_", "before_", "after_", "ge_", "le_", "eq_",
        "is_null_", "exists_", "query",
    )
}  # fmt: skip
# The values of operators that do not take a string.
_LISTS = ("any_", "not_any_", "all_", "id_", "type_")
_TIME = "a time such as 2026-01-31T08:00:00Z"
_WANTED = {
    **dict.fromkeys(_LISTS, "a list of values"),
    "startswith_": "a list of strings",
    "before_": _TIME,
    "after_": _TIME,
    "ge_": "a whole number",
    "le_": "a whole number",
}
# `created_by` names its lists after their content.
_OPERATORS["id_"] = lambda builder, field, value: builder.any_(field._replace(sql=f"{field.sql} id"), value)
_OPERATORS["type_"] = lambda builder, field, value: builder.any_(
    field._replace(sql=f"{field.sql} type"), value
)


def _within(condition: str, following: list[str]) -> str:
    """A condition, with the conditions that follow from it: see index_conditions.py."""
    return f"({' AND '.join([condition, *following])})" if following else condition


def _combine(found: list[str], asked: Mapping[str, Any]) -> str:
    operator = asked.get("operator") or "and_"
    if operator not in ("and_", "or_"):
        raise InvalidInput(f"the operator of a filter must be and_ or or_, not {operator!r}")
    tests = [test for test in found if test]
    if len(tests) < 2:
        return "".join(tests)
    return f"({(' AND ' if operator == 'and_' else ' OR ').join(tests)})"


def _only_name(chosen: Mapping[str, Any]) -> str | None:
    """The name in a filter that only asks for one name."""
    asked = {key: value for key, value in chosen.items() if value is not None and key != "operator"}
    name = asked.pop("name", None)
    if asked or not name:
        return None
    given = {key: value for key, value in name.items() if value is not None and key != "operator"}
    wanted = given.pop("any_", None)
    return str(wanted[0]) if not given and wanted and len(wanted) == 1 else None


def microseconds_of(value: Any) -> int:
    """A time of a filter in microseconds."""
    return clock.to_us(clock.parse_time(value) if isinstance(value, str) else value)
