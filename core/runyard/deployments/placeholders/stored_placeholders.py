"""Fills in placeholders from the database: `{{ prefect.variables.x }}`, `{{ prefect.blocks.type.name }}`.

Also replaces references to blocks, `{"$ref": {"block_document_id": "..."}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runyard.base import redaction
from runyard.base.errors import InvalidInput, NotFound, ProjectError
from runyard.base.quoting import command_of
from runyard.client.engine_client import shared_client
from runyard.deployments.placeholders import fill_placeholders
from runyard.domain.job_variables import refers_to_block

if TYPE_CHECKING:
    # Only files that name a block need it (8 ms); the same below, and for variables (4 ms).
    from runyard.operations.blocks.block_documents import BlockDocument


def resolve(value: Any, where: str, secrets: bool = True) -> Any:
    """A copy of a value with its variables and blocks filled in.

    Args:
        value: any YAML value.
        where: its place, for messages.
        secrets: whether blocks with secrets may be used; not if the result is stored.

    Raises:
        ProjectError: a variable or block does not exist, has no such field, or is secret.
    """
    value = _with_blocks(value, where, secrets)
    kinds = (fill_placeholders.VARIABLE, fill_placeholders.BLOCK)
    if not any(placeholder.kind in kinds for placeholder in fill_placeholders.placeholders(value)):
        return value

    def lookup(placeholder: fill_placeholders.Placeholder) -> Any:
        if placeholder.kind == fill_placeholders.VARIABLE:
            return _variable(placeholder, where)
        if placeholder.kind == fill_placeholders.BLOCK:
            return _block(placeholder, where, secrets)
        return fill_placeholders.KEEP

    return fill_placeholders.fill(value, lookup)


def _with_blocks(value: Any, where: str, secrets: bool) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list):
        return [_with_blocks(item, where, secrets) for item in value]
    if not isinstance(value, dict | Mapping) or isinstance(value, fill_placeholders.Verbatim):
        return value
    if "$ref" not in value or not refers_to_block(value):
        return {key: _with_blocks(item, where, secrets) for key, item in value.items()}
    from runyard.operations.blocks.block_documents import read_block_document

    block_id = str(value["$ref"]["block_document_id"])
    try:
        document = shared_client().call(read_block_document, block_id, include_secrets=True)
    except (NotFound, InvalidInput):
        raise ProjectError(
            f"{where}: no saved block with the id {block_id!r}; see: runyard block ls"
        ) from None
    _register(document, f"the block {block_id!r}", where, secrets)
    return document.data


def hidden_fields(slug: str, name: str) -> list[str] | None:
    """The secret fields of a saved block; None if it is not saved."""
    from runyard.operations.blocks.block_documents import read_block_document_by_name

    try:
        return _hidden_in(shared_client().call(read_block_document_by_name, slug, name))
    except NotFound:
        return None


def _hidden_in(document: BlockDocument) -> list[str]:
    schema = document.block_schema
    return list(schema.fields.get("secret_fields") or []) if schema is not None else []


def _variable(placeholder: fill_placeholders.Placeholder, where: str) -> Any:
    from runyard.operations.records.stored_variables import read_variable_by_name

    name = placeholder.name.removeprefix("prefect.variables.")
    try:
        return shared_client().call(read_variable_by_name, name).value
    except NotFound:
        raise ProjectError(
            f"{where}: {placeholder.text}: variable {name!r} not found; set it: "
            + command_of("runyard variable set", name, "VALUE")
        ) from None


def _block(placeholder: fill_placeholders.Placeholder, where: str, secrets: bool) -> Any:
    from runyard.operations.blocks.block_documents import read_block_document_by_name

    slug, _, rest = placeholder.name.removeprefix("prefect.blocks.").partition(".")
    name, *path = rest.split(".")
    try:
        document = shared_client().call(read_block_document_by_name, slug, name, include_secrets=True)
    except NotFound:
        how = command_of("runyard secret set", name) if slug == "secret" else "runyard block create --help"
        raise ProjectError(
            f"{where}: {placeholder.text}: block {slug}/{name} not found; save it: {how}"
        ) from None
    _register(document, placeholder.text, where, secrets)
    found: Any = document.data
    if not path and set(found) == {"value"}:
        return found["value"]
    for part in path:
        if not isinstance(found, Mapping) or part not in found:
            raise ProjectError(f"{where}: {placeholder.text}: the block {slug}/{name} has no {part!r}")
        found = found[part]
    return found


def _register(document: BlockDocument, what: str, where: str, secrets: bool) -> None:
    """Register the secrets of a block for redaction, or refuse it if secrets are not allowed."""
    hidden = _hidden_in(document)
    if hidden and not secrets:
        raise ProjectError(
            f"{where}: {what} contains a secret, which would be stored in clear text here; use it in "
            "pull steps or job variables, or load it in the flow"
        )
    for field in hidden:
        redaction.register(_at(document.data, field.removesuffix(".*").split(".")))


def _at(data: Any, path: list[str]) -> Any:
    for part in path:
        if not isinstance(data, Mapping):
            return None
        data = data.get(part)
    return data
