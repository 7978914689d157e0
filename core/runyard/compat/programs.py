"""Run programs that import prefect, like Python runs them, with Runyard under that name."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence
from types import ModuleType

from runyard.base.errors import EntrypointError
from runyard.compat import imports


def run_file(path: str, arguments: Sequence[str] = ()) -> None:
    """Run a Python file like `python FILE.py ARGS`; `import prefect` imports Runyard.

    Args:
        path: the file.
        arguments: the items of sys.argv after the file's name.

    Raises:
        EntrypointError: the file does not exist.
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
    sys.path[0] = os.path.dirname(path)  # instead of the program that runs it
    # A separate module, so that pickle and pydantic find the script's names under `__main__`.
    script = ModuleType("__main__")
    script.__file__ = path
    script.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = script
    # Without the future statements of this file, which would change the script's annotations.
    code = compile(source, path, "exec", dont_inherit=True)
    exec(code, script.__dict__)  # noqa: S102  # this function runs a script


def run_module(name: str, arguments: Sequence[str] = ()) -> None:
    """Run a module like `python -m MODULE ARGS`; `import prefect` imports Runyard: pytest, uvicorn, ...

    Args:
        name: the module or package; it may be in the current folder.
        arguments: the items of sys.argv after the module's name.

    Raises:
        EntrypointError: the module does not exist.
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
