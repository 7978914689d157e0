"""The module `prefect` in Python processes that our programs start: Runyard, or the installed Prefect.

Its folder is in the PYTHONPATH of those processes. They may use another Python, without Runyard.
"""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec


def _spec():  # type: ignore[no-untyped-def]  # any Python 3 reads it, also without `typing`
    folder = os.path.dirname(os.path.abspath(__file__))
    others = [place for place in sys.path if os.path.abspath(place) != folder]
    try:
        from runyard.compat import imports
    except ImportError:
        return PathFinder.find_spec("prefect", others)
    if imports.install():
        return imports.Finder().find_spec("prefect")
    return PathFinder.find_spec("prefect", others)


def _load():  # type: ignore[no-untyped-def]  # as above
    spec = _spec()
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError("No module named 'prefect'", name="prefect")
    sys.modules["prefect"] = module = module_from_spec(spec)
    spec.loader.exec_module(module)


_load()
