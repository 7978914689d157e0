"""Environment variables that override attributes of runs: `PREFECT__RUNTIME__FLOW_RUN__NAME`."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any

from runyard import settings
from runyard.base import clock


def attribute(kind: str, name: str, real: Any, known: tuple[str, ...]) -> Any:
    """An attribute of one of the modules.

    Args:
        kind: `flow_run`, `task_run` or `deployment`.
        name: the attribute.
        real: a function without arguments that returns the real value.
        known: the attributes of the module.

    Raises:
        AttributeError: the module does not have the attribute.
        ValueError: a text cannot override values of this type.
    """
    text = _environment(f"__RUNTIME__{kind.upper()}__{name.upper()}")
    if name not in known:
        if text is not None and not name.startswith("__"):
            return text
        raise AttributeError(f"runtime.{kind} has no attribute {name!r}; it has {', '.join(known)}")
    return real() if text is None else _like(real(), text)


def _environment(name: str) -> str | None:
    own = os.environ.get(f"RUNYARD{name}")
    return own if own is not None else os.environ.get(f"PREFECT{name}")


def _like(value: Any, text: str) -> Any:
    """The text, converted to the type of the value."""
    if value is None or isinstance(value, str):
        return text
    if isinstance(value, bool):
        return text.lower() == "true"
    if isinstance(value, (int, float)):
        return type(value)(text)
    if isinstance(value, datetime):
        moment = datetime.fromisoformat(text)
        return clock.as_utc(moment)
    raise ValueError(
        "This runtime context attribute cannot be mocked using an environment variable. "
        "Please use monkeypatch instead."
    )


def api_url(path: str, run_id: str | None) -> str | None:
    """The URL of a run in the API; None without an API or a run."""
    base = settings.get("api_url").rstrip("/")
    return f"{base}/{path}/{run_id}" if base and run_id else None


def ui_url(path: str, run_id: str | None) -> str | None:
    """The URL of a run in the UI; None without a server or a run."""
    base = settings.get("ui_url").rstrip("/") or settings.get("api_url").rstrip("/").removesuffix("/api")
    return f"{base}/{path}/{run_id}" if base and run_id else None
