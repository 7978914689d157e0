"""`runyard config`: the settings, where their values come from, and changing them in the profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from runyard.base.suggestions import did_you_mean
from runyard.base.texts import visible

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.options import Output, Yes, argument, option

if TYPE_CHECKING:
    from runyard.settings import Given

config = App(
    "config",
    "See and change the settings.",
    "runyard config view --show-defaults",
    aliases={"ls": "view", "show": "view", "inspect": "view"},
)

_MASK = "********"
# They say where the profiles are, and which one counts: a profile cannot.
_REFUSED = {
    "home": "RUNYARD_HOME says where the profiles are; set it in the environment",
    "profiles_path": "the profiles are in RUNYARD_HOME; set that in the environment",
    "profile": "the active profile is chosen with: runyard profile use NAME",
}


@config.command("view", example="runyard config view --show-defaults")
def view(
    show_defaults: Annotated[
        bool, option("--show-defaults/--hide-defaults", help="Show settings that are not set, too.")
    ] = False,
    show_sources: Annotated[
        bool, option("--show-sources/--hide-sources", help="Say where each value comes from.")
    ] = True,
    show_secrets: Annotated[
        bool, option("--show-secrets/--hide-secrets", help="Show passwords and database URLs.")
    ] = False,
    output: Output = None,
) -> None:
    """Show the settings: those that are set, or all."""
    from runyard import settings

    rows = []
    for name, setting in settings.SETTINGS.items():
        given = settings.given(name)
        if given is None and not show_defaults:
            continue
        value = settings.get(name)
        if not show_secrets:
            value = shown(name, value)
        rows.append(
            {
                "name": settings.variables(name)[0],
                "help": setting.help,
                "value": value,
                "source": given.source if given else "default",
                "place": _place(given),
            }
        )
    if output:
        out.print_data(rows, output)
        return
    typer.echo(f"RUNYARD_PROFILE={settings.profile()!r}")
    for row in rows:
        if show_defaults:
            typer.echo(typer.style(f"# {row['help']}", dim=True))
        origin = f"  ({_origin(row)})" if show_sources else ""
        typer.echo(f"{row['name']}={str('' if row['value'] is None else row['value'])!r}{origin}")
    if not rows:
        typer.echo("Nothing is set; see all with: runyard config view --show-defaults", err=True)


@config.command("get", example="runyard config get RUNYARD_API_URL")
def get(
    name: Annotated[str, argument("NAME")],
    show_secrets: Annotated[
        bool, option("--show-secrets/--hide-secrets", help="Show passwords and database URLs.")
    ] = False,
    output: Output = None,
) -> None:
    """Print the value of one setting, which may be its default."""
    from runyard import settings

    found = _setting(name)
    given, value = settings.given(found), settings.get(found)
    if not show_secrets:
        value = shown(found, value)
    if output:
        source = given.source if given else "default"
        row = {"name": settings.variables(found)[0], "value": value, "source": source, "place": _place(given)}
        out.print_data(row, output)
        return
    typer.echo("" if value is None else visible(str(value)))


def shown(name: str | None, value: Any) -> Any:
    """A setting's value as it may be shown.

    Args:
        name: of the setting; None for what no setting is called, which may still be a password.
    """
    from runyard import settings
    from runyard.base.url_passwords import hidden

    if name is None or settings.SETTINGS[name].secret:
        return _MASK if value else value
    return hidden(value) if isinstance(value, str) else value


def _place(given: Given | None) -> str | None:
    if given is None:
        return None
    return given.key if given.source == "environment" else f"{given.place}: {given.key}"


def _origin(row: dict[str, Any]) -> str:
    if row["source"] == "environment":
        name = row["place"]
        return "from the environment" if name == row["name"] else f"from the environment, as {name}"
    return "default" if row["source"] == "default" else f"from {row['source']}"


@config.command("set", example="runyard config set RUNYARD_API_URL=http://127.0.0.1:4200/api")
def set_(assignments: Annotated[list[str], argument("NAME=VALUE")], output: Output = None) -> None:
    """Set values in the active profile.

    NAME is RUNYARD_API_URL, PREFECT_API_URL or api_url. When one of them is invalid, none is changed.
    """
    import os

    from runyard import settings
    from runyard.compat.settings_names import is_without_effect
    from runyard.settings import profiles

    values: dict[str, str] = {}
    ignored: list[str] = []
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise WrongUsage(f"{assignment!r} is not NAME=VALUE.")
        if settings.name_of(key) is None and is_without_effect(key):
            ignored.append(key)
            continue
        name = _setting(key)
        settings.parse(name, text, key)
        values[name] = text
    for key in ignored:
        out.progress(f"Warning: {key} is a setting of Prefect without effect in Runyard; it was not saved.")
    profile = settings.profile()
    if values:
        profiles.set_values(profile, values)
    if output:
        out.print_data(_changed(profile, {name: shown(name, text) for name, text in values.items()}), output)
    for name, text in values.items():
        own = settings.variables(name)[0]
        if not output:
            out.done(f"Set {own}={shown(name, text)!r} in profile '{profile}'.")
        given = settings.given(name)
        if given is not None and given.source == "environment":
            out.progress(f"{given.key} in the environment takes precedence; run: unset {given.key}")
        elif given is not None and not given.source.startswith("profile "):
            out.progress(f"{given.key} in {given.place} takes precedence in {os.getcwd()}")


def _changed(profile: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    from runyard import settings

    return [
        {"name": settings.variables(name)[0], "value": value, "profile": profile}
        for name, value in values.items()
    ]


@config.command("unset", example="runyard config unset RUNYARD_API_URL")
def unset(names: Annotated[list[str], argument("NAME")], yes: Yes = False, output: Output = None) -> None:
    """Delete settings from the active profile."""
    from runyard import settings
    from runyard.base.errors import NotFound
    from runyard.settings import profiles

    wanted = [_setting(name) for name in names]
    profile = settings.profile()
    held = {settings.name_of(key) for key in profiles.find(profiles.read(), profile)}
    missing = [settings.variables(name)[0] for name in wanted if name not in held]
    if missing:
        raise NotFound(f"{', '.join(missing)} is not set in profile '{profile}'; see: runyard config view")
    listed = ", ".join(settings.variables(name)[0] for name in wanted)
    out.confirm(f"Unset {listed} in profile '{profile}'?", yes, "Nothing was changed.")
    profiles.unset_values(profile, wanted)
    if output:
        out.print_data(_changed(profile, dict.fromkeys(wanted)), output)
    for name in wanted:
        if not output:
            out.done(f"Unset {settings.variables(name)[0]} in profile '{profile}'.")
        given = settings.given(name)
        if given is not None:
            out.progress(f"It still gets a value from {given.key} in {given.place}")


def _setting(text: str) -> str:
    """The setting that a word names.

    Raises:
        InvalidInput: there is none of that name, or it cannot stand in a profile.
    """
    from runyard import settings
    from runyard.base.errors import InvalidInput

    word = text.strip().lower().removeprefix("runyard_").removeprefix("prefect_")
    if word in _REFUSED:
        raise InvalidInput(_REFUSED[word])
    name = settings.name_of(text)
    if name is None:
        hint = _similar(text) or "; see all: runyard config view --show-defaults"
        raise InvalidInput(f"unknown setting {text!r}{hint}")
    return name


def _similar(text: str) -> str:
    from runyard import settings

    upper = text.strip().upper()
    known = [variable for name in settings.SETTINGS for variable in settings.variables(name)]
    if not upper.startswith(("RUNYARD_", "PREFECT_")):
        return did_you_mean(upper.lower(), list(settings.SETTINGS))
    prefix, _, rest = upper.partition("_")
    # Compared without the prefix, which makes everything alike.
    return did_you_mean(rest, [each.partition("_")[2] for each in known if each.startswith(prefix)]).replace(
        "'", f"'{prefix}_", 1
    )


@config.command("validate", example="runyard config validate")
def validate(output: Output = None) -> None:
    """Check every setting in all sources: environment, files of this folder, profiles.

    The exit code is 1 when a setting is invalid. Names that only Prefect knows are listed; they have no
    effect.
    """
    found = problems()
    wrong = [one for one in found if one["level"] == "error"]
    if output:
        out.print_data(found, output)
    else:
        for one in found:
            typer.echo(
                typer.style(f"{one['level']}: ", fg="red" if one["level"] == "error" else "yellow")
                + one["text"]
            )
        if not wrong:
            out.done("The settings are valid.")
    if wrong:
        raise typer.Exit(1)


def problems() -> list[dict[str, str]]:
    """The invalid settings (`level` error), and those without effect (`level` warning)."""
    from runyard import settings
    from runyard.base.errors import RunyardError
    from runyard.settings import sources

    found: list[dict[str, str]] = []

    def add(level: str, text: str) -> None:
        if not any(one["text"] == text for one in found):
            found.append({"level": level, "text": text})

    try:
        home = settings.home()
    except RunyardError as error:
        add("error", str(error))
        return found
    try:
        for name, given in sources.everything(home):
            where = f"{given.place}: {given.key}"
            if name is not None:
                try:
                    settings.parse(name, given.value, given.key, given.place)
                except RunyardError as error:
                    add("error", str(error))
                if name == "home" and given.source not in ("environment", ".env"):
                    add("warning", f"{where} has no effect; the home is chosen by the environment or .env")
                continue
            hint = _similar(given.key if "_" in given.key else given.key.replace(".", "_"))
            foreign = given.key.upper().startswith("PREFECT_") or "prefect" in given.source + given.key
            if hint or not foreign:
                add("error", f"{where}: unknown setting{hint}")
            else:
                add("warning", f"{where}: a setting of Prefect that has no effect in Runyard")
        settings.check()
    except RunyardError as error:
        add("error", str(error))
    return found
