"""What scripts take from `prefect.context`: our contexts, by Prefect's names too, and the settings."""

from __future__ import annotations

from typing import Any, NamedTuple

from runyard import context, profiles, settings
from runyard.context import FlowRunContext, TaskRunContext
from runyard.prefect_names.settings import Settings

EngineContext = FlowRunContext
RunContext = FlowRunContext | TaskRunContext


class Profile(NamedTuple):
    """A profile: what it is called, and the settings it gives by the names of their variables."""

    name: str
    settings: dict[str, Any]


class SettingsContext(NamedTuple):
    """The settings as they are now, and the profile that is in use."""

    profile: Profile
    settings: Settings

    @classmethod
    def get(cls) -> SettingsContext:
        """Those of this process."""
        return get_settings_context()


def get_settings_context() -> SettingsContext:
    """The settings as they are now, and the profile that is in use."""
    name = settings.profile()
    return SettingsContext(Profile(name, dict(profiles.find(profiles.read(), name))), Settings())


def __getattr__(name: str) -> Any:
    return getattr(context, name)
