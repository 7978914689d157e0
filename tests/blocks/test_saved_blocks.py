"""Saved blocks over time: blocks that refer to others, and data that no longer fit; no secret is told."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import Field, SecretStr
from runyard.base import redaction
from runyard.base.errors import RunyardError
from runyard.blocks.block_errors import BlockNotFound
from runyard.blocks.core import Block
from runyard.blocks.fields import SecretDict

pytestmark = pytest.mark.usefixtures("home")

CLEAR = "hunter2-the-whole-secret"


class Login(Block):
    """Who asks."""

    _block_type_slug = "kept-login"

    user: str
    password: SecretStr
    tokens: SecretDict = SecretDict({})


class Several(Block):
    """Blocks wherever a block can be."""

    _block_type_slug = "kept-several"

    one: Login
    listed: list[Login] = Field(default_factory=list)
    named: dict[str, Login] = Field(default_factory=dict)
    any: Block | None = None


def saved_login(name, user="me"):
    login = Login(user=user, password=CLEAR)
    login.save(name, overwrite=True)
    return login


def users(block):
    return [each.user for each in (block.one, *block.listed, *block.named.values(), block.any)]


def test_blocks_are_referred_to_wherever_they_are():
    login = saved_login("shared")
    inline = Login(user="inline", password=CLEAR)
    Several(one=login, listed=[inline, login], named={"a": login}, any=login).save("several")
    assert users(Several.load("several")) == ["me", "inline", "me", "me", "me"]
    saved_login("shared", user="you")
    loaded = Several.load("several")
    assert users(loaded) == ["you", "inline", "you", "you", "you"]
    assert type(loaded.any) is Login


def test_what_is_loaded_and_saved_again_still_refers():
    Several(one=saved_login("shared"), listed=[saved_login("other")]).save("several")
    Several.load("several").save("copy")
    saved_login("shared", user="you")
    copy = Several.load("copy")
    assert (copy.one.user, copy.listed[0].user) == ("you", "me")
    assert copy.one._block_document_name == "shared"


class Account(Block):
    """A type whose fields change."""

    _block_type_slug = "kept-account"

    password: SecretStr


class LaterAccount(Block):
    """The same type, a release later."""

    _block_type_slug = "kept-account"

    password: SecretStr
    region: Literal["eu", "us"]


def test_errors_about_old_data_tell_no_secret():
    Account(password=CLEAR).save("old")
    with pytest.raises(ValueError, match="region: Field required") as error:
        LaterAccount.load("old")
    assert CLEAR not in str(error.value)
    assert "\n" not in str(error.value)


def test_old_data_can_be_mended_and_stay_secret():
    Account(password=CLEAR).save("old")
    redaction._known.clear()
    block = LaterAccount.load("old", validate=False)
    assert CLEAR not in repr(block)
    assert redaction.redact(CLEAR) == "********"
    assert block.region is None
    block.region = "eu"
    block.save("old", overwrite=True)
    assert LaterAccount.load("old").password.get_secret_value() == CLEAR


def test_errors_about_new_blocks_tell_no_secret():
    with pytest.raises(ValueError, match="user") as error:
        Login(password=CLEAR, tokens={"read": CLEAR})
    assert CLEAR not in str(error.value)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: Login.load("missing"),
        lambda: Login.load_from_ref("01a20744-3e21-7e0f-a18d-6bf7de938427"),
        lambda: Login.delete("missing"),
        lambda: Block.load("nothing/here"),
        lambda: Block.load("nothing"),
        lambda: saved_login("No Name"),
        lambda: Login(user="me", password=CLEAR).save("taken"),
    ],
)
def test_mistakes_are_value_errors_as_in_prefect(mistake):
    saved_login("taken")
    with pytest.raises(ValueError, match=r"saved|name|exists") as error:
        mistake()
    assert isinstance(error.value, RunyardError)


class Pair(Block):
    login: Login
    more: list[Login] = Field(default_factory=list)


def test_a_block_whose_inner_block_was_deleted_can_be_mended():
    inner = saved_login("inner")
    Pair(login=inner, more=[inner]).save("pair")
    Login.delete("inner")
    with pytest.raises(BlockNotFound, match="pair/pair refers at login to a saved block that was deleted"):
        Pair.load("pair")
    Pair(login=saved_login("inner")).save("pair", overwrite=True)
    assert Pair.load("pair").login.user == saved_login("inner").user
    Login.delete("inner")
    Pair.delete("pair")
