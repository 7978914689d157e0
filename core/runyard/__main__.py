"""`python -m runyard FILE.py ARGS` runs a script with `prefect` as Runyard; anything else is a command."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from types import ModuleType

from runyard.compat import imports
from runyard.errors import EntrypointError


def run_script(path: str, arguments: Sequence[str] = ()) -> None:
    """Run a Python file as `python FILE.py ARGS` would, `import prefect` giving Runyard.

    Args:
        path: the file.
        arguments: what it finds in sys.argv after its own name.

    Raises:
        EntrypointError: there is no such file.
        BaseException: whatever the script raises.
    """
    try:
        with open(path, "rb") as stream:
            source = stream.read()
    except OSError as error:
        raise EntrypointError(f"{path} cannot be read: {error.strerror}") from None
    imports.install()
    sys.argv = [path, *arguments]
    sys.path[0] = os.path.dirname(os.path.abspath(path))
    # A module of its own, so that pickle and pydantic find the script's names under `__main__`.
    script = ModuleType("__main__")
    script.__file__ = path
    script.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = script
    exec(compile(source, path, "exec"), script.__dict__)  # noqa: S102  # running it is the purpose


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the script that the first argument names, or else the command line."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0].endswith(".py"):
        try:
            run_script(arguments[0], arguments[1:])
        except EntrypointError as error:
            sys.exit(f"Error: {error}")
        except ImportError as error:
            hint = imports.explain(error)
            if hint:
                error.add_note(hint)
            raise
        return
    from importlib import import_module

    # By name: the library does not know the commands that stand above it.
    import_module("runyard_cli.main").main()


if __name__ == "__main__":
    main()
