"""Shows uncaught errors of the store, the API or the settings in one line, without a traceback."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from runyard import settings
from runyard.base.errors import ApiUnavailable, SettingError, StoreError

if TYPE_CHECKING:
    from types import TracebackType


def install() -> None:
    """Install the exception hook; a program's own hook stays."""
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _show


def _show(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    # A traceback does not help with a setting or a disk.
    if isinstance(error, (ApiUnavailable, SettingError, StoreError)) and not debugging():
        print(f"Error: {error}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


def debugging() -> bool:
    """Whether the setting `debug` is on; False if its value is invalid."""
    try:
        return bool(settings.get("debug"))
    except SettingError:
        return False
