"""Apps of Typer for groups of commands, whose commands are built only when one of them is called."""

from __future__ import annotations

import inspect
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from runyard_cli.shared import group_help
from runyard_cli.shared.coercion import coerce_lightly
from runyard_cli.shared.first_tries import IN_GROUPS, option_instead
from runyard_cli.shared.markup import escaped

if TYPE_CHECKING:
    from collections.abc import Callable

_TEXTS = (str, list[str])
_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class WrongUsage(Exception):
    """The options or arguments of a command do not fit together. It ends with exit code 2 and its usage."""


class Command(TyperCommand):
    """A command. `example` is one command line, or several, one a line."""

    def __init__(self, *args: Any, **fields: Any) -> None:
        fields["context_settings"] = {**_CONTEXT, **(fields.get("context_settings") or {})}
        self.example = fields.pop("epilog", None) or ""
        super().__init__(*args, **fields)

    def get_params(self, ctx: Any) -> Any:
        """Its parameters, `--help` too."""
        return _ours(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read a command line. `--json` is `-o json`, where the command has that.

        Raises:
            typer.TyperException: it is wrong; an unknown option is answered with one that is spelled like it.
        """
        names = [name for each in self.get_params(ctx) for name in (*each.opts, *each.secondary_opts)]
        if "--json" in args and "--json" not in names and "--output" in names:
            end = args.index("--") if "--" in args else len(args)
            args = ["--output=json" if word == "--json" else word for word in args[:end]] + args[end:]
        try:
            return super().parse_args(ctx, args)
        except typer.TyperException as error:
            _refuse(ctx, error, names)
            raise

    def invoke(self, ctx: Any) -> Any:
        """Call the command; tell a wrong usage with the usage of this command."""
        try:
            return super().invoke(ctx)
        except WrongUsage as error:
            ctx.fail(str(error))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, and the example below it without a line break."""
        super().format_help(ctx, formatter)
        formatter.write(_shown(self.example))


class Group(TyperGroup):
    """The commands of an app. Typer converts the one that is called, and none for the list of a help."""

    app: App
    _listing = False

    def __init__(self, *args: Any, **fields: Any) -> None:
        fields["context_settings"] = {**_CONTEXT, **(fields.get("context_settings") or {})}
        self.example = fields.pop("epilog", None) or ""
        super().__init__(*args, **fields)

    def get_params(self, ctx: Any) -> Any:
        """Its parameters, `--help` too."""
        return _ours(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options of a group, and the name of a command.

        Raises:
            typer.TyperException: as for a command.
        """
        try:
            return super().parse_args(ctx, args)
        except typer.TyperException as error:
            names = [name for each in self.get_params(ctx) for name in (*each.opts, *each.secondary_opts)]
            _refuse(ctx, error, names)
            raise

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of its commands and groups, in the order in which they were added."""
        return list(self.app.members())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name or of another word for it; None where there is none."""
        members = self.app.members()
        name = self.app.aliases.get(cmd_name, cmd_name)
        if name not in members and name not in self.app.instead:
            name = IN_GROUPS.get(name, name)
        if name not in members:
            return None
        if self._listing:
            return members[name].summary()
        if name not in self.commands:
            self.commands[name] = members[name].build()
            if ctx is not None and ctx.resilient_parsing:
                from runyard_cli.shared.completers import attach

                attach(self.commands[name], [*_path(ctx), name])
        return self.commands[name]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first argument names.

        Raises:
            typer.TyperException: there is none; names those that are spelled like it.
        """
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            from runyard.base.suggestions import did_you_mean

            instead = self.app.instead.get(name)
            names = [*self.list_commands(ctx), *self.app.aliases]
            hint = (
                f"; use: {instead}" if instead else did_you_mean(name, names, f"see: {ctx.command_path} -h")
            )
            ctx.fail(f"No such command '{name}'{hint}")
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, for which the summaries of commands are enough."""
        group_help.write(self, ctx, formatter)
        formatter.write(_shown(self.example))

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """The commands that begin so, for which their summaries are enough."""
        self._listing = True
        try:
            return super().shell_complete(ctx, incomplete)
        finally:
            self._listing = False


def _refuse(context: Any, error: Any, names: list[str]) -> None:
    """Answer an unknown option with the one that is meant; nothing for another error."""
    unknown = getattr(error, "option_name", None)
    if unknown is not None and hasattr(error, "possibilities"):
        end = option_instead(unknown, names)
        if end == "." and isinstance(context.command, Group):
            end = "; the options of a command stand after its name."
        context.fail(f"No such option: {unknown}{end}")


def _path(context: Any) -> list[str]:
    """The names of the groups that lead to a command, whatever words were used for them."""
    names: list[str] = []
    while context.parent is not None:
        names.insert(0, context.command.name)
        context = context.parent
    return names


class Member:
    """A command or a group below an app.

    Args:
        name: what it is called there.
        help: one line about it.
        build: makes it.
        hidden: not shown in helps.
        panel: the title above it in a help.
    """

    def __init__(
        self, name: str, help: str, build: Callable[[], Any], hidden: bool = False, panel: str | None = None
    ) -> None:
        self.name, self.help, self.build, self.hidden, self.panel = name, help, build, hidden, panel

    def summary(self) -> TyperCommand:
        """What a help shows of it, for which it is not built."""
        return TyperCommand(self.name, help=self.help, hidden=self.hidden, rich_help_panel=self.panel)


class App(typer.Typer):
    """A group of commands, or the home of one command: typed functions under `@app.command(...)`.

    Args:
        name: of the group. Without a name its commands are added to the group that adds it.
        help: what the group is for.
        example: command lines, one a line.
        aliases: other words for its commands.
        instead: commands that people try first and that are not here, with the command line to use.
        bare: what the group does when it is called without a command; by default it shows its help.
    """

    def __init__(
        self,
        name: str | None = None,
        help: str = "",
        example: str = "",
        aliases: dict[str, str] | None = None,
        instead: dict[str, str] | None = None,
        bare: Callable[[], Any] | None = None,
        cls: type[Group] = Group,
    ) -> None:
        super().__init__(
            name=name,
            help=escaped(help),
            epilog=_example(example),
            cls=cls,
            callback=_when_bare(bare) if name else None,
            invoke_without_command=True,
            add_completion=False,
            pretty_exceptions_enable=False,
            rich_markup_mode="rich",
        )
        self._later: dict[str, Member] = {}
        self.name, self.aliases, self.instead = name, aliases or {}, instead or {}

    def command(self, name: str | None = None, *, example: str = "", **fields: Any) -> Any:
        """Declare a command.

        Args:
            name: what it is called.
            example: command lines, one a line.
            fields: as for `typer.Typer.command`.
        """
        add = super().command

        def declare(function: Callable[..., Any]) -> Callable[..., Any]:
            text = escaped(_paragraphs(inspect.getdoc(function) or ""))
            options = {"cls": Command, "help": text, "epilog": _example(example), **fields}
            declared: Callable[..., Any] = add(name, **options)(function)
            return declared

        return declare

    def later(self, module: str, attribute: str, **helps: str) -> None:
        """Add commands of a module that is imported when one of them is called.

        Args:
            module: in `runyard_cli.commands`.
            attribute: the app there.
            helps: the first line of the help of each command, by its name.
        """
        for name, help in helps.items():
            self._later[name] = Member(name, escaped(help), partial(_imported, module, attribute, name))

    def members(self) -> dict[str, Member]:
        """Its commands and groups by name."""
        found: dict[str, Member] = {}
        for info in self.registered_commands:
            name = str(info.name)
            found[name] = Member(
                name,
                _first_line(info.help or ""),
                partial(_one_command, info),
                info.hidden,
                info.rich_help_panel if isinstance(info.rich_help_panel, str) else None,
            )
        for group in self.registered_groups:
            app = group.typer_instance
            if isinstance(app, App) and app.name:
                found[app.name] = Member(app.name, _first_line(str(app.info.help)), app.build)
            elif isinstance(app, App):
                found.update(app.members())
        return {**found, **self._later}

    def build(self) -> Any:
        """The group, or the one command of an app without a name; as `typer.main.get_command`, but lazy."""
        if self.name is None:
            return typer.main.get_command(self)
        shell = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False)
        shell.info, shell.registered_callback = self.info, self.registered_callback
        group = typer.main.get_group(shell)
        group.name = self.name
        assert isinstance(group, Group)
        group.app = self
        return group


def _imported(module: str, attribute: str, name: str) -> Any:
    app: App = getattr(import_module(f"runyard_cli.commands.{module}"), attribute)
    return app.build() if app.name else app.members()[name].build()


def _one_command(info: Any) -> Any:
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
    alone.registered_commands.append(info)
    return typer.main.get_command(alone)


def _when_bare(bare: Callable[[], Any] | None) -> Callable[[typer.Context], None]:
    def when_bare(context: typer.Context) -> None:
        if context.invoked_subcommand is not None or context.resilient_parsing:
            return
        if bare is not None:
            bare()
        elif text := context.get_help():
            typer.echo(text)

    # Typer reads the annotation where this module's names are not known.
    when_bare.__annotations__ = {"context": typer.Context, "return": None}
    return when_bare


def _first_line(text: str) -> str:
    return " ".join(text.strip().partition("\n\n")[0].split())


def _paragraphs(text: str) -> str:
    """A docstring whose paragraphs are one line each, as terminals break lines where they have to."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _example(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())


def _shown(example: str) -> str:
    lines = "".join(f"   {line}\n" for line in example.splitlines())
    return f" Example:\n{lines}" if example else ""


def _nothing(ctx: Any) -> None:
    """No type."""


def _ours(parameters: Any) -> Any:
    """Prepare parameters: quick coercion, and in helps no value for a flag, and TEXT for texts."""
    for parameter in parameters:
        coerce_lightly(parameter)
        if parameter.param_type_name == "argument" and parameter.type_descriptor.annotation in _TEXTS:
            parameter.display_type_rich = _nothing  # its name says more than `str`
        if parameter.metavar is not None or parameter.param_type_name != "option":
            continue
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
        elif parameter.type_descriptor.annotation in _TEXTS:
            parameter.metavar = "TEXT"
    return parameters
