"""Which run the calling code is in: the variables that the engine sets and every room may ask.

Their types are those of `runyard.engine.context`, which gives the same variables to the engine.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

# Contexts of the innermost flow run and of the innermost task run, or None.
current_flow: ContextVar[Any] = ContextVar("runyard_flow", default=None)
current_task: ContextVar[Any] = ContextVar("runyard_task", default=None)
