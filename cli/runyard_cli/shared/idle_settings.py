"""Variables of Prefect in the environment that do nothing here: told once, where something is started."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# None of these can show JSON.
_STARTING = frozenset((("worker", "start"), ("server", "start"), ("flow", "serve"), ("task", "serve")))
_SHOWN = 5


def tell(command: str, arguments: Sequence[str]) -> None:
    """Say on standard error which variables do nothing, if the command starts work and is for people.

    Args:
        command: the first word after the program's name, in full.
        arguments: what follows.

    Raises:
        SettingError: the setting that silences it has a wrong value.
    """
    starts = command == "run" or (command, *arguments[:1]) in _STARTING
    if not starts:
        return
    names = [name for name in os.environ if name.startswith("PREFECT_")]
    if not names:
        return
    from runyard import settings
    from runyard.compat.settings_names import is_without_effect

    idle = sorted(name for name in names if settings.name_of(name) is None and is_without_effect(name))
    if not idle or not settings.get("warn_idle_settings"):
        return
    from runyard_cli.shared.output import progress

    more = f" and {len(idle) - _SHOWN} more" if len(idle) > _SHOWN else ""
    what = "is a setting of Prefect that does" if len(idle) == 1 else "are settings of Prefect that do"
    progress(
        f"Warning: {', '.join(idle[:_SHOWN])}{more} {what} nothing here; "
        "RUNYARD_WARN_IDLE_SETTINGS=false hides this line."
    )
