"""`runyard config` and `runyard profile`: settings kept in files, and where each value comes from."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from runyard.settings import SETTINGS


@pytest.fixture
def here(tmp_path, monkeypatch, home):
    """A folder of a project, the current one."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("RUNYARD_LOGGING_LEVEL", "PREFECT_LOGGING_LEVEL", "RUNYARD_PROFILE", "PREFECT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    return folder


def level(runyard, *root):
    """The logging level and where it comes from."""
    shown = runyard(*root, "config", "view", "--show-defaults", "-o", "json").json
    rows = shown if isinstance(shown, list) else shown["settings"]
    (row,) = [each for each in rows if each["name"] == "RUNYARD_LOGGING_LEVEL"]
    return row["value"], row["source"]


def test_what_is_set_stays_and_may_be_unset(runyard, here):
    runyard("config", "set", "logging_level=DEBUG", "PREFECT_DEFAULT_WORK_POOL_NAME=mine")
    assert level(runyard)[0] == "DEBUG"
    assert "mine" in runyard("config", "view").out
    runyard("config", "unset", "RUNYARD_LOGGING_LEVEL", "-y")
    assert level(runyard)[0] == "INFO"
    assert "mine" in runyard("config", "view").out


def test_each_source_wins_over_those_after_it(runyard, here, monkeypatch):
    runyard("config", "set", "logging_level=CRITICAL")
    assert level(runyard)[0] == "CRITICAL"
    (here / "pyproject.toml").write_text('[tool.prefect]\nPREFECT_LOGGING_LEVEL = "ERROR"\n')
    assert level(runyard)[0] == "ERROR"
    (here / "prefect.toml").write_text('[logging]\nlevel = "WARNING"\n')
    value, source = level(runyard)
    assert value == "WARNING"
    assert "prefect.toml" in source
    (here / ".env").write_text("PREFECT_LOGGING_LEVEL=INFO\n")
    assert level(runyard)[0] == "INFO"
    monkeypatch.setenv("RUNYARD_LOGGING_LEVEL", "DEBUG")
    assert level(runyard)[0] == "DEBUG"


ENV_VALUES = [
    ("x", "x"), ("x # a comment", "x"), ("x#y", "x#y"), ("'x # y'", "x # y"), ('"x\\ty"', "x\ty"),
    ('"two\nlines"', "two\nlines"), ("${KNOWN}/b", "seen/b"), ("${UNKNOWN:-other}", "other"),
    ("${UNKNOWN}z", "z"), ('"a \\" b"', 'a " b'), ("", ""),
]  # fmt: skip


@pytest.mark.parametrize(("written", "value"), ENV_VALUES)
def test_a_value_of_env_is_what_dotenv_reads(runyard, here, monkeypatch, written, value):
    monkeypatch.setenv("KNOWN", "of the environment")
    (here / ".env").write_text(
        f"# mine\n\nKNOWN=seen\nA LINE\nexport RUNYARD_DEFAULT_WORK_POOL_NAME={written}\n"
    )
    rows = runyard("config", "view", "--show-defaults", "-o", "json").json
    rows = rows if isinstance(rows, list) else rows["settings"]
    (row,) = [each for each in rows if each["name"] == "RUNYARD_DEFAULT_WORK_POOL_NAME"]
    assert row["value"] == value
    assert row["source"].endswith(".env:5") or row["source"] == ".env"


def test_a_line_of_env_that_cannot_be_read_is_named(runyard, here):
    for text, line in (
        ('A=1\n\nRUNYARD_API_URL="http://x\nB=2\n', 3),
        ('A="x\nRUNYARD_API_URL="http://x"\n', 1),
    ):
        (here / ".env").write_text(text)
        error = runyard("work-pool", "ls", code=1).err
        assert f"{here / '.env'}:{line}: invalid line" in error


def test_a_change_keeps_comments_and_the_order_of_profiles(runyard, here, home):
    file = home / "profiles.toml"
    home.mkdir(exist_ok=True)
    file.write_text("""\
# mine
active = "a"  # for now

[profiles.a]
# what is long
RUNYARD_LOGGING_LEVEL = "INFO" # usual

[profiles.b]
PREFECT_API_URL = 'http://127.0.0.1:9/api'
""")
    runyard("config", "set", "logging_level=DEBUG", "default_work_pool_name=mine")
    runyard("profile", "create", "new one", code=1)
    runyard("profile", "create", "c", "--from", "b")
    runyard("profile", "rename", "b", "b.2")
    runyard("profile", "use", "c", code=1)  # no API is there
    assert (
        file.read_text()
        == """\
# mine
active = "c"  # for now

[profiles.a]
# what is long
RUNYARD_LOGGING_LEVEL = "DEBUG" # usual
RUNYARD_DEFAULT_WORK_POOL_NAME = "mine"

[profiles."b.2"]
PREFECT_API_URL = 'http://127.0.0.1:9/api'

[profiles.c]
PREFECT_API_URL = "http://127.0.0.1:9/api"
"""
    )


