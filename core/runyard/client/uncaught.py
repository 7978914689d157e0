"""How a script ends that cannot write its records, or has wrong settings: with one line, not with frames."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from runyard import settings
from runyard.base.errors import ApiUnavailable, SettingError, StoreError

if TYPE_CHECKING:
    from types import TracebackType


def install() -> None:
    """Have such errors shown in one line where nothing catches them; a program's own hook stays."""
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _show


def _show(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    # Neither the frames of the program nor ours say anything about a setting or a disk.
    if isinstance(error, (ApiUnavailable, SettingError, StoreError)) and not debugging():
        print(f"Error: {error}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


def debugging() -> bool:
    """Whether the setting `debug` is on; not where it is wrong itself."""
    try:
        return bool(settings.get("debug"))
    except SettingError:
        return False
