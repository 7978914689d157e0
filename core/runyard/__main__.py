"""`python -m runyard FILE.py` or `-m MODULE` runs a program with `prefect` as Runyard; else a command."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from runyard.base.errors import ApiUnavailable, EntrypointError, SettingError, StoreError


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the script or module that the first arguments name, or else the command line."""
    arguments = sys.argv[1:] if arguments is None else arguments
    is_module = arguments[:1] == ["-m"]
    if not is_module and not (arguments and arguments[0].endswith(".py")):
        from importlib import import_module

        # By name: the library does not know the commands that stand above it.
        import_module("runyard_cli.main").main()
        return
    if arguments == ["-m"]:
        sys.exit("Error: -m wants the name of a module, as in: python -m runyard -m pytest tests/")
    # Only a program is run with these (19 ms); a command is not.
    from runyard.client import short_errors
    from runyard.compat import imports, programs

    run = programs.run_module if is_module else programs.run_file
    name, *rest = arguments[is_module:]
    try:
        run(name, rest)
    except EntrypointError as error:
        sys.exit(f"Error: {error}")
    except (ApiUnavailable, SettingError, StoreError) as error:
        # Where the records go is no matter of the program: its frames, and ours, say nothing about that.
        if short_errors.debugging():
            raise
        sys.exit(f"Error: {error}")
    except ImportError as error:
        hint = imports.explain(error)
        if hint:
            error.add_note(hint)
        raise


if __name__ == "__main__":
    main()
