"""Programs that say `import prefect`, run as Python runs them, with Runyard in its place."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence
from types import ModuleType

from runyard.base.errors import EntrypointError
from runyard.compat import imports


def run_file(path: str, arguments: Sequence[str] = ()) -> None:
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
    except FileNotFoundError:
        raise EntrypointError(f"file {path} not found") from None
    except OSError as error:
        raise EntrypointError(f"{path} cannot be read: {error.strerror}") from None
    imports.install()
    sys.argv = [path, *arguments]
    path = os.path.abspath(path)
    sys.path[0] = os.path.dirname(path)  # in place of the program that runs it
    # A module of its own, so that pickle and pydantic find the script's names under `__main__`.
    script = ModuleType("__main__")
    script.__file__ = path
    script.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = script
    # Only with the future statements of the script itself: this file's would make texts of its annotations.
    code = compile(source, path, "exec", dont_inherit=True)
    exec(code, script.__dict__)  # noqa: S102  # running it is the purpose


def run_module(name: str, arguments: Sequence[str] = ()) -> None:
    """Run a module as `python -m MODULE ARGS` would, `import prefect` giving Runyard: pytest, uvicorn, ...

    Args:
        name: the module or package, importable from the current folder too.
        arguments: what it finds in sys.argv after its own name.

    Raises:
        EntrypointError: there is no such module.
        BaseException: whatever the module raises.
    """
    imports.install()
    sys.argv = [name, *arguments]
    sys.path[0] = os.getcwd()
    if not _can_run(name):
        raise EntrypointError(f"module {name} not found in this Python or in {os.getcwd()}")
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _can_run(name: str) -> bool:
    from importlib.util import find_spec

    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False
