"""Whether other processes can import a module by its name."""

from __future__ import annotations

import sys
from functools import cache


@cache
def importable(module: str) -> bool:
    """Whether another process with the same `sys.path` can import this module.

    False for the script itself (`__main__`) and for a file that was loaded under a different name.
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
