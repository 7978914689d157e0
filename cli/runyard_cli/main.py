"""The entry point: the root of the command tree, and what becomes of its errors."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from typing import Annotated, Any, NoReturn

if "_RUNYARD_COMPLETE" in os.environ:
    gc.disable()  # a person waits for TAB, and the process is over before anything is to be collected

import typer

from runyard_cli.shared import closing, first_tries, idle_settings
from runyard_cli.shared.app import App, Group, Member, WrongUsage
from runyard_cli.shared.options import option
from runyard_cli.shared.output import colours, error_line, spell_out_unprintable, wants_tracebacks
from runyard_cli.tree import ALIASES, COMMANDS, Entry

_INTERRUPTED = 130
_PIPE_CLOSED = 141  # 128 + SIGPIPE, as a program that does not catch the signal


# What people mend settings with, or look at when something is wrong: these report wrong ones themselves.
_MENDING = frozenset(("completion", "config", "doctor", "profile", "version"))


class RootApp(App):
    """`runyard` itself: knows its commands from a table and imports the one that is called."""

    def members(self) -> dict[str, Member]:
        """The rows of the table."""
        return {
            name: Member(name, entry.help, partial(_import, entry), panel=entry.section)
            for name, entry in COMMANDS.items()
        }


def _import(entry: Entry) -> Any:
    app: App = getattr(import_module(f"runyard_cli.commands.{entry.module}"), entry.attribute)
    return app.build()


class Root(Group):
    """The group of all commands."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first argument names; first, wrong settings are refused."""
        if ctx.resilient_parsing and first_tries.wants_thing(args):
            return None, None, []  # the shell offers the groups, as at the beginning
        args = first_tries.rewritten(args, {*COMMANDS, *ALIASES})
        if not args:
            typer.echo(ctx.get_help())
            ctx.exit()
        if args[0] not in COMMANDS and (problem := first_tries.incomplete(args)):
            ctx.fail(problem)
        found = super().resolve_command(ctx, args)
        if not ctx.resilient_parsing and not {"-h", "--help"} & set(args):
            from runyard import settings

            name = ALIASES.get(args[0], args[0])
            if name not in _MENDING:
                settings.check()
                idle_settings.tell(name, args[1:])
        return found

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """The commands that begin so; other words for them only where they were begun."""
        found = super().shell_complete(ctx, incomplete)
        more = [word for word in first_tries.WORDS if incomplete and word.startswith(incomplete)]
        return [*found, *(SimpleNamespace(value=word, help=None, type="plain") for word in more)]


def _show_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(version("runyard"))
        raise typer.Exit


def _remember(variable: str) -> Callable[[typer.Context, Any], Any]:
    """Give an option to this process, and to those it starts, as a variable."""

    def callback(context: typer.Context, value: Any) -> Any:
        if value is not None and not context.resilient_parsing:
            os.environ[variable] = str(value).lower() if isinstance(value, bool) else value
        return value

    callback.__annotations__ = {"context": typer.Context, "value": Any}
    return callback


app = RootApp(
    "runyard",
    help="Deployments, work pools and workers for Python workflows, on one file.",
    example="""runyard init
        runyard work-pool create default-agent-pool --type process
        runyard deploy --all
        runyard worker start --pool default-agent-pool""",
    aliases=ALIASES,
    cls=Root,
)


@app.callback()
def _options(
    context: typer.Context,
    profile: Annotated[
        str | None,
        option(
            "-p",
            "--profile",
            metavar="NAME",
            callback=_remember("RUNYARD_PROFILE"),
            help="Use the settings of this profile.",
        ),
    ] = None,
    prompt: Annotated[
        bool | None,
        option(
            "--prompt/--no-prompt",
            callback=_remember("RUNYARD_CLI_PROMPT"),
            help="Ask questions, or never ask; by default it asks on a terminal.",
        ),
    ] = None,
    version: Annotated[
        bool,
        option("-v", "--version", is_eager=True, callback=_show_version, help="Show the version and exit."),
    ] = False,
    debug: Annotated[
        bool, option("--debug", help="Show tracebacks of errors; every command takes it.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None and not context.resilient_parsing:
        from runyard_cli.commands.status import bare

        bare()


cli = app.build()


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    Args:
        arguments: without the program's name; by default those of this process.

    Exit codes: 0 done, 1 an error, 2 wrong usage, 130 interrupted, 141 the reader of a pipe left; a few
    commands have more, see docs/exit-codes.md.
    """
    if "_RUNYARD_COMPLETE" in os.environ:
        from runyard_cli.shared.completers import answer

        _leave(answer(cli))
    from runyard.base.descriptors import open_standard

    open_standard()
    spell_out_unprintable()
    forget_settings()
    code = _run(_without_debug(sys.argv[1:] if arguments is None else list(arguments)))
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = _close_stdout()
    except OSError as error:
        _close_stdout()
        code = code or _cannot_write(error)
    _leave(code)


def _leave(code: int) -> NoReturn:
    """End the process, without a last collection of garbage where no code of a user was loaded.

    It takes a tenth of a short command.
    """
    if "runyard.engine" not in sys.modules:
        gc.freeze()
    sys.exit(code)


def forget_settings() -> None:
    """Read the files of settings again: they may have changed since this process last did."""
    settings = sys.modules.get("runyard.settings")
    if settings is not None:
        settings.reload()


def _without_debug(arguments: list[str]) -> list[str]:
    """Take `--debug` out of a command line, wherever it stands before a `--`."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    if "--debug" not in arguments[:end]:
        return arguments
    os.environ["RUNYARD_DEBUG"] = "1"
    return [each for each in arguments[:end] if each != "--debug"] + arguments[end:]


def _run(arguments: list[str]) -> int:
    try:
        with closing.at_end(), cli.make_context("runyard", arguments, color=colours()) as context:
            cli.invoke(context)
    except typer.Exit as ended:
        return ended.exit_code
    except typer.TyperException as error:
        _show(error)
        return error.exit_code
    except WrongUsage as error:
        error_line(str(error))
        return 2
    except (KeyboardInterrupt, typer.Abort, EOFError):
        typer.echo("Interrupted.", err=True)
        return _INTERRUPTED
    except BrokenPipeError:
        return _close_stdout()
    except Exception as error:
        return _report(error)
    return 0


def _show(error: typer.TyperException) -> None:
    """Show the error of a command line; it may repeat a word of any size."""
    from runyard.base.errors import bounded

    error.message = bounded(error.message)
    context = getattr(error, "ctx", None)
    if context is not None:
        usage = context.get_usage()
        typer.echo(f"{usage}\nTry '{context.command_path} -h' for help.\n", err=True)
    error_line(error.format_message())


def _report(error: Exception) -> int:
    from runyard.base.errors import RunyardError, bounded
    from runyard.base.url_passwords import hidden

    known = isinstance(error, RunyardError)
    try:
        tracebacks = wants_tracebacks()
    except RunyardError:
        tracebacks = False
    if tracebacks:
        import traceback

        typer.echo(hidden("".join(traceback.format_exception(error))), err=True, nl=False)
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
        typer.echo(f"Error: cannot write the output: {error.strerror}", err=True)
    except OSError:
        pass  # standard error goes the same way
    return 1


def _close_stdout() -> int:
    # The reader of the output has gone: nothing more must be written, not even at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _PIPE_CLOSED


if __name__ == "__main__":
    main()
