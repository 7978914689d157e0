"""Flows that no other process can import, such as those defined inside functions; `serve` passes them on."""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runyard.base.errors import EntrypointError
from runyard.base.scratch import Scratch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


# The folder in which a serving process stores its flows; its runs inherit the variable.
_VARIABLE = "RUNYARD__SERVED_FLOWS"
_MARK = "<locals>"


def is_local(entrypoint: str) -> bool:
    """Whether an entrypoint names a flow inside a function."""
    return _MARK in entrypoint


@contextmanager
def handed_on(flows: Mapping[str, Any]) -> Iterator[None]:
    """A block in which the runs of some deployments can load their local flows.

    Args:
        flows: the flows of the deployments by their entrypoints.

    Raises:
        EntrypointError: a flow cannot be pickled.
    """
    local = {entrypoint: flow for entrypoint, flow in flows.items() if is_local(entrypoint)}
    if not local:
        yield
        return
    folder = Scratch()  # only for this user
    before = os.environ.get(_VARIABLE)
    try:
        for entrypoint, flow in local.items():
            _write(os.path.join(folder.path, _file_of(entrypoint)), flow)
        os.environ[_VARIABLE] = folder.path
        yield
    finally:
        if before is None:
            os.environ.pop(_VARIABLE, None)
        else:
            os.environ[_VARIABLE] = before
        folder.remove()


def load(entrypoint: str) -> Any:
    """The flow that the serving process passed to this run.

    Raises:
        EntrypointError: this process is not one of its runs.
    """
    import pickle

    folder = os.environ.get(_VARIABLE)
    try:
        with open(os.path.join(folder or "", _file_of(entrypoint)), "rb") as file:
            return pickle.load(file)  # noqa: S301  # written by the serving process, only for its runs
    except FileNotFoundError:
        raise EntrypointError(
            f"the flow at {entrypoint} is defined inside a function: only the process that serves it runs it"
        ) from None


def _write(path: str, flow: Any) -> None:
    import cloudpickle

    module = sys.modules.get(flow.__module__)
    if module is not None and module.__name__.startswith("_runyard_"):
        cloudpickle.register_pickle_by_value(module)  # loaded from a file, under a name of ours
    try:
        data = cloudpickle.dumps(flow)
    except Exception as error:
        raise EntrypointError(
            f"flow {flow.name!r} is defined inside a function and cannot be handed to its runs: {error}"
        ) from error
    with open(path, "wb") as file:
        file.write(data)


def _file_of(entrypoint: str) -> str:
    return hashlib.sha256(entrypoint.encode()).hexdigest()
