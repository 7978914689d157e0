"""Loads flows whose code cannot be imported completely, as on a machine that only deploys.

A deployment stores a flow's name, its parameters and their types. Stand-ins replace missing packages while
the code is imported. If the import fails for another reason, such as an environment variable that only
workers have, the flow is read from the source. No file is executed twice.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.metadata import packages_distributions
from types import ModuleType
from typing import TYPE_CHECKING

from runyard.base.errors import EntrypointError
from runyard.base.suggestions import closest
from runyard.base.texts import listed
from runyard.compat import module_table
from runyard.deployments.loading import loading, source
from runyard.deployments.loading.stand_ins import Finder

if TYPE_CHECKING:
    from runyard.engine.flow_definition import FlowDefinition


class FlowLoader:
    """Loads the flows of one deploy, each file once, and remembers what was missing.

    Args:
        directory: the folder to which entrypoints are relative.
        modules: already loaded files.
    """

    def __init__(self, directory: str, modules: dict[str, ModuleType] | None = None) -> None:
        self._directory = directory
        self._modules: dict[str, ModuleType] = {} if modules is None else modules
        self._broken: dict[str, tuple[source.Source, str]] = {}
        self._missing: dict[str, list[str]] = {}
        self._causes: dict[str, list[str]] = {}
        # What each place lacks, for further flows from it.
        self._lacks: dict[str, list[str]] = {}

    def load(self, entrypoint: str, directory: str | None = None) -> FlowDefinition:
        """Load a flow.

        Args:
            entrypoint: the flow.
            directory: the folder to which this entrypoint is relative, if it is another.

        Raises:
            EntrypointError: the file or the name is missing, the code is not valid Python, or the object is
                not a flow.
        """
        found = loading.parse(entrypoint)
        place = found.file or found.module or ""
        folder = directory or self._directory
        finder = Finder(folder)
        sys.meta_path.append(finder)
        try:
            flow = self._load(entrypoint, place, found, folder)
        finally:
            sys.meta_path.remove(finder)
            finder.forget()
            self._lacks.setdefault(place, []).extend(finder.missing)
        for package in self._lacks[place]:
            self._missing.setdefault(package, []).append(entrypoint)
        return flow

    def _load(self, entrypoint: str, place: str, found: loading.Entrypoint, folder: str) -> FlowDefinition:
        if place not in self._broken:
            try:
                return loading.load_flow(entrypoint, folder, self._modules)
            except EntrypointError as error:
                read = source.after_failure(error, found, folder)
                if read is None:
                    raise
                self._broken[place] = read, source.describe(error, read)
        read, cause = self._broken[place]
        flow = read.flow(found.attribute)
        if flow is None:
            raise EntrypointError(f"{entrypoint}: flow {found.attribute!r} not found in {place}; and {cause}")
        self._causes.setdefault(cause, []).append(entrypoint)
        return flow

    def report(self, say: Callable[[str], None]) -> None:
        """Report what was missing: one line per cause, or per package."""
        missing = dict(self._missing)
        for package in self._missing:
            advice = module_table.advice(package) if module_table.is_integration(package) else None
            if advice:
                users = listed(missing.pop(package))
                say(f"{users}: {package} is not installed, and no run can use it: {advice}")
        if len({tuple(each) for each in missing.values()}) == 1:
            say(_lacking(", ".join(map(self._named, missing)), next(iter(missing.values()))))
        else:
            for package, entrypoints in missing.items():
                say(_lacking(self._named(package), entrypoints))
        for cause, entrypoints in self._causes.items():
            say(
                f"{listed(entrypoints)}: {cause}; deployed from the source code; types of parameters that "
                f"the "
                "import did not reach are not checked"
            )
        self._missing, self._causes = {}, {}

    def _named(self, package: str) -> str:
        """A missing package, with a suggestion."""
        if "." in package:
            return package
        own = {os.path.splitext(name)[0] for name in os.listdir(self._directory)}
        close = closest(package, own | set(packages_distributions()), cutoff=0.85)
        return f"{package} (did you mean {close}?)" if close else package


def load_flow(
    entrypoint: str, directory: str, modules: dict[str, ModuleType], say: Callable[[str], None]
) -> FlowDefinition:
    """Load one flow to deploy it; see `FlowLoader`."""
    loader = FlowLoader(directory, modules)
    flow = loader.load(entrypoint)
    loader.report(say)
    return flow


def _lacking(packages: str, entrypoints: list[str]) -> str:
    return (
        f"{listed(entrypoints)}: not installed here: {packages}; its runs need it, and parameters with "
        f"types "
        "from it are not checked"
    )
