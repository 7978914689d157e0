"""Block: a pydantic model that can be saved by name and loaded anywhere."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError, model_validator

from runyard.base import redaction
from runyard.base.errors import Conflict, NotFound
from runyard.base.syncing import async_twin, sync_compatible
from runyard.base.url_passwords import hidden_within
from runyard.blocks.block_errors import BlockExists, BlockNotFound, InvalidBlock, problems
from runyard.blocks.fields import SecretDict, fitting, inside, revealed, secret_fields, secrets_in
from runyard.client.engine_client import shared_client
from runyard.operations.blocks import block_documents, block_types
from runyard.operations.blocks.block_types import DEFAULT_BLOCK_SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from pydantic import ModelWrapValidatorHandler

    from runyard.client import Client
    from runyard.operations.blocks.block_documents import BlockDocument

__all__ = ["Block", "SecretDict", "block_class"]

# Prefect's names of the same.
BlockNotSavedError = InvalidBlockRegistration = InvalidBlock
UnknownBlockType = BlockNotFound

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*\Z")
# The modules of the built-in types, loaded on demand.
_OURS = (
    "runyard.blocks.system",
    "runyard.blocks.notifications",
    "runyard.blocks.webhook",
    "runyard.blocks.docker",
    "runyard.blocks.kubernetes",
    "runyard.blocks.filesystems",
)


class Block(BaseModel):
    """Configuration that is saved by name; a subclass declares its fields.

    Class attributes describe the type: `_block_type_name` (default: the class's name),
    `_block_type_slug`, `_description`, `_documentation_url`, `_logo_url`, `_code_example`,
    `_block_schema_capabilities`.
    """

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)

    _block_type_name: ClassVar[str | None] = None
    _block_type_slug: ClassVar[str | None] = None
    _logo_url: ClassVar[Any] = None
    _documentation_url: ClassVar[Any] = None
    _description: ClassVar[str | None] = None
    _code_example: ClassVar[str | None] = None
    _block_schema_capabilities: ClassVar[list[str] | None] = None

    _block_document_id: str | None = PrivateAttr(None)
    _block_document_name: str | None = PrivateAttr(None)
    _is_anonymous: bool | None = PrivateAttr(None)

    def __init__(self, *args: Any, **fields: Any) -> None:
        super().__init__(*args, **fields)
        self._hide_secrets()
        self.block_initialization()

    def block_initialization(self) -> None:
        """Called when a block is created or loaded; subclasses may override it."""

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """What `repr`, and so a log, shows: the fields, with passwords hidden."""
        for name, value in super().__repr_args__():
            yield name, hidden_within({name: value})[name]

    @model_validator(mode="wrap")
    @classmethod
    def _of_its_own_class(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Data that name another type become a block of that type, for example in a field of type `Block`."""
        slug = value.get("block_type_slug") if isinstance(value, dict) else None
        if slug is not None:
            value = {name: item for name, item in value.items() if name != "block_type_slug"}
            if slug != cls.get_block_type_slug():
                other = block_class(slug)
                if other is not None and issubclass(other, cls):
                    return other.model_validate(value)
        return handler(value)

    @classmethod
    def get_block_type_name(cls) -> str:
        """The name of the type."""
        return cls.__dict__.get("_block_type_name") or cls._block_type_name or cls.__name__

    @classmethod
    def get_block_type_slug(cls) -> str:
        """The type in references such as `secret/my-key`."""
        slug = cls._block_type_slug or cls.get_block_type_name()
        return re.sub(r"[^a-z0-9]+", "-", slug.lower()).strip("-")

    @classmethod
    def get_description(cls) -> str | None:
        """The description of the type: `_description`, or the first paragraph of the docstring."""
        text = cls._description or (cls.__doc__ if cls.__doc__ != Block.__doc__ else None)
        return re.sub(r"\s+", " ", text.strip().split("\n\n")[0]) if text else None

    @classmethod
    def get_block_capabilities(cls) -> frozenset[str]:
        """The capabilities of the type, including those of its base classes."""
        return frozenset(
            name for each in cls.__mro__ for name in each.__dict__.get("_block_schema_capabilities") or ()
        )

    @classmethod
    def schema_fields(cls) -> dict[str, Any]:
        """The JSON schema of the fields, with the paths of the secret ones."""
        schema = cls.model_json_schema()
        return {
            **schema,
            "title": cls.__name__,
            "block_type_slug": cls.get_block_type_slug(),
            "secret_fields": secret_fields(schema),
            "block_schema_references": {},
        }

    @classmethod
    def is_block_class(cls, value: Any) -> bool:
        """Whether an object is a block type."""
        return isinstance(value, type) and issubclass(value, Block)

    @classmethod
    def _ids(cls, client: Client) -> tuple[str, str]:
        """The ids of the type and its schema in the database, which are created if they do not exist."""
        if cls is Block:
            raise InvalidBlock("Block itself is not a type; define a subclass with the fields you need")
        slug = cls.get_block_type_slug()
        facts = {
            "logo_url": _text(cls._logo_url),
            "documentation_url": _text(cls._documentation_url),
            "description": cls.get_description(),
            "code_example": cls._code_example,
        }
        try:
            kind = client.call(block_types.read_block_type_by_slug, slug)
            if any(getattr(kind, name) != value for name, value in facts.items()):
                client.call(block_types.update_block_type, kind.id, block_types.BlockTypeUpdate(**facts))
        except NotFound:
            create = block_types.BlockTypeCreate(name=cls.get_block_type_name(), slug=slug, **facts)
            try:
                kind = client.call(block_types.create_block_type, create)
            except Conflict:
                kind = client.call(block_types.read_block_type_by_slug, slug)
        schema = client.call(
            block_types.create_block_schema,
            block_types.BlockSchemaCreate(
                fields=cls.schema_fields(),
                block_type_id=kind.id,
                capabilities=sorted(cls.get_block_capabilities()),
                version=str(cls.__dict__.get("_block_schema_version") or DEFAULT_BLOCK_SCHEMA_VERSION),
            ),
        )
        return kind.id, schema.id

    @classmethod
    def _register(cls, client: Any = None) -> None:
        known = client if hasattr(client, "call") else _client()
        for field in cls.model_fields.values():
            for inner in _blocks_in(field.annotation):
                if inner not in (Block, cls):
                    inner._ids(known)
        cls._ids(known)

    @classmethod
    def _load(cls, name: str, validate: bool = True, client: Any = None) -> Self:
        slug, _, rest = name.partition("/")
        if not rest:
            slug, rest = cls.get_block_type_slug(), name
            if cls is Block:
                raise InvalidBlock(f"invalid block name {name!r}; write TYPE/NAME, such as secret/{name}")
        document = _read(slug, rest, include_secrets=True)
        return cls._of_document(document, validate)

    @classmethod
    def _load_from_ref(cls, ref: Any, validate: bool = True, client: Any = None) -> Self:
        if isinstance(ref, dict):
            ref = ref.get("block_document_id") or ref.get("block_document_slug")
        if isinstance(ref, str) and "/" in ref:
            return cls._load(ref, validate)
        try:
            document = _client().call(block_documents.read_block_document, str(ref), include_secrets=True)
        except NotFound as error:
            raise BlockNotFound(str(error)) from None
        return cls._of_document(document, validate)

    @classmethod
    def _of_document(cls, document: BlockDocument, validate: bool) -> Self:
        slug = document.block_type.slug if document.block_type is not None else ""
        kind: Any = cls if cls is not Block and slug == cls.get_block_type_slug() else block_class(slug)
        if kind is None:
            raise BlockNotFound(f"unknown block type {slug!r}; import the module that declares it first")
        if not issubclass(kind, cls):
            raise InvalidBlock(f"{slug}/{document.name} is a {kind.__name__}, not a {cls.__name__}")
        for place in _deleted(document.data) if validate else ():
            raise BlockNotFound(
                f"{slug}/{document.name} refers at {place} to a saved block that was deleted; save it again "
                f"with "
                "another one and overwrite=True"
            )
        try:
            block: Self = kind.model_validate(document.data)
        except ValidationError as error:
            if validate:
                raise InvalidBlock(
                    f"{slug}/{document.name} is not valid for its type any more: {problems(error)} (load it "
                    "with validate=False, correct it and save it with overwrite=True)"
                ) from None
            block = kind._unchecked(document.data)
        block._is_saved_as(document.id, document.name, document.is_anonymous)
        _tell_where_saved(block, document.block_document_references)
        block._hide_secrets()
        return block

    @classmethod
    def _unchecked(cls, data: dict[str, Any]) -> Self:
        """A block from invalid data: valid fields are converted, the others stay as they are."""
        given: dict[str, Any] = dict.fromkeys(
            name for name, field in cls.model_fields.items() if field.is_required()
        )
        for name, value in data.items():
            field = cls.model_fields.get(name)
            given[name] = value if field is None else fitting(field.annotation, value)
        return cls.model_construct(**given)

    def get_block_placeholder(self) -> str:
        """The placeholder of this saved block: `prefect.blocks.TYPE.NAME`.

        Raises:
            InvalidBlock: it is not saved under a name.
        """
        if not self._block_document_name:
            raise InvalidBlock(f"{type(self).__name__} is not a saved block; save it and load it by its name")
        return f"prefect.blocks.{self.get_block_type_slug()}.{self._block_document_name}"

    def _is_saved_as(self, document_id: str, name: str | None, is_anonymous: bool) -> None:
        self._block_document_id, self._block_document_name = document_id, name
        self._is_anonymous = is_anonymous

    def _hide_secrets(self) -> None:
        for value in secrets_in(self):
            redaction.register(value)

    def _document_data(self, client: Client) -> dict[str, Any]:
        """The fields as plain data; nested blocks that are saved themselves become references.

        Registers the types of nested blocks, so that their secret fields are known.
        """
        names = {*type(self).model_fields, *(self.model_extra or {})}
        return {name: _plain(getattr(self, name), client) for name in sorted(names)}

    def _save(self, name: str | None = None, overwrite: bool = False, client: Any = None) -> str:
        name = name or self._block_document_name
        if name is None:
            raise InvalidBlock("a block needs a name to be saved: block.save('my-name')")
        if not _NAME.match(name):
            raise InvalidBlock(
                f"invalid block name {name!r}: only lowercase letters, digits and hyphens are allowed"
            )
        known = _client()
        kind_id, schema_id = self._ids(known)
        data = self._document_data(known)
        try:
            document = known.call(
                block_documents.create_block_document,
                block_documents.BlockDocumentCreate(
                    name=name, data=data, block_schema_id=schema_id, block_type_id=kind_id
                ),
            )
        except Conflict:
            if not overwrite:
                slug = self.get_block_type_slug()
                raise BlockExists(
                    f"{slug}/{name} exists already; use overwrite=True (--overwrite) to replace it"
                ) from None
            document = known.call(
                block_documents.read_block_document_by_name, self.get_block_type_slug(), name
            )
            known.call(
                block_documents.update_block_document,
                document.id,
                block_documents.BlockDocumentUpdate(
                    data=data, block_schema_id=schema_id, merge_existing_data=False
                ),
            )
        self._is_saved_as(document.id, name, False)
        self._hide_secrets()
        return document.id

    @classmethod
    def _delete(cls, name: str, client: Any = None) -> None:
        slug, _, rest = name.rpartition("/")
        found = _read(slug or cls.get_block_type_slug(), rest)
        _client().call(block_documents.delete_block_document, found.id)

    @sync_compatible
    def save(self, name: str | None = None, overwrite: bool = False, client: Any = None) -> str:
        """Save the block.

        Args:
            name: lowercase letters, digits and hyphens; default: the name it was loaded by.
            overwrite: whether an existing block of that name is replaced.

        Returns:
            The id of the saved block.

        Raises:
            BlockExists: a block of that name exists.
            InvalidBlock: the name is invalid.
        """
        return self._save(name, overwrite)

    @classmethod
    @sync_compatible
    def load(cls, name: str, validate: bool = True, client: Any = None) -> Self:
        """Load the block of a name.

        Args:
            name: the name, or `type/name`, which `Block.load` needs.
            validate: False: load it even if it is not valid for its type any more.

        Raises:
            BlockNotFound: it does not exist.
            InvalidBlock: it is not valid for the class.
        """
        return cls._load(name, validate)

    @classmethod
    @sync_compatible
    def load_from_ref(cls, ref: Any, validate: bool = True, client: Any = None) -> Self:
        """Load a block by its id, by `type/name`, or by a dict with `block_document_id`."""
        return cls._load_from_ref(ref, validate)

    @classmethod
    @sync_compatible
    def delete(cls, name: str, client: Any = None) -> None:
        """Delete the block of a name.

        Raises:
            BlockNotFound: it does not exist.
        """
        cls._delete(name)

    @classmethod
    @sync_compatible
    def register_type_and_schema(cls, client: Any = None) -> None:
        """Register the type in the database, with the types of nested blocks."""
        cls._register(client)

    register = register_type_and_schema

    asave = async_twin(_save)
    aload = classmethod(async_twin(_load.__func__))  # type: ignore[attr-defined]
    adelete = classmethod(async_twin(_delete.__func__))  # type: ignore[attr-defined]


def _client() -> Client:
    return shared_client()


def _read(slug: str, name: str, include_secrets: bool = False) -> BlockDocument:
    try:
        return _client().call(
            block_documents.read_block_document_by_name, slug, name, include_secrets=include_secrets
        )
    except NotFound as error:
        raise BlockNotFound(str(error)) from None


def _tell_where_saved(block: Block, references: dict[str, Any]) -> None:
    """Tell the blocks inside a loaded block that they are saved themselves."""
    for path, reference in references.items():
        inner = inside(block, path.split("."))
        if isinstance(inner, Block):
            document = reference["block_document"]
            inner._is_saved_as(document["id"], document["name"], document["is_anonymous"])
            _tell_where_saved(inner, document["block_document_references"])


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _deleted(data: Any, place: str = "") -> Iterator[str]:
    """The places in a document's data that refer to deleted blocks."""
    if isinstance(data, dict) and isinstance(data.get("$ref"), dict):
        yield place
    elif isinstance(data, (dict, list)):
        for name, item in data.items() if isinstance(data, dict) else enumerate(data):
            yield from _deleted(item, f"{place}.{name}" if place else str(name))


def _plain(value: Any, client: Client) -> Any:
    if isinstance(value, Block):
        if value._block_document_id is not None:
            return {"$ref": {"block_document_id": value._block_document_id}}
        value._ids(client)
        return {**value._document_data(client), "block_type_slug": value.get_block_type_slug()}
    if isinstance(value, dict):
        return {str(key): _plain(item, client) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, client) for item in value]
    return revealed(value)


def _blocks_in(annotation: Any) -> list[type[Block]]:
    """The block types inside an annotation."""
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, Block) else []
    return [found for part in getattr(annotation, "__args__", ()) for found in _blocks_in(part)]


def block_class(slug: str) -> type[Block] | None:
    """The class of a block type: a declared one, or a built-in one."""
    found = _declared(Block, slug)
    if found is None:
        for module in _OURS:
            import_module(module)
        found = _declared(Block, slug)
    return found


def _declared(base: type[Block], slug: str) -> type[Block] | None:
    """The subclass of a type; if a script declared it twice, the last one."""
    for child in reversed(base.__subclasses__()):
        if child.get_block_type_slug() == slug:
            return child
        found = _declared(child, slug)
        if found is not None:
            return found
    return None
