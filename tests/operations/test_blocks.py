"""Block types, schemas and saved blocks, four ways: kept, hidden, changed, deleted, encrypted anew."""

from __future__ import annotations

import pytest
from runyard.base.errors import Conflict, InvalidInput, NotFound, SettingError
from runyard.operations.blocks import block_documents as documents
from runyard.operations.blocks import block_types as types
from runyard.operations.blocks.find_block_document import find_block_document

FIELDS = {"properties": {"user": {}, "password": {}}, "secret_fields": ["password", "more.*"]}


@pytest.fixture
def saved(client):
    """Saves a document of the type `login`."""
    kind = client.call(types.create_block_type, types.BlockTypeCreate(name="Login", slug="login"))
    schema = client.call(
        types.create_block_schema,
        types.BlockSchemaCreate(fields=FIELDS, block_type_id=kind.id, capabilities=["b", "a"]),
    )

    def save(name="mine", anonymous=False, **data):
        return client.call(
            documents.create_block_document,
            documents.BlockDocumentCreate(
                name=name,
                data=data,
                block_schema_id=schema.id,
                block_type_id=kind.id,
                is_anonymous=anonymous,
            ),
        )

    save.kind, save.schema = kind, schema
    return save


def read(client, name, include_secrets=False):
    return client.call(documents.read_block_document_by_name, "login", name, include_secrets=include_secrets)


def test_secrets_are_shown_only_to_who_asks(client, saved):
    saved(user="u", password="swordfish", more={"token": "t", "none": None})
    assert read(client, "mine").data == {
        "user": "u",
        "password": "********",
        "more": {"token": "********", "none": None},
    }
    assert read(client, "mine", include_secrets=True).data["password"] == "swordfish"
    listed = client.call(documents.filter_block_documents, types.BlockListing())
    assert [each.data["password"] for each in listed] == ["********"]
    assert [each.name for each in client.call(documents.read_block_documents_of_type, "login")] == ["mine"]


def test_a_name_is_taken_once_for_each_type(client, saved):
    saved()
    with pytest.raises(Conflict, match="already saved as 'mine'"):
        saved()
    with pytest.raises(NotFound, match="saved block login/other not found"):
        read(client, "other")


def test_stars_leave_a_secret_as_it_is(client, saved):
    document = saved(user="u", password="swordfish")
    change = documents.BlockDocumentUpdate(data={"user": "v", "password": "********"})
    client.call(documents.update_block_document, document.id, change)
    assert read(client, "mine", True).data == {"user": "v", "password": "swordfish"}
    change = documents.BlockDocumentUpdate(data={"user": "w"}, merge_existing_data=False)
    client.call(documents.update_block_document, document.id, change)
    assert read(client, "mine", True).data == {"user": "w"}


def test_a_block_may_refer_to_another(client, saved):
    inner = saved("inner", user="u", password="swordfish")
    saved("outer", login={"$ref": {"block_document_id": inner.id}})
    found = read(client, "outer")
    assert found.data["login"] == {"user": "u", "password": "********", "block_type_slug": "login"}
    assert found.block_document_references["login"]["block_document"]["name"] == "inner"
    assert read(client, "outer", True).data["login"]["password"] == "swordfish"


def test_a_circle_is_refused(client, saved):
    one = saved("one")
    two = saved("two", other={"$ref": {"block_document_id": one.id}})
    change = documents.BlockDocumentUpdate(data={"other": {"$ref": {"block_document_id": two.id}}})
    with pytest.raises(InvalidInput, match="in a circle"):
        client.call(documents.update_block_document, one.id, change)
    assert read(client, "one").data == {}


def test_references_that_multiply_are_not_all_resolved(client, saved):
    below = saved("b0")
    for level in range(1, 25):
        reference = {"$ref": {"block_document_id": below.id}}
        below = saved(f"b{level}", left=reference, right=reference)
    assert len(read(client, "b24").model_dump_json()) < 3_000_000


@pytest.mark.parametrize("odd", [5, None, [], {}, "\0", "no such"])
def test_what_is_no_reference_stays(client, saved, odd):
    saved("odd", other={"$ref": {"block_document_id": odd}})
    assert "$ref" in read(client, "odd").data["other"]


def test_anonymous_ones_are_not_listed(client, saved):
    saved(None, anonymous=True, user="u")
    assert client.call(documents.count_block_documents, types.BlockListing()) == 0
    listing = types.BlockListing(block_documents={"is_anonymous": {"eq_": True}})
    assert client.call(documents.count_block_documents, listing) == 1
    with pytest.raises(InvalidInput, match="needs a name"):
        saved(None)


