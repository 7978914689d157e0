"""Which modules other processes find by their names."""

from __future__ import annotations

import sys
from functools import cache


@cache
def importable(module: str) -> bool:
    """Whether another process with our `sys.path` finds this module by its name.

    The script itself does not count, nor a file that was loaded under a name of its own.
    """
    from importlib.machinery import PathFinder

    loaded, places, name = sys.modules.get(module), None, ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        spec = PathFinder.find_spec(name, places)
        if spec is None:
            return False
        places = spec.submodule_search_locations
    return module != "__main__" and getattr(loaded, "__file__", None) in (None, spec.origin if spec else None)
