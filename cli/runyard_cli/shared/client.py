"""How commands reach operations: one client a command, bodies from plain values, all pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard_cli.shared.closing import when_done

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runyard.client import Client
    from runyard.operations.operation import Operation

_PAGE = 200


def connect() -> Client:
    """The client of this command, closed when it ends."""
    from runyard.client import connect as open_client

    client = open_client()
    when_done(client.close)
    return client


def body(operation: Operation[..., Any], /, **fields: Any) -> Any:
    """The body that an operation takes, with these fields set and no others.

    Raises:
        InvalidInput: a value does not fit; names the field.
    """
    from runyard.operations.wire import hints

    return model(hints(operation)["body"], fields)


def model(kind: Any, fields: Any) -> Any:
    """A pydantic model of `kind`, with an error a person can read.

    Raises:
        InvalidInput: a value does not fit; names the field.
    """
    from pydantic import TypeAdapter, ValidationError
    from runyard.base.errors import InvalidInput

    try:
        if hasattr(kind, "model_validate"):
            return kind.model_validate(fields)
        return TypeAdapter(kind).validate_python(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(f"{where}: {first['msg']}") from error


def listed(
    client: Client, operation: Operation[..., Any], /, *args: Any, limit: int | None = None, **fields: Any
) -> Iterator[Any]:
    """The objects that a listing operation finds, page after page.

    Args:
        args: the operation's arguments before its body.
        limit: how many at most; None for all.
        fields: of its body.
    """
    offset = 0
    while limit is None or offset < limit:
        size = _PAGE if limit is None else min(_PAGE, limit - offset)
        page = client.call(operation, *args, body=body(operation, **fields, limit=size, offset=offset))
        yield from page
        offset += len(page)
        if len(page) < size:
            return
