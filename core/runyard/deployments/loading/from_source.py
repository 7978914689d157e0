"""`Flow.from_source`: loading a flow from a repository or a folder, to be run, served or deployed."""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING, Any

from runyard.base.scratch import Scratch
from runyard.base.syncing import sync_compatible
from runyard.deployments.loading.loading import load_flow
from runyard.deployments.storage import storage_of

if TYPE_CHECKING:
    from runyard.engine.flow_definition import FlowDefinition


def flow_from_source(source: Any, entrypoint: str) -> FlowDefinition:
    """Load a flow from a source of code.

    Args:
        source: a git address, a folder, or a storage such as `GitRepository`.
        entrypoint: `path/file.py:function`, below the source.

    Returns:
        The flow, which knows where it came from: when it is served or deployed its runs get the code
        from there.

    Raises:
        RunyardError: the code cannot be got.
        EntrypointError: there is no such flow in it.
    """
    storage = storage_of(source)
    # Kept as long as this process: the flow may import more of its code when it runs.
    folder = Scratch()
    atexit.register(folder.remove)
    flow = load_flow(entrypoint, storage.pull_code(folder.path))
    flow.source = (storage, entrypoint)
    return flow


load = sync_compatible(flow_from_source)
