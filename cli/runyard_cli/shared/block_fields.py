"""The fields of a block that is made on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard_cli.shared.app import WrongUsage
from runyard_cli.shared.client import listed
from runyard_cli.shared.secrets import ask_secret
from runyard_cli.shared.values import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runyard.base.errors import NotFound
    from runyard.client import Client


def given_fields(kind: Any, fields: Sequence[str]) -> dict[str, Any]:
    """The values of FIELD=VALUE, JSON or text, and the required secrets, which are asked for.

    Args:
        kind: the class of the block.
        fields: the arguments.

    Raises:
        InvalidInput: the type has no such field.
        WrongUsage: an argument is not FIELD=VALUE, or gives a secret.
    """
    from runyard.base.errors import InvalidInput
    from runyard.base.suggestions import did_you_mean

    schema = kind.model_json_schema()
    known = list(schema.get("properties", ()))
    secrets = kind.schema_fields()["secret_fields"]
    given: dict[str, Any] = {}
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals:
            raise WrongUsage(f"{field!r} is not FIELD=VALUE.")
        if key in secrets:
            raise WrongUsage(
                f"{key} is a secret, which others could read from a command line; leave it out, and it is "
                "asked for."
            )
        hint = "" if key in known else did_you_mean(key, known)
        if hint or (key not in known and kind.model_config.get("extra") != "allow"):
            raise InvalidInput(f"type '{kind.get_block_type_slug()}' has no field {key!r}{hint}")
        given[key] = parse(value)
    for secret in secrets:
        if secret in schema.get("required", ()):
            given[secret] = ask_secret(secret)
    return given


def block_of(kind: Any, given: dict[str, Any]) -> Any:
    """A block of a class with these values.

    Raises:
        InvalidInput: a value is missing or invalid; names the field.
    """
    from runyard.base.errors import InvalidInput, RunyardError

    try:
        return kind(**given)
    except RunyardError:
        raise
    except ValueError as error:
        raise InvalidInput(_first_problem(error)) from None


def _first_problem(error: Any) -> str:
    details = error.errors()[0] if hasattr(error, "errors") else {"loc": (), "msg": str(error), "type": ""}
    place = ".".join(str(part) for part in details["loc"])
    if details.get("type") == "missing":
        return f"the field {place!r} is missing; give it as {place}=VALUE"
    return f"{place}: {details['msg']}" if place else str(details["msg"])


def unknown_type(slug: str, client: Client | None = None) -> NotFound:
    """The error about a block type that neither Runyard nor the database has."""
    from runyard.base.errors import NotFound
    from runyard.base.suggestions import did_you_mean
    from runyard.blocks.core import Block
    from runyard.operations.blocks import block_types

    known = {each.slug for each in listed(client, block_types.filter_block_types)} if client else set()
    left = [Block]
    while left:
        children = left.pop().__subclasses__()
        left += children
        known |= {child.get_block_type_slug() for child in children if not child.__abstractmethods__}
    hint = did_you_mean(slug, sorted(known), "register yours with: runyard block register -m MODULE")
    return NotFound(f"block type {slug!r} not found{hint}")
