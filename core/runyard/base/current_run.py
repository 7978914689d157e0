"""The context variables of the current run. The engine sets them; every room may read them.

Their types are those of `runyard.engine.context`, which exports the same variables.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

# Contexts of the innermost flow run and of the innermost task run, or None.
current_flow: ContextVar[Any] = ContextVar("runyard_flow", default=None)
current_task: ContextVar[Any] = ContextVar("runyard_task", default=None)
