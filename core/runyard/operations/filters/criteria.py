"""Filters of the smaller resources as SQL conditions with bound values, and their page limits."""

from __future__ import annotations

from typing import Any

from runyard.base.errors import InvalidInput

_MOST = 200


class Criteria:
    """The conditions of one filter, as SQL with bound values.

    Args:
        given: the filter, or None.
        name: the name of the filter, for errors.
    """

    def __init__(self, given: dict[str, Any] | None, name: str) -> None:
        self._given = {key: value for key, value in (given or {}).items() if value is not None}
        self._name = name
        self._known: dict[str, list[str]] = {}
        self.sql: list[str] = []
        self.values: dict[str, Any] = {}

    def any_of(self, field: str, column: str) -> Criteria:
        """Add `{field: {any_: [...]}}`: the column has one of these values."""
        wanted = self._take(field, "any_")
        if wanted is not None:
            names = [self._bind(value) for value in wanted]
            self.sql.append(f"{column} IN ({', '.join(names)})" if names else "1 = 0")
        return self

    def like(self, field: str, column: str) -> Criteria:
        """Add `{field: {like_: "part"}}`: the column contains the text. Case does not matter."""
        wanted = self._take(field, "like_")
        if wanted is not None:
            self.sql.append(f"lower({column}) LIKE lower({self._bind(f'%{wanted}%')})")
        return self

    def where(self) -> str:
        """All conditions joined by AND. True if the filter is empty.

        Raises:
            InvalidInput: a field or an operator is unknown.
        """
        for field, asked in self._given.items():
            if field == "operator":
                continue
            known = self._known.get(field)
            if known is None:
                raise InvalidInput(
                    f"{self._name} cannot be filtered by {field}; by: {', '.join(self._known)}"
                )
            unknown = [name for name, value in asked.items() if value is not None and name not in known]
            if unknown:
                raise InvalidInput(f"{self._name}.{field} has no {unknown[0]!r}; it has: {', '.join(known)}")
        return " AND ".join(["1 = 1", *self.sql])

    def also(self, field: str, operator: str) -> Criteria:
        """Accept an operator that the caller itself applies."""
        self._take(field, operator)
        return self

    def equal(self, field: str, column: str) -> Criteria:
        """Add `{field: {eq_: true}}`: the flag has this value."""
        wanted = self._take(field, "eq_")
        if wanted is not None:
            self.sql.append(f"{column} = {self._bind(int(bool(wanted)))}")
        return self

    def _take(self, field: str, operator: str) -> Any:
        self._known.setdefault(field, []).append(operator)
        asked = self._given.get(field)
        if asked is None:
            return None
        if not isinstance(asked, dict):
            raise InvalidInput(f"{self._name}.{field} takes an object such as {{'{operator}': ...}}")
        return asked.get(operator)

    def _bind(self, value: Any) -> str:
        name = f"{self._name}_{len(self.values)}"
        self.values[name] = value
        return f":{name}"


def limits_of(limit: int | None, offset: int | None) -> dict[str, int]:
    """The bound values of LIMIT and OFFSET.

    Raises:
        InvalidInput: one is out of range.
    """
    if limit is not None and not 0 <= limit <= _MOST:
        raise InvalidInput(f"limit={limit} is not between 0 and {_MOST}")
    if offset is not None and offset < 0:
        raise InvalidInput(f"offset={offset} is negative")
    return {"limit": _MOST if limit is None else limit, "offset": offset or 0}
