"""Blocks: saved by name, loaded anywhere, nested, changed; notifications that arrive."""

from __future__ import annotations

import asyncio
import datetime
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest
from pydantic import Field, SecretBytes, SecretStr
from runyard.base.errors import Conflict, InvalidInput, NotFound
from runyard.blocks.core import Block, SecretDict, block_class
from runyard.blocks.filesystems import S3, LocalFileSystem, describe_storage, storage_of
from runyard.blocks.notifications import (
    AppriseNotificationBlock,
    CustomWebhookNotificationBlock,
    DiscordWebhook,
    MattermostWebhook,
    NotificationError,
    OpsgenieWebhook,
    PagerDutyWebHook,
    SendgridEmail,
    SlackWebhook,
    TwilioSMS,
)
from runyard.blocks.system import JSON, DateTime, String
from runyard.blocks.webhook import Webhook

pytestmark = pytest.mark.usefixtures("home")


class Login(Block):
    """Who we are.

    Not part of the description.
    """

    user: str
    password: SecretStr
    more: SecretDict = SecretDict({})
    raw: SecretBytes = SecretBytes(b"")


class Database(Block):
    _block_type_name = "My Database"
    _block_schema_capabilities: ClassVar = ["query"]

    login: Login
    replicas: list[Login] = Field(default_factory=list)
    other: Block | None = None
    port: int = 5432


def test_a_block_is_saved_and_loaded():
    block = Login(user="u", password="swordfish", more={"token": "abcd"}, raw=b"bytes")
    assert block.save("mine")
    found = Login.load("mine")
    assert found == block
    assert found.more.get_secret_value() == {"token": "abcd"}
    assert found.raw.get_secret_value() == b"bytes"
    assert Block.load("login/mine") == block
    assert "swordfish" not in repr(found)
    assert Login.load_from_ref({"block_document_id": found._block_document_id}) == block


def test_async_code_awaits_it():
    async def main():
        await Login(user="u", password="p").save("mine")
        await Login(user="v", password="p").asave("other")
        first, second = await Login.load("mine"), await Login.aload("other")
        await Login.delete("mine")
        await Login.adelete("other")
        return first.user + second.user

    assert asyncio.run(main()) == "uv"
    with pytest.raises(NotFound):
        Login.load("mine")


def test_a_name_is_replaced_only_when_told():
    Login(user="u", password="p").save("mine")
    with pytest.raises(Conflict, match="login/mine exists"):
        Login(user="v", password="p").save("mine")
    Login(user="v", password="p").save("mine", overwrite=True)
    found = Login.load("mine")
    found.user = "w"
    found.save(overwrite=True)
    assert Login.load("mine").user == "w"


def test_mistakes_say_what_to_do():
    with pytest.raises(InvalidInput, match="lowercase letters, digits and hyphens"):
        Login(user="u", password="p").save("My Login")
    with pytest.raises(InvalidInput, match="a block needs a name"):
        Login(user="u", password="p").save()
    with pytest.raises(NotFound, match="saved block login/none not found"):
        Login.load("none")
    with pytest.raises(InvalidInput, match="write TYPE/NAME"):
        Block.load("none")
    JSON(value=1).save("j")
    with pytest.raises(InvalidInput, match="json/j is a JSON, not a Login"):
        Login.load("json/j")


def test_blocks_nest_saved_or_not():
    inner = Login(user="inner", password="swordfish")
    inner.save("inner")
    Database(
        login=inner, replicas=[Login(user="r", password="replica-pass")], other=JSON(value={"a": 1})
    ).save("db")
    inner.user = "changed"
    inner.save(overwrite=True)
    found = Database.load("db")
    assert found.login.user == "changed"
    assert found.login.password.get_secret_value() == "swordfish"
    assert found.replicas[0].password.get_secret_value() == "replica-pass"
    assert found.other == JSON(value={"a": 1})
    assert Database.get_block_type_slug() == "my-database"
    assert Database.get_block_capabilities() == {"query"}
    assert Login.get_description() == "Who we are."


def test_secrets_inside_unsaved_blocks_are_hidden_as_well():
    from runyard.client import connect
    from runyard.operations.blocks.block_documents import read_block_document_by_name

    Database(login=Login(user="u", password="swordfish"), other=Login(user="o", password="deep-secret")).save(
        "db"
    )
    shown = connect().call(read_block_document_by_name, "my-database", "db")
    assert "swordfish" not in str(shown.data)
    assert "deep-secret" not in str(shown.data)


def test_fields_that_have_changed_since():
    def declared(**fields):
        return type("Changing", (Block,), {"__annotations__": fields, "__module__": __name__})

    declared(old=int)(old=1).save("c")
    now = declared(new=int)
    with pytest.raises(InvalidInput, match=r"is not valid for its type any more: .*validate=False"):
        now.load("c")
    found = now.load("c", validate=False)
    assert (found.old, found.new) == (1, None)
    found.new = 2
    found.save(overwrite=True)
    assert now.load("c").new == 2


