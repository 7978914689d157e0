"""For Pythons whose clock libfaketime sets: there `time.sleep` fails now and then ("Invalid argument")."""

from __future__ import annotations

import select
import time


def _sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


time.sleep = _sleep
