"""`runyard block` and `runyard secret`, typed as a user would."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest
from runyard.client import LocalClient
from runyard.store.database import get_database


@pytest.fixture
def cli(runyard, monkeypatch):
    """Runs a command line with something on its standard input."""

    def type_(*arguments, stdin="", code=0):
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        return runyard(*arguments, code=code)

    return type_


@pytest.fixture
def secret(cli):
    """A secret named `key`, and its value."""
    cli("secret", "set", "key", stdin="sk-12345\n")
    return "sk-12345"


def test_a_secret_is_set_from_standard_input_and_hidden(cli, secret):
    assert "key" in cli("secret", "ls").out
    assert secret not in cli("secret", "inspect", "key").out
    assert secret not in cli("secret", "inspect", "key", "-o", "json").out
    assert secret in cli("secret", "inspect", "key", "--show").out
    assert secret not in cli("block", "inspect", "secret/key").out
    assert json.loads(cli("secret", "ls", "-o", "json").out)[0]["data"] == {"value": "********"}


def test_a_secret_is_replaced_rotated_and_deleted(cli, secret, home):
    before = (home / "secret.key").read_text()
    assert "Encrypted 1 saved block" in cli("secret", "rotate").out
    after = (home / "secret.key").read_text()
    assert after != before
    assert len(after.split()) == 1
    assert secret in cli("secret", "inspect", "key", "--show").out
    cli("secret", "set", "key", stdin="other-value")
    assert "other-value" in cli("secret", "inspect", "key", "--show").out
    cli("secret", "delete", "key", "-y")
    assert "secret 'key' not found" in cli("secret", "inspect", "key", code=1).err


@pytest.mark.parametrize("text", ["value", "value\n", "value\r\n"])
def test_the_last_line_end_is_no_part_of_a_secret(cli, text):
    cli("secret", "set", "key", stdin=text)
    shown = json.loads(cli("secret", "inspect", "key", "--show", "-o", "json").out)
    assert shown["data"]["value"] == "value"


def test_a_secret_needs_a_value_and_a_name(cli):
    assert "standard input, which is empty" in cli("secret", "set", "key", code=2).err
    assert "lowercase letters" in cli("secret", "set", "Bad Name", stdin="x", code=1).err


def test_blocks_are_saved_and_seen(cli):
    cli("block", "create", "json", "--name", "settings", 'value={"retries": 3}')
    assert "json/settings" in cli("block", "ls").out
    assert "retries: 3" in cli("block", "inspect", "json/settings").out
    found = json.loads(cli("block", "inspect", "json/settings", "-o", "json").out)
    assert found["data"] == {"value": {"retries": 3}}
    assert "--overwrite" in cli("block", "create", "json", "--name", "settings", "value=1", code=1).err
    cli("block", "create", "json", "-n", "settings", "--overwrite", "value=1")
    cli("block", "delete", "json/settings", "-y")
    listed = cli("block", "ls")
    assert "No blocks" in listed.err + listed.out


def test_secret_fields_are_not_taken_from_the_command_line(cli):
    assert "is a secret" in cli("block", "create", "secret", "--name", "x", "value=sk-1", code=2).err
    cli("block", "create", "secret", "--name", "x", stdin="sk-12345")
    assert "sk-12345" in cli("secret", "inspect", "x", "--show").out


def test_mistakes(cli):
    def said(*arguments, code):
        return cli("block", *arguments, code=code).err

    assert "write TYPE/NAME" in said("inspect", "settings", code=2)
    assert "not FIELD=VALUE" in said("create", "json", "-n", "x", "value", code=2)
    assert "block type 'nothing' not found" in said("create", "nothing", "-n", "x", code=1)
    assert "the field 'value' is missing" in said("create", "json", "-n", "x", code=1)
    assert "one of them" in said("register", code=2)
    assert "cannot be imported" in said("register", "-m", "no_such_module", code=1)


def test_types_are_registered(cli, tmp_path):
    answer = cli("block", "register", "-m", "prefect.blocks.system")
    assert "Registered 4 block types" in answer.out + answer.err
    file = tmp_path / "own.py"
    file.write_text(
        "from prefect.blocks.core import Block\n"
        "class Own(Block):\n    'Our own.'\n    name: str\n    size: int = 1\n"
    )
    cli("block", "register", "-f", str(file))
    assert "Our own." in cli("block", "type", "ls").out
    shown = cli("block", "type", "inspect", "own").out
    assert "name" in shown
    assert "size" in shown
    cli("block", "type", "delete", "own", "-y")
    assert "Our own." not in cli("block", "type", "ls").out
    empty = tmp_path / "empty.py"
    empty.write_text("")
    assert "no blocks found" in cli("block", "register", "-f", str(empty), code=1).err


def test_all_blocks_go_when_the_key_is_lost(cli, home):
    from runyard.operations.blocks import block_documents, block_types

    cli("secret", "set", "one", stdin="sk-12345")
    client = LocalClient(get_database())
    kind = client.call(block_types.read_block_type_by_slug, "secret")
    schema = cli("block", "ls", "-o", "json").json[0]["block_schema_id"]
    fields = {"block_type_id": kind.id, "block_schema_id": schema, "is_anonymous": True}
    body = block_documents.BlockDocumentCreate(data={"value": "sk-12345"}, **fields)
    unnamed = client.call(block_documents.create_block_document, body).id
    (home / "secret.key").unlink()
    assert "block delete --all" in cli("secret", "set", "two", stdin="sk-12345", code=1).err
    assert unnamed not in cli("block", "ls").out
    assert unnamed in cli("block", "ls", "--all").out
    cli("block", "inspect", unnamed)
    cli("block", "delete", unnamed, "-y")
    assert "Name the blocks" in cli("block", "delete", "-y", code=2).err
    cli("block", "delete", "--all", "-y")
    assert cli("block", "ls", "--all", "-o", "json").json == []
    cli("secret", "set", "two", stdin="sk-12345")


def test_a_type_that_comes_with_runyard_is_shown_before_any_block_is_saved(runyard, home):
    assert "value" in runyard("block", "type", "inspect", "secret").out
    assert "block type 'nosuch' not found" in runyard("block", "type", "inspect", "nosuch", code=1).err


def test_a_module_of_the_current_folder_is_registered(home, tmp_path):
    (tmp_path / "my_blocks.py").write_text(
        "from prefect.blocks.core import Block\n\nclass Shelf(Block):\n    rows: int = 1\n"
    )
    # As the installed command: its sys.path has the folder of the command, not the current one.
    code = "import sys; sys.path[:] = [p for p in sys.path if p]; from runyard_cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "block", "register", "-m", "my_blocks"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "Registered 1 block type: shelf." in done.stdout, done.stderr


def test_blocks_say_what_happened_and_what_is_next(cli):
    said = cli("block", "create", "json", "--name", "settings", "value=1").out
    assert said == "Created block 'json/settings'.\nSee it with: runyard block inspect json/settings\n"
    told = cli("block", "create", "json", "--name", "settings", "value=1", code=1).err
    assert told == "Error: block 'json/settings' exists already; use --overwrite to replace it\n"
    assert "Updated" in cli("block", "create", "json", "-n", "settings", "--overwrite", "value=2").out
    assert "did you mean 'json'?" in cli("block", "create", "jsn", "-n", "x", "value=1", code=1).err
    assert "did you mean 'value'?" in cli("block", "create", "json", "-n", "x", "vale=1", code=1).err
    assert "did you mean 'json/settings'?" in cli("block", "inspect", "json/setings", code=1).err
    saved = json.loads(cli("block", "create", "string", "-n", "s", "value=a", "-o", "json").out)
    assert saved["data"] == {"value": "a"}
    assert saved["name"] in cli("block", "inspect", saved["id"][:24]).out
    assert cli("block", "ls", "--type", "string", "-o", "name").out == "string/s\n"
    assert "not found" in cli("block", "ls", "--type", "strin", code=1).err
    assert "Would delete block 'string/s'." in cli("block", "delete", "string/s", "--dry-run").out
    assert "with 1 saved block" in cli("block", "type", "delete", "string", "--dry-run").out
    assert len(json.loads(cli("block", "delete", "--all", "-o", "json").out)) == 2


def test_a_secret_is_created_then_updated(cli):
    told = cli("secret", "create", "key", stdin="sk-12345").out
    assert told.startswith("Created secret 'key'.\n")
    assert "Updated secret 'key'." in cli("secret", "set", "key", stdin="sk-123456").out
    shown = json.loads(cli("secret", "set", "key", "-o", "json", stdin="sk-1234567").out)
    assert shown["data"] == {"value": "********"}
    assert "use: runyard secret inspect NAME --show" in cli("secret", "get", "key", code=2).err
    assert "did you mean 'key'?" in cli("secret", "inspect", "ke", code=1).err
    assert json.loads(cli("secret", "delete", "key", "-o", "json").out)[0]["name"] == "key"
