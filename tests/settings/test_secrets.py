"""Secrets: never in clear on disk, in logs or in states; keys that are private, and change."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from runyard import flow, task
from runyard.base.errors import SettingError
from runyard.base.redaction import STARS, redact, register
from runyard.blocks.system import Secret
from runyard.client import connect
from runyard.operations.blocks.block_documents import (
    delete_block_document,
    read_block_document_by_name,
    rotate_encryption,
)
from runyard.settings import encryption

pytestmark = pytest.mark.usefixtures("home")

VALUE = "sk-very-secret-1234"


def files_of(home):
    return b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())


def test_a_secret_is_kept_encrypted(home):
    Secret(value=VALUE).save("key")
    assert Secret.load("key").get() == VALUE
    assert VALUE not in repr(Secret.load("key"))
    assert VALUE.encode() not in files_of(home)


def test_values_of_all_kinds():
    for value in ("plain", "1234", 1234, {"user": "u"}, ["a"], '{"user": "u"}'):
        Secret(value=value).save("key", overwrite=True)
        expected = {"user": "u"} if value == '{"user": "u"}' else value
        assert Secret.load("key").get() == expected


def test_the_key_file_is_private(home):
    Secret(value=VALUE).save("key")
    assert oct((home / "secret.key").stat().st_mode & 0o777) == "0o600"


def test_another_key_cannot_read_it(home, monkeypatch):
    Secret(value=VALUE).save("key")
    monkeypatch.setenv("RUNYARD_ENCRYPTION_KEY", encryption.new_key())
    with pytest.raises(SettingError, match="encrypted with another key"):
        Secret.load("key")
    monkeypatch.setenv("RUNYARD_ENCRYPTION_KEY", "no key")
    with pytest.raises(SettingError, match="RUNYARD_ENCRYPTION_KEY is not a Fernet key"):
        Secret.load("key")


@pytest.mark.parametrize(
    "content", [b"SQLite format 3\0\xec\xff", "schl\u00fcssel".encode(), b"no key", b"\0" * 44]
)
def test_a_key_file_that_holds_no_key_is_said_to(home, content):
    Secret(value=VALUE).save("key")
    (home / "secret.key").write_bytes(content)
    for use in (lambda: Secret.load("key"), lambda: Secret(value="other").save("more")):
        with pytest.raises(SettingError, match=r"secret\.key is not a Fernet key"):
            use()
    assert (home / "secret.key").read_bytes() == content


def test_keys_change(home, monkeypatch):
    old, new = encryption.new_key(), encryption.new_key()
    monkeypatch.setenv("RUNYARD_ENCRYPTION_KEY", old)
    Secret(value=VALUE).save("key")
    monkeypatch.setenv("RUNYARD_ENCRYPTION_KEY", f"{new},{old}")
    assert Secret.load("key").get() == VALUE
    connect().call(rotate_encryption)
    monkeypatch.setenv("RUNYARD_ENCRYPTION_KEY", new)
    assert Secret.load("key").get() == VALUE
    with pytest.raises(SettingError, match="RUNYARD_ENCRYPTION_KEY sets the key"):
        encryption.write_keys([new])


def test_a_lost_key_is_an_error_and_no_new_key_is_made(home):
    Secret(value=VALUE).save("key")
    key = (home / "secret.key").read_text()
    (home / "secret.key").unlink()
    for attempt in (
        lambda: Secret.load("key"),
        lambda: Secret(value="other").save("another"),
        lambda: Secret(value="other").save("key", overwrite=True),
        lambda: connect().call(rotate_encryption),
        encryption.keys,
    ):
        with pytest.raises(
            SettingError, match=r"key .*/secret\.key of this database was not found.* from a backup"
        ):
            attempt()
        assert not (home / "secret.key").exists()
    (home / "secret.key").write_text(key)
    assert Secret.load("key").get() == VALUE


def test_another_key_is_not_used_beside_the_old_one(home, monkeypatch):
    Secret(value=VALUE).save("key")
    monkeypatch.setenv("RUNYARD_ENCRYPTION_KEY", encryption.new_key())
    with pytest.raises(SettingError, match="encrypted with another key"):
        Secret(value="other").save("another")
    monkeypatch.delenv("RUNYARD_ENCRYPTION_KEY")
    assert Secret.load("key").get() == VALUE


def test_without_the_key_secrets_are_listed_and_deleted_and_then_begin_anew(home):
    Secret(value=VALUE).save("key")
    (home / "secret.key").unlink()
    client = connect()
    shown = client.call(read_block_document_by_name, "secret", "key")
    assert shown.data == {"value": STARS}
    client.call(delete_block_document, shown.id)
    Secret(value="other").save("key")
    assert Secret.load("key").get() == "other"


def test_many_processes_make_one_key(home):
    code = "from runyard.settings import encryption; encryption.encrypt('a', None); print(encryption.keys())"
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    answers = {process.communicate()[0] for process in started}
    assert len(answers) == 1
    assert [path.name for path in home.iterdir()] == ["secret.key"]


def test_a_secret_shows_nowhere_in_a_run(home, recorded, capfd):
    Secret(value=VALUE).save("key")

    @task(log_prints=True)
    def leaks():
        key = Secret.load("key").get()
        print(f"using {key}")
        raise ValueError(f"refused: {key}")

    @flow
    def main():
        leaks()

    with pytest.raises(ValueError, match="refused"):
        main()
    assert VALUE.encode() not in files_of(home)
    assert any("using ********" in line for line in recorded.logs())
    assert "refused: ********" in recorded.state(recorded.task_runs()[0])["message"]
    said = capfd.readouterr()
    assert VALUE not in said.err


@pytest.mark.parametrize("value", [8675309123, -45678, 31337.25, 1234])
def test_a_number_is_hidden_with_its_thousands_set_apart(home, recorded, value):
    Secret(value=value).save("number")

    @flow(log_prints=True)
    def main():
        number = Secret.load("number").get()
        for text in (f"{number}", f"{number:,}", f"{number:_}", f"{number:,}".replace(",", "\u202f")):
            print(f"<{text}>")
        print(f"9{value}, {number + 1:,}")

    main()
    shown = [line for line in recorded.logs() if line.startswith(("<", "9"))]
    assert shown == ["<********>"] * 4 + [f"9{value}, {value + 1:,}"]


def test_a_part_of_it_may_be_used():
    Secret(value=VALUE).save("my-api-key")

    @task
    def use_secret():
        api_key = Secret.load("my-api-key").get()
        return f"Using key: {api_key[:4]}..."

    assert use_secret() == "Using key: sk-v..."


def test_what_a_launched_run_prints_is_redacted():
    code = (
        "from runyard.base.redaction import register; register('swordfish')\n"
        "import sys; print('the swordfish'); sys.stderr.write('swordfish\\n')"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "RUNYARD__FLOW_RUN_ID": "x"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (answer.stdout, answer.stderr) == ("the ********\n", "********\n")


def test_redaction_takes_the_longest_first():
    register("inner-secret")
    register(["an inner-secret outside", {"k": b"in bytes"}])
    assert redact("an inner-secret outside, in bytes, inner-secret") == "********, ********, ********"
    register("abc")
    assert redact("abc") == "abc"  # too short: it would be everywhere


def test_secret_parameters_are_not_stored(recorded, home):
    from pydantic import SecretStr

    @flow
    def main(password: SecretStr):
        return len(password.get_secret_value())

    assert main(SecretStr(VALUE)) == len(VALUE)
    assert VALUE.encode() not in files_of(home)