def test_profiles_are_made_used_renamed_and_deleted(runyard, program, here):
    runyard("profile", "create", "staging")
    program("--profile", "staging", "config", "set", "logging_level=DEBUG")
    assert level(runyard)[0] == "INFO"
    assert level(program, "--profile", "staging")[0] == "DEBUG"
    runyard("profile", "create", "copy", "--from", "staging")
    runyard("profile", "use", "copy")
    assert level(runyard)[0] == "DEBUG"
    runyard("profile", "rename", "staging", "testing")
    assert "copy" in runyard("profile", "delete", "copy", "-y", code=1).err
    runyard("profile", "use", "default")
    runyard("profile", "delete", "copy", "-y")
    names = [each["name"] for each in runyard("profile", "ls", "-o", "json").json]
    assert "testing" in names
    assert "copy" not in names


def test_the_file_of_profiles_is_for_its_owner_only(runyard, here, home):
    runyard("config", "set", "api_auth_string=admin:secret")
    assert stat.S_IMODE((home / "profiles.toml").stat().st_mode) == 0o600
    assert "secret" not in runyard("config", "view").out
    assert "secret" not in runyard("profile", "inspect").out
    assert "admin:secret" in runyard("config", "view", "--show-secrets").out


@pytest.mark.parametrize(
    "arguments",
    [
        ("config", "set", "logging_level=nonsense"), ("config", "set", "loging_level=DEBUG"),
        ("config", "set", "RUNYARD_HOME=/elsewhere"), ("config", "set", "worker_lease_seconds=soon"),
        ("profile", "use", "nosuch"), ("profile", "create", "default"), ("profile", "delete", "nosuch"),
        ("profile", "rename", "nosuch", "x"),
    ],
)  # fmt: skip
def test_what_is_wrong_changes_nothing(runyard, here, home, arguments):
    file = home / "profiles.toml"
    before = file.read_text() if file.exists() else None
    error = runyard(*arguments, code=1).err
    assert error.startswith("Error: ")
    assert error.count("\n") == 1
    assert (file.read_text() if file.exists() else None) == before


def test_a_wrong_setting_is_told_before_anything_runs(runyard, here, monkeypatch):
    (here / "prefect.toml").write_text('[logging]\nlevel = "loud"\n')
    error = runyard("work-pool", "ls", code=1).err
    assert "prefect.toml" in error
    assert "loud" in error
    runyard("config", "validate", code=1)
    (here / "prefect.toml").unlink()
    runyard("config", "validate")
    monkeypatch.setenv("RUNYARD_LOGGING_LEVEL", "loud")
    assert "RUNYARD_LOGGING_LEVEL" in runyard("deploy", code=1).err


def test_two_terminals_lose_no_change(here, home):
    code = "import sys; from runyard_cli.main import main; main(sys.argv[1:])"
    names = [f"p{number}" for number in range(8)]
    processes = [
        subprocess.Popen([sys.executable, "-c", code, "profile", "create", name], stdout=subprocess.DEVNULL)
        for name in names
    ]
    assert [process.wait(60) for process in processes] == [0] * len(names)
    text = (home / "profiles.toml").read_text()
    assert all(f"[profiles.{name}]" in text for name in names)


def test_settings_cost_nothing_where_there_are_no_files(here):
    code = "import sys; from runyard import settings; settings.get('logging_level'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "tomllib" not in done.stdout.split()


def test_an_unknown_profile_is_refused(program, here):
    assert "profile 'nosuch' not found" in program("--profile", "nosuch", "work-pool", "ls", code=1).err


def test_the_page_of_the_documentation_says_every_setting():
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text("utf-8")
    for name, setting in SETTINGS.items():
        default = "" if setting.default in ("", None) else f"`{setting.default}`"
        alias = f"`{setting.alias}`" if setting.alias else ""
        assert f"| `{name}` | {default} | {alias} | {setting.help} |" in page, name


def test_what_config_view_shows(runyard, monkeypatch, home):
    monkeypatch.setenv("RUNYARD_API_AUTH_STRING", "admin:pass")
    usual = runyard("config", "view").out
    assert "pass" not in usual
    assert "from the environment" in usual
    assert runyard("config", "view", "--hide-defaults", "--show-sources", "--hide-secrets").out == usual
    assert "from the environment" not in runyard("config", "view", "--hide-sources").out
    assert "admin:pass" in runyard("config", "view", "--show-secrets").out


def test_a_profile_shows_secrets_only_when_asked(runyard, home):
    runyard("config", "set", "RUNYARD_API_AUTH_STRING=admin:pass")
    assert "pass" not in runyard("profile", "inspect", "default").out
    assert "pass" not in runyard("profile", "inspect", "default", "--hide-secrets").out
    assert "admin:pass" in runyard("profile", "inspect", "default", "--show-secrets").out


