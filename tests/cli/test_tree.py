"""The command tree: complete, lazy, and with an example everywhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from _tools import need
from runyard_cli import reference
from runyard_cli.main import cli
from runyard_cli.tree import ALIASES, COMMANDS

ROOT = Path(__file__).parents[2]


def every_command():
    return list(reference.commands(cli, reference.context_of(cli, "runyard")))


def test_every_command_has_an_example_that_names_it():
    for context in every_command():
        example = context.command.example
        assert context.command_path in example, context.command_path


def test_every_command_and_option_has_a_help():
    for context in every_command():
        assert context.command.help, context.command_path
        for parameter in context.command.params:
            if isinstance(parameter, typer.core.TyperOption):
                assert parameter.help, f"{context.command_path} {parameter.name}"


def test_every_row_of_the_table_leads_to_a_command():
    context = typer.Context(cli)
    for name in COMMANDS:
        assert cli.get_command(context, name).name == name


def test_the_list_of_a_help_says_what_each_command_says_itself():
    """A command that is imported later has its first line twice."""
    for context in every_command():
        parent = context.parent
        if parent is None or parent.parent is None:
            continue
        member = parent.command.app.members()[context.info_name]
        assert member.help == " ".join(context.command.help.partition("\n\n")[0].split())


@pytest.mark.parametrize(("plural", "singular"), ALIASES.items())
def test_plurals_are_the_same_command(plural, singular):
    context = typer.Context(cli)
    assert cli.get_command(context, plural) is cli.get_command(context, singular)


def test_the_reference_page_is_what_the_commands_say():
    page = (ROOT / "docs" / "cli.md").read_text()
    assert page == reference.text(), "run: python -m runyard_cli.reference > docs/cli.md"


def test_man_pages_are_sound_and_say_what_the_commands_say(tmp_path):
    groff = need("groff")
    reference.main(["--man", str(tmp_path)])
    assert {path.name for path in tmp_path.iterdir()} == {
        "runyard.1",
        *(f"runyard-{name}.1" for name in COMMANDS),
    }
    for page in tmp_path.iterdir():
        done = subprocess.run(
            [groff, "-man", "-Tutf8", "-P-cbou", "-ww", page], capture_output=True, text=True, check=True
        )
        assert done.stderr == ""
        shown = " ".join(done.stdout.split())
        if page.name == "runyard-work-pool.1":
            assert "runyard-work-pool - Create and manage work pools" in shown
            assert "--concurrency-limit N How many runs at once." in shown
            assert "runyard work-pool create my-pool --type process --concurrency-limit 4" in shown


def modules_of(code):
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*sorted(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_help_imports_no_command_and_nothing_heavy():
    loaded = modules_of("from runyard_cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass")
    assert not {f"runyard_cli.commands.{entry.module}" for entry in COMMANDS.values()} & loaded
    assert not {"pydantic", "rich", "sqlite3", "httpx", "asyncio"} & loaded


def test_what_speaks_http_or_reads_deployments_imports_no_more_than_it_needs():
    made = "from runyard.client import HttpClient\nHttpClient('http://127.0.0.1:9/api')\n"
    assert not {"rich", "pygments", "click"} & modules_of(made)
    # Later, who wants all of it has it.
    assert "rich" in modules_of(made + "import httpx._main")
    assert not {"croniter", "subprocess"} & modules_of("import runyard.operations.deployments.deployments")


def test_a_bare_group_prints_its_help(runyard):
    assert "create" in runyard("work-pool").out
    assert "runyard --help" in runyard().out


def test_an_unknown_command_is_wrong_usage_with_a_guess(runyard):
    assert "did you mean 'work-pool'" in runyard("work-pol", "ls", code=2).err
    assert "did you mean 'pause'" in runyard("work-pool", "puase", code=2).err


def test_an_unknown_option_and_a_missing_argument_are_wrong_usage(runyard):
    assert "No such option" in runyard("work-pool", "ls", "--nope", code=2).err
    assert "Missing argument" in runyard("work-pool", "inspect", code=2).err


def test_an_unknown_option_is_answered_with_one_that_is_spelled_like_it_or_none(runyard):
    assert (
        "No such option: --limt; did you mean '--limit'?" in runyard("flow-run", "ls", "--limt", code=2).err
    )
    assert runyard("flow-run", "ls", "--jsn", code=2).err.splitlines()[-1] == "Error: No such option: --jsn."


def test_json_alone_is_the_output(runyard):
    assert runyard("work-pool", "ls", "--json").json == []
    assert "--json" in runyard("work-pool", "create", "--type", "process", "--", "--json").out
    assert runyard("completion", "--json", code=2).err.splitlines()[-1] == "Error: No such option: --json."


def test_the_version_alone(runyard):
    assert runyard("--version").out.strip() == runyard("-v").out.strip() == "0.1.0"
