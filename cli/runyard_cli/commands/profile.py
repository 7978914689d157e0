"""`runyard profile`: named sets of settings, and which of them counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from runyard.base.quoting import command_of
from runyard.base.texts import counted

from runyard_cli.commands.config import shown
from runyard_cli.shared import output as out
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.lists import Column, Listing, Page, View, cut, show_list
from runyard_cli.shared.options import Columns, Limit, ListOutput, Output, Sort, Watch, Yes, argument, option

if TYPE_CHECKING:
    from runyard.settings.sources import Profiles

profile = App(
    "profile",
    "Keep settings by name and switch between them.",
    "runyard profile use local",
    aliases={"rm": "delete"},
)

PROFILES = Listing(
    "Profiles",
    (
        Column("Name", lambda row: row["name"], "name"),
        Column("Active", lambda row: row["active"]),
        Column("Settings", lambda row: row["settings"]),
    ),
    "",
)


@profile.command("ls", example="runyard profile ls")
def ls(
    limit: Limit = 0,
    sort: Sort = None,
    columns: Columns = None,
    watch: Watch = False,
    output: ListOutput = None,
) -> None:
    """List the profiles, and which one is active."""
    from runyard.settings import profiles

    def read() -> Page:
        known = profiles.read()
        return cut([_row(known, name) for name in profiles.names(known)], limit)

    show_list(PROFILES, read, View(output, columns, sort, watch))


def _row(known: Profiles, name: str) -> dict[str, Any]:
    from runyard.settings import profiles

    return {"name": name, "active": name == _active(known), "settings": len(profiles.find(known, name))}


def _tell(name: str, output: str | None, text: str) -> None:
    """Say what was done to a profile, or print it as `ls` does."""
    from runyard.settings import profiles

    if output:
        out.print_data(_row(profiles.read(), name), output)
    else:
        out.done(text)


def _active(known: Profiles) -> str:
    """The name of the active profile, even where that profile does not exist."""
    from runyard import settings
    from runyard.base.errors import SettingError

    try:
        return settings.profile()
    except SettingError:
        return known.active


@profile.command("create", example="runyard profile create staging --from local")
def create(
    name: Annotated[str, argument("NAME")],
    source: Annotated[
        str | None, option("--from", help="Copy the settings of another profile.", metavar="PROFILE")
    ] = None,
    output: Output = None,
) -> None:
    """Create a profile."""
    from runyard.settings import profiles

    profiles.create(name, source)
    _tell(name, output, f"Created profile '{name}'.")
    if not output:
        out.hint(f"Use it with: {command_of('runyard profile use', name)}")


@profile.command("use", example="runyard profile use local")
def use(name: Annotated[str, argument("NAME")], output: Output = None) -> None:
    """Use a profile from now on, and check whether its API or database answers.

    The profile is used in any case; the exit code is 1 if there is no answer.
    """
    import os

    from runyard import settings
    from runyard.base.errors import RunyardError
    from runyard.settings import profiles

    profiles.use(name)
    _tell(name, output, f"Profile '{name}' is active.")
    chosen = next((key for key in settings.PROFILE_VARIABLES if os.environ.get(key)), None)
    if chosen is not None and os.environ[chosen] != name:
        out.progress(f"{chosen}={os.environ[chosen]} of this terminal takes precedence; run: unset {chosen}")
    try:
        answer = _answer()
    except RunyardError as error:
        out.error_line(str(error))
        raise typer.Exit(1) from None
    if not output:
        out.say(answer)


def _answer() -> str:
    """One line about the API or the database that these settings lead to.

    Raises:
        RunyardError: it does not answer, or refuses.
    """
    from runyard import settings
    from runyard.base.url_passwords import hidden
    from runyard.operations.installation.admin import read_version
    from runyard.store import database_maintenance

    from runyard_cli.shared.client import connect

    url = hidden(settings.get("api_url"))
    if url:
        return f"The API at {url} answers (version {connect().call(read_version)})."
    return f"It has no API; commands use the database {database_maintenance.where()}."


@profile.command("inspect", example="runyard profile inspect local")
def inspect(
    name: Annotated[str | None, argument("NAME")] = None,
    show_secrets: Annotated[
        bool, option("--show-secrets/--hide-secrets", help="Show passwords and database URLs.")
    ] = False,
    output: Output = None,
) -> None:
    """Show what a profile sets; the active one when none is named."""
    from runyard import settings
    from runyard.settings import profiles

    known = profiles.read()
    name = name or settings.profile()
    values: dict[str, Any] = dict(profiles.find(known, name))
    for key in values:
        if not show_secrets:
            values[key] = shown(settings.name_of(key), values[key])
    if output:
        out.print_data({"name": name, "active": name == _active(known), "settings": values}, output)
        return
    for key, value in values.items():
        typer.echo(f"{key}={value!r}")
    if not values:
        typer.echo(f"Profile '{name}' sets nothing; set something with: runyard config set", err=True)


@profile.command("delete", example="runyard profile delete staging")
def delete(name: Annotated[str, argument("NAME")], yes: Yes = False, output: Output = None) -> None:
    """Delete a profile that is not the active one."""
    from runyard.base.errors import Conflict
    from runyard.settings import profiles

    known = profiles.read()
    profiles.find(known, name)
    if name in (known.active, _active(known)):
        raise Conflict(f"profile '{name}' is the active one; first run: runyard profile use OTHER")
    row = _row(known, name)
    out.confirm(f"Delete profile '{name}' with {counted(row['settings'], 'setting')}?", yes)
    profiles.delete(name)
    if output:
        out.print_data(row, output)
    else:
        out.done(f"Deleted profile '{name}'.")


@profile.command("rename", example="runyard profile rename staging testing")
def rename(
    name: Annotated[str, argument("NAME")], new: Annotated[str, argument("NEW")], output: Output = None
) -> None:
    """Rename a profile."""
    from runyard.settings import profiles

    profiles.rename(name, new)
    _tell(new, output, f"Renamed profile '{name}' to '{new}'.")


@profile.command("edit", example="runyard profile edit staging")
def edit(name: Annotated[str | None, argument("NAME")] = None) -> None:
    """Open the file of the profiles in $EDITOR, at a profile if one is named.

    The edited text is checked first: with a mistake in it, the file is not changed.
    """
    from runyard.settings import profiles

    if name is not None:
        profiles.find(profiles.read(), name)
    if not out.at_keyboard():
        raise WrongUsage(f"'edit' needs a terminal; the file is {profiles.path()}.")
    before = profiles.read_text()
    start = before or profiles.rendered(profiles.read())
    if name is not None and name not in profiles.read().tables:
        start += f"\n[profiles.{name}]\n"
    text = start
    while True:
        answer = _edited(text)
        if answer is None or answer == before:
            typer.echo("Nothing was changed.", err=True)
            return
        text = answer
        fault = _fault(text)
        if fault is None:
            break
        out.error_line(fault)
        if not typer.confirm("Edit it again? Otherwise nothing is changed", default=True):
            raise typer.Exit(1)
    profiles.replace_text(text, before)
    out.done(f"Wrote {profiles.path()}.")


def _fault(text: str) -> str | None:
    """The first problem in the text of a file of profiles, or None."""
    from runyard import settings
    from runyard.base.errors import RunyardError
    from runyard.settings import profiles, sources

    path = profiles.path()
    try:
        known = sources.parse_profiles(text, path)
        sources.resolve(known.active, known, path)
        for name in known.tables:
            profiles.check_name(name)
            for setting, given in sources.profile_lines(name, known, path):
                if setting is not None:
                    settings.parse(setting, given.value, given.key, given.place)
                elif given.key.upper().startswith("RUNYARD_"):
                    return f"{given.place}: unknown setting {given.key}; see: runyard config view"
    except RunyardError as error:
        return str(error)
    return None


def _edited(text: str) -> str | None:
    """What a person makes of a text in the editor of the environment; None when the editor wrote nothing.

    Raises:
        InvalidInput: the editor cannot be started, or failed.
    """
    import os
    import shlex
    import subprocess
    import tempfile

    from runyard.base.errors import InvalidInput

    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="runyard-") as folder:
        path = os.path.join(folder, "profiles.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        before = os.stat(path).st_mtime_ns
        try:
            done = subprocess.run([*shlex.split(editor), path], check=False)
        except (OSError, ValueError) as error:
            raise InvalidInput(f"the editor {editor!r} cannot be started: {error}; set EDITOR") from None
        if done.returncode:
            raise InvalidInput(f"the editor {editor!r} ended with exit code {done.returncode}")
        if os.stat(path).st_mtime_ns == before:
            return None
        with open(path, encoding="utf-8") as file:
            return file.read()