@pytest.fixture
def editor(tmp_path, monkeypatch):
    """Makes $EDITOR a program that writes a text into the file."""

    def use(text):
        script = tmp_path / "editor"
        script.write_text(f"#!{sys.executable}\nimport sys\nopen(sys.argv[1], 'w').write({text!r})\n")
        script.chmod(0o755)
        monkeypatch.setenv("EDITOR", str(script))
        monkeypatch.setenv("RUNYARD_CLI_PROMPT", "true")

    return use


def test_profiles_are_edited_and_checked_first(runyard, editor, home, monkeypatch):
    editor('active = "mine"\n\n[profiles.mine]\nRUNYARD_LOGGING_LEVEL = "DEBUG"\n')
    assert "Wrote" in runyard("profile", "edit").out
    assert runyard("profile", "inspect", "-o", "json").json["name"] == "mine"
    before = (home / "profiles.toml").read_text()
    editor('[profiles.mine]\nRUNYARD_NO_SUCH = "x"\n')
    monkeypatch.setattr("typer.confirm", lambda *_args, **_options: False)
    assert "RUNYARD_NO_SUCH" in runyard("profile", "edit", "mine", code=1).err
    assert (home / "profiles.toml").read_text() == before
    monkeypatch.delenv("RUNYARD_CLI_PROMPT")
    assert "needs a terminal" in runyard("profile", "edit", code=2).err


def test_settings_of_prefect_that_do_nothing_here_are_taken_with_a_warning(runyard, here):
    done = runyard("config", "set", "PREFECT_SERVER_ANALYTICS_ENABLED=false", "logging_level=DEBUG")
    assert "PREFECT_SERVER_ANALYTICS_ENABLED" in done.err
    assert level(runyard)[0] == "DEBUG"
    assert "ANALYTICS" not in runyard("config", "view").out
    assert runyard("config", "set", "PREFECT_CLIENT_MAX_RETRIES=5").code == 0


def test_passwords_in_urls_are_not_shown(runyard, monkeypatch):
    runyard("config", "set", "RUNYARD_UI_URL=http://127.0.0.1/?token=geheim")
    url = "http://u:geheim@127.0.0.1:9/api"
    assert "geheim" not in runyard("config", "set", f"RUNYARD_API_URL={url}").out
    monkeypatch.setenv("RUNYARD_DATABASE_URL", "postgresql://u:geheim@127.0.0.1:9/x?password=geheim")
    for command in (
        ("config", "view"),
        ("config", "view", "--show-defaults", "-o", "json"),
        ("profile", "inspect"),
        ("profile", "inspect", "-o", "json"),
        ("version", "-o", "json"),
        ("database", "path"),
    ):
        answer = runyard(*command)
        assert "geheim" not in answer.out + answer.err, command
    assert url in runyard("config", "view", "--show-secrets").out
    refused = runyard("--debug", "work-pool", "ls", code=1)
    assert "geheim" not in refused.out + refused.err
    assert "127.0.0.1:9" in refused.err


WRONG = [
    *(
        (name, value)
        for name in ("worker_lease_seconds", "flow_lease_seconds")
        for value in ("nan", "0", "-1")
    ),
    *((name, "inf") for name, row in SETTINGS.items() if row.kind is float),
    *((name, "-1") for name, row in SETTINGS.items() if row.kind in (int, float)),
    ("worker_poll_seconds", "0"),
    ("journal_max_records", "0"),
    ("worker_webserver_port", "65536"),
    ("api_url", "somewhere"),
    ("database_url", "mysql://here"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_number_without_sense_is_refused_wherever_it_is_set(runyard, here, home, monkeypatch, name, value):
    told = runyard("config", "set", f"{name}={value}", code=1).err
    assert told.startswith(f"Error: {name}=")
    assert not (home / "profiles.toml").exists()
    monkeypatch.setenv(f"RUNYARD_{name.upper()}", value)
    told += runyard("work-pool", "ls", code=1).err
    monkeypatch.delenv(f"RUNYARD_{name.upper()}")
    (here / ".env").write_text(f"RUNYARD_{name.upper()}={value}\n")
    in_file = runyard("config", "validate", code=1)
    assert f"{here / '.env'}:1" in in_file.out + in_file.err
    assert len(told.splitlines()) == 2
    assert told.count(" from ") + told.count(" starts with ") == 2


LIMIT = ("global-concurrency-limit", "create", "g", "--limit", "1")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((*LIMIT, "--slot-decay-per-second", "nan"), "is n"),
        ((*LIMIT, "--slot-decay-per-second", "inf"), "is n"),
        (("worker", "start", "-p", "p", "--run-once", "--prefetch-seconds", "nan"), "is n"),
        (("flow-run", "ls", "--limit", "99999999999999999999"), "is more than 2147483647"),
    ],
)
def test_numbers_of_options_are_finite(runyard, home, arguments, says):
    assert says in runyard(*arguments, code=2).err


def test_a_value_of_a_built_in_profile_names_it(runyard, home):
    runyard("profile", "use", "local", code=1)
    assert "check RUNYARD_API_URL in the built-in profile 'local'" in runyard("work-pool", "ls", code=1).err
