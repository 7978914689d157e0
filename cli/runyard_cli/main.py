"""The entry point: the root of the command tree, and what becomes of its errors."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from runyard_cli.shared import idle_settings
from runyard_cli.shared.click_classes import Group, debug_option, wants_tracebacks
from runyard_cli.tree import ALIASES, COMMANDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.shell_completion import CompletionItem

_INTERRUPTED = 130
_PIPE_CLOSED = 141  # 128 + SIGPIPE, as a program that does not catch the signal


# What people mend settings with, or look at when something is wrong: these report wrong ones themselves.
_MENDING = frozenset(("completion", "config", "doctor", "profile", "version"))


class Root(Group):
    """`runyard` itself: knows its commands from a table and imports the one that is called."""

    aliases = ALIASES

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names; first, wrong settings are refused."""
        found = super().resolve_command(ctx, args)
        if not ctx.resilient_parsing and not {"-h", "--help"} & set(args):
            from runyard import settings

            name = ALIASES.get(args[0], args[0])
            if name not in _MENDING:
                settings.check()
                idle_settings.tell(name, args[1:])
        return found

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands of the table, none of which is imported for it."""
        from click.shell_completion import CompletionItem

        names = [name for name in COMMANDS if name.startswith(incomplete)]
        items = [CompletionItem(name, help=COMMANDS[name].help) for name in names]
        return items or [CompletionItem(name) for name in ALIASES if name.startswith(incomplete)]

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of a name or of its plural."""
        entry = COMMANDS.get(ALIASES.get(name, name))
        if entry is None:
            return None
        command: click.Command = getattr(
            import_module(f"runyard_cli.commands.{entry.module}"), entry.attribute
        )
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by section, from the table alone."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, entry in COMMANDS.items():
            sections.setdefault(entry.section, []).append((name, entry.help))
        width = max(len(name) for name in COMMANDS)
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:{width}}", text) for name, text in rows])


def _show_version(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import version

        click.echo(version("runyard"))
        context.exit()


def _remember(variable: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    """Give an option to this process, and to those it starts, as a variable."""

    def callback(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value is not None and not context.resilient_parsing:
            os.environ[variable] = str(value).lower() if isinstance(value, bool) else value

    return callback


cli = Root(
    "runyard",
    help="Deployments, work pools and workers for Python workflows, on one file.",
    example="""runyard init
        runyard work-pool create default-agent-pool --type process
        runyard deploy --all
        runyard worker start --pool default-agent-pool""",
    params=[
        click.Option(
            ["-p", "--profile"],
            metavar="NAME",
            expose_value=False,
            callback=_remember("RUNYARD_PROFILE"),
            help="Use the settings of this profile.",
        ),
        click.Option(
            ["--prompt/--no-prompt"],
            default=None,
            expose_value=False,
            callback=_remember("RUNYARD_CLI_PROMPT"),
            help="Ask questions, or never ask; by default it asks on a terminal.",
        ),
        click.Option(
            ["-v", "--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help="Show the version and exit.",
        ),
    ],
)
cli.params[-1] = debug_option(hidden=False)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    Args:
        arguments: without the program's name; by default those of this process.

    Exit codes: 0 done, 1 an error, 2 wrong usage, 130 interrupted, 141 the reader of a pipe left; a few
    commands have more, see docs/exit-codes.md.
    """
    if "_RUNYARD_COMPLETE" in os.environ:
        from runyard_cli.commands.completion import answer

        sys.exit(answer(cli))
    from runyard.base.descriptors import open_standard

    open_standard()
    forget_settings()
    code = _run(sys.argv[1:] if arguments is None else arguments)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = _close_stdout()
    except OSError as error:
        _close_stdout()
        code = code or _cannot_write(error)
    sys.exit(code)


def forget_settings() -> None:
    """Read the files of settings again: they may have changed since this process last did."""
    settings = sys.modules.get("runyard.settings")
    if settings is not None:
        settings.reload()


def _run(arguments: list[str]) -> int:
    try:
        with cli.make_context("runyard", list(arguments)) as context:
            cli.invoke(context)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as error:
        _show(error)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort, EOFError):
        click.echo("Interrupted.", err=True)
        return _INTERRUPTED
    except BrokenPipeError:
        return _close_stdout()
    except Exception as error:
        return _report(error)
    return 0


def _show(error: click.ClickException) -> None:
    """Show the error of a command line; it may repeat a word of any size."""
    from runyard.base.errors import bounded

    vars(error)["message"] = bounded(error.message)
    error.show()


def _report(error: Exception) -> int:
    from runyard.base.errors import RunyardError, bounded
    from runyard.base.url_passwords import hidden

    from runyard_cli.shared.output import error_line

    known = isinstance(error, RunyardError)
    try:
        tracebacks = wants_tracebacks()
    except RunyardError:
        tracebacks = False
    if tracebacks:
        import traceback

        click.echo(hidden("".join(traceback.format_exception(error))), err=True, nl=False)
    if known or isinstance(error, OSError):
        error_line(bounded(hidden(str(error))) if not known else str(error))
    else:
        hint = "" if tracebacks else "; run it again with --debug to see where"
        error_line(f"this is a bug in Runyard: {type(error).__name__}: {_first_line(error)}{hint}")
    return 1


def _first_line(error: Exception) -> str:
    from runyard.base.errors import bounded
    from runyard.base.url_passwords import hidden

    lines: Any = str(error).strip().splitlines()
    return bounded(hidden(lines[0])) if lines else "no message"


def _cannot_write(error: OSError) -> int:
    """Standard output takes no more, as on a full disk."""
    try:
        click.echo(f"Error: cannot write the output: {error.strerror}", err=True)
    except OSError:
        pass  # standard error goes the same way
    return 1


def _close_stdout() -> int:
    # The reader of the output has gone: nothing more must be written, not even at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _PIPE_CLOSED


if __name__ == "__main__":
    main()