def test_filters(client, saved):
    for name in ("alpha", "beta"):
        saved(name)

    def names(**listing):
        found = client.call(documents.filter_block_documents, types.BlockListing(**listing))
        return [each.name for each in found]

    assert names(sort="NAME_DESC") == ["beta", "alpha"]
    assert names(block_documents={"name": {"like_": "ALPH"}}) == ["alpha"]
    assert names(block_documents={"name": {"any_": ["beta"]}}) == ["beta"]
    assert names(block_types={"slug": {"any_": ["login"]}}, limit=1, offset=1) == ["beta"]
    assert names(block_types={"slug": {"any_": []}}) == []
    with pytest.raises(InvalidInput, match="valid are NAME_ASC"):
        names(sort="X")
    with pytest.raises(InvalidInput, match="limit=201"):
        names(limit=201)
    with pytest.raises(InvalidInput, match="takes an object"):
        names(block_documents={"name": "alpha"})


def test_types_and_schemas(client, saved):
    with pytest.raises(Conflict, match="'login' exists already"):
        client.call(types.create_block_type, types.BlockTypeCreate(name="Login", slug="login"))
    again = types.BlockSchemaCreate(fields=FIELDS, block_type_id=saved.kind.id)
    assert client.call(types.create_block_schema, again).id == saved.schema.id
    found = client.call(types.read_block_schema_by_checksum, saved.schema.checksum)
    assert found.block_type.slug == "login"
    assert found.capabilities == ["a", "b"]
    assert client.call(types.read_block_capabilities) == ["a", "b"]
    wanted = types.BlockListing(block_schemas={"block_capabilities": {"all_": ["a"]}})
    assert len(client.call(types.filter_block_schemas, wanted)) == 1
    wanted = types.BlockListing(block_schemas={"block_capabilities": {"all_": ["c"]}})
    assert client.call(types.filter_block_schemas, wanted) == []
    client.call(types.update_block_type, saved.kind.id, types.BlockTypeUpdate(description="d"))
    assert client.call(types.read_block_type, saved.kind.id).description == "d"
    assert [each.slug for each in client.call(types.filter_block_types, types.BlockListing())] == ["login"]


def test_a_type_is_deleted_with_its_blocks(client, saved):
    saved()
    client.call(types.delete_block_type, saved.kind.id)
    with pytest.raises(NotFound):
        read(client, "mine")
    with pytest.raises(NotFound):
        client.call(types.read_block_schema, saved.schema.id)


def test_a_block_is_deleted(client, saved):
    document = saved()
    client.call(documents.delete_block_document, document.id)
    with pytest.raises(NotFound):
        client.call(documents.read_block_document, document.id)


def test_everything_is_encrypted_anew(client, saved):
    saved(password="swordfish")
    assert client.call(documents.rotate_encryption) == 1
    assert read(client, "mine", True).data == {"password": "swordfish"}


def test_a_lost_key_is_said_and_what_it_locked_can_be_deleted(client, saved, home):
    saved("one", password="swordfish")
    saved(None, anonymous=True, password="swordfish")
    (home / "secret.key").unlink()
    with pytest.raises(SettingError, match="block delete --all"):
        read(client, "one", True)
    with pytest.raises(SettingError, match="key"):
        saved("two", password="swordfish")
    assert read(client, "one").data["password"] == "********"
    listing = types.BlockListing(block_documents={"is_anonymous": {"eq_": True}})
    (hidden,) = client.call(documents.filter_block_documents, listing)
    client.call(documents.delete_block_document, hidden.id)
    client.call(documents.delete_block_document, read(client, "one").id)
    saved("two", password="swordfish")
    assert read(client, "two", True).data["password"] == "swordfish"


def find(client, reference):
    return client.call(find_block_document, reference=reference)


def test_a_block_is_found_by_its_name_and_by_the_beginning_of_its_id(client, saved):
    first = saved(user="u", password="swordfish")
    saved("other")
    assert find(client, "login/mine").id == first.id
    assert find(client, first.id[:30]).data == {"user": "u", "password": "********"}
    assert find(client, first.id.upper()).id == first.id
    with pytest.raises(Conflict, match="the ids of 2 saved blocks begin with"):
        find(client, first.id[:4])
    with pytest.raises(NotFound, match="block 'login/mien' not found; did you mean 'login/mine'"):
        find(client, "login/mien")
    for reference in ("", "-", "abc", "login/", "/mine", "\U0001d11e", "00000000", "%", "a" * 5000):
        with pytest.raises(NotFound, match="not found"):
            find(client, reference)
