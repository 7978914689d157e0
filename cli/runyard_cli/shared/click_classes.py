"""Our click classes: commands with an example and `--debug`, groups that guess what was meant."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def wants_tracebacks() -> bool:
    """Whether tracebacks of Runyard's own errors are asked for."""
    from runyard import settings

    return bool(settings.get("debug"))


def _remember_debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        os.environ["RUNYARD_DEBUG"] = "1"


def debug_option(hidden: bool) -> click.Option:
    """`--debug`, which every command takes and only the root shows."""
    return click.Option(
        ["--debug"],
        is_flag=True,
        hidden=hidden,
        expose_value=False,
        callback=_remember_debug,
        help="Show tracebacks of errors.",
    )


class Number(click.FloatRange):
    """A finite number that is not negative."""

    name = "number"
    _MOST = 1_000_000_000.0

    def __init__(self) -> None:
        super().__init__(0, self._MOST)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number that a text is."""
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):  # which is in every range
            self.fail(f"{value!r} is not a number from 0 to {self._MOST:.0f}.", param, ctx)
        return number


class Count(click.IntRange):
    """A whole number of things, which a column of every database can hold.

    Args:
        least: the smallest.
    """

    _MOST = 2_147_483_647

    def __init__(self, least: int) -> None:
        super().__init__(least, self._MOST)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number.

        Raises:
            click.BadParameter: no database can hold it.
        """
        number = click.INT.convert(value, param, ctx)
        if number > self._MOST:
            self.fail(f"{value} is more than {self._MOST}", param, ctx)
        return super().convert(number, param, ctx)

    def _describe_range(self) -> str:
        """How helps write it: the largest number is of no interest there."""
        return f"x>={self.min}"


class Command(click.Command):
    """A command whose help ends in an example.

    Args:
        example: one command line, or several.
    """

    def __init__(self, *args: Any, example: str = "", **fields: Any) -> None:
        fields["context_settings"] = {**_CONTEXT, **(fields.get("context_settings") or {})}
        super().__init__(*args, **fields)
        self.example = example
        self.params.append(debug_option(hidden=True))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example."""
        write_example(formatter, self.example)


def write_example(formatter: click.HelpFormatter, example: str) -> None:
    """A section with command lines, which are not wrapped."""
    if example:
        with formatter.section("Example"):
            for line in example.strip().splitlines():
                formatter.write(f"{'':{formatter.current_indent}}{line.strip()}\n")


@click.pass_context
def _help_when_bare(context: click.Context) -> None:
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


class Group(click.Group):
    """Commands below one name; an unknown one is answered with those that are spelled like it.

    Args:
        example: one command line, or several.
    """

    command_class = Command
    aliases: dict[str, str] = {}  # noqa: RUF012  (a table that is never changed)

    def __init__(self, *args: Any, example: str = "", **fields: Any) -> None:
        fields["context_settings"] = {**_CONTEXT, **(fields.get("context_settings") or {})}
        fields.update(callback=_help_when_bare, invoke_without_command=True)
        super().__init__(*args, **fields)
        self.example = example
        self.params.append(debug_option(hidden=True))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or that the name is another word for."""
        return super().get_command(ctx, self.aliases.get(cmd_name, cmd_name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            from runyard.base.suggestions import did_you_mean

            hint = did_you_mean(name, [*self.list_commands(ctx), *self.aliases]) or "."
            ctx.fail(f"No such command '{name}'{hint}")
        return super().resolve_command(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example."""
        write_example(formatter, self.example)


def group(name: str, help: str, example: str) -> Group:
    """A group whose commands its module declares with `@that.command(...)`."""
    return Group(name, help=help, example=example)


_OUTPUT = click.option("-o", "--output", type=click.Choice(["json"]), help="Print JSON instead of text.")
_YES = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
_LIMIT = click.option("-l", "--limit", type=Count(1), default=15, show_default=True, help="How many at most.")


_ENTRYPOINT = click.option(
    "-e",
    "--entrypoint",
    metavar="FILE:FLOW",
    help="The code of a run without a deployment; it runs in this process.",
)


def output_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`-o json`, given to the function as `output`."""
    return _OUTPUT(function)


def yes_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`-y`, given to the function as `yes`."""
    return _YES(function)


def limit_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`-l N`, given to the function as `limit`."""
    return _LIMIT(function)


def entrypoint_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`-e FILE:FLOW`, given to the function as `entrypoint`."""
    return _ENTRYPOINT(function)
