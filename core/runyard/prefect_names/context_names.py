"""The names of `prefect.context` that scripts use: our contexts, and the settings."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from runyard.engine import context
from runyard.engine.carried import packed, unpacked, with_context
from runyard.engine.context import (
    FlowRunContext,
    TaskRunContext,
    current_flow,
    current_tags,
    current_task,
)
from runyard.prefect_names.profile_names import Profile, load_current_profile, use_profile
from runyard.prefect_names.setting_names import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Profile", "use_profile", "with_context"]

EngineContext = FlowRunContext
RunContext = FlowRunContext | TaskRunContext


class SettingsContext(NamedTuple):
    """The current settings and the active profile."""

    profile: Profile
    settings: Settings

    @classmethod
    def get(cls) -> SettingsContext:
        """The current settings and profile of this process."""
        return get_settings_context()


def get_settings_context() -> SettingsContext:
    """The current settings and the active profile."""
    return SettingsContext(load_current_profile(), Settings())


def serialize_context(asset_ctx_kwargs: Any = None) -> dict[str, Any]:
    """The current runs, for `hydrated_context` in another process."""
    return {"runs": packed()}


@contextmanager
def hydrated_context(serialized_context: dict[str, Any] | None = None, client: Any = None) -> Iterator[None]:
    """Context manager: make the runs from `serialize_context` the current ones."""
    if not serialized_context:
        yield
        return
    before = current_flow.get(), current_task.get(), current_tags.get()
    try:
        with unpacked(serialized_context["runs"]):
            yield
    finally:
        current_flow.set(before[0])
        current_task.set(before[1])
        current_tags.set(before[2])


def __getattr__(name: str) -> Any:
    return getattr(context, name)
