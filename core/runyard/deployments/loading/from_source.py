"""`Flow.from_source`: loads a flow from a repository or a folder, to run, serve or deploy it."""

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
        source: a git URL, a folder, or a storage such as `GitRepository`.
        entrypoint: `path/file.py:function`, below the source.

    Returns:
        The flow. It remembers its source: when it is served or deployed, its runs fetch the code from there.

    Raises:
        RunyardError: the code cannot be fetched.
        EntrypointError: the source does not contain the flow.
    """
    storage = storage_of(source)
    # Kept until this process ends: the flow may import more of its code when it runs.
    folder = Scratch()
    atexit.register(folder.remove)
    flow = load_flow(entrypoint, storage.pull_code(folder.path))
    flow.source = (storage, entrypoint)
    return flow


load = sync_compatible(flow_from_source)