def test_the_types_that_come_along():
    moment = datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC)
    for block, value in ((JSON(value=[1]), [1]), (String(value="s"), "s"), (DateTime(value=moment), moment)):
        block.save("it")
        assert type(block).load("it").value == value
    assert block_class("slack-webhook") is SlackWebhook
    assert block_class("no-such-type") is None


def test_a_filesystem_is_a_block(tmp_path):
    LocalFileSystem(basepath=tmp_path).save("results")
    assert describe_storage(storage_of("local-file-system/results")) == str(tmp_path)
    S3(bucket_path="b/x", aws_secret_access_key="hush-hush").save("bucket")
    assert S3.load("bucket").aws_secret_access_key.get_secret_value() == "hush-hush"


# Notifications, to a server of our own.


@pytest.fixture
def server():
    """A server that keeps what it is sent."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            seen.append((self.path, dict(self.headers), body))
            self.send_response(500 if self.path.startswith("/broken") else 200)
            self.end_headers()

        def log_message(self, *args):
            pass

    running = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    running.seen, running.address = seen, f"127.0.0.1:{running.server_port}"
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def test_a_custom_webhook_is_filled_in(server):
    block = CustomWebhookNotificationBlock(
        name="hook",
        url=f"http://{server.address}/{{{{name}}}}",
        json_data={"text": "{{subject}}: {{body}}", "token": "{{token}}"},
        headers={"X-Key": "{{token}}"},
        secrets={"token": "abcd"},
    )
    block.save("hook")
    CustomWebhookNotificationBlock.load("hook").notify("body", subject="subject")

    async def main():
        await block.notify("again")

    asyncio.run(main())
    (path, headers, body), (_, _, second) = server.seen
    assert path == "/hook"
    assert headers["X-Key"] == "abcd"
    assert json.loads(body) == {"text": "subject: body", "token": "abcd"}
    assert json.loads(second)["text"] == "null: again"


def test_a_webhook_that_fails_says_so(server):
    block = CustomWebhookNotificationBlock(name="x", url=f"http://{server.address}/broken")
    with pytest.raises(NotificationError, match="'x' refused the notification"):
        block.notify("body")
    with pytest.raises(ValueError, match=r"unknown placeholder \{\{nope\}\}"):
        CustomWebhookNotificationBlock(name="x", url="http://h/{{nope}}")
    with pytest.raises(ValueError, match="not both"):
        CustomWebhookNotificationBlock(name="x", url="http://h", json_data={}, form_data={})


def test_the_webhook_block_calls(server):
    block = Webhook(url=f"http://{server.address}/call", headers={"X-Key": "abcd"})
    assert block.call({"a": 1}).status_code == 200
    assert block.call("text").status_code == 200
    assert [body for _, _, body in server.seen] == [b'{"a":1}', b"text"]


def test_apprise_delivers(server):
    pytest.importorskip("apprise", reason="needs the extra notifications")
    AppriseNotificationBlock(url=f"json://{server.address}/there").notify("body", subject="title")
    (path, _, body) = server.seen[0]
    assert path == "/there"
    assert (json.loads(body)["title"], json.loads(body)["message"]) == ("title", "body")
    with pytest.raises(NotificationError, match="did not deliver"):
        AppriseNotificationBlock(url=f"json://{server.address}/broken").notify("body")
    with pytest.raises(NotificationError, match="does not support the URL"):
        AppriseNotificationBlock(url="nothing").notify("body")


def test_services_are_addressed_through_apprise():
    pytest.importorskip("apprise", reason="needs the extra notifications")
    blocks = [
        PagerDutyWebHook(integration_key="i" * 32, api_key="a" * 32),
        TwilioSMS(
            account_sid="AC" + "1" * 32,
            auth_token="2" * 32,
            from_phone_number="+15550001111",
            to_phone_numbers=["+15552223333"],
        ),
        OpsgenieWebhook(apikey="a" * 36, target_user=["anna"]),
        MattermostWebhook(hostname="chat", token="t" * 26, channels=["general"]),
        DiscordWebhook(webhook_id="1" * 24, webhook_token="t" * 64),
        SendgridEmail(api_key="k" * 50, sender_email="a@example.com", to_emails=["b@example.com"]),
    ]
    for block in blocks:
        assert block.target().url()


class Endpoint(Block):
    url: str
    password: str
    settings: dict = Field(default_factory=dict)
    pair: tuple = ()


def test_a_block_that_is_logged_shows_no_password():
    url = "https://me:geheim@host/a"
    block = Endpoint(url=url, password="geheim", settings={"secret": "geheim", "b": 1}, pair=(1, "x"))
    for text in (repr(block), str(block), f"{[block]}"):
        assert "geheim" not in text
        assert "https://me:********@host/a" in text
        assert "(1, 'x')" in text
    assert block.password == "geheim"
