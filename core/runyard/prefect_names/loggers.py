"""The names of `prefect.logging.loggers` that scripts use: our loggers, and `print` into them."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runyard.engine import logging as ours
from runyard.engine.logging import RunLogger, prints
from runyard.engine.logging.prints import print_as_log

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PrefectLogAdapter", "disable_logger", "get_worker_logger", "patch_print", "print_as_log"]

PrefectLogAdapter = RunLogger


@contextmanager
def patch_print() -> Iterator[None]:
    """Context manager: `print` writes to the logs of runs with `log_prints`."""
    prints.install()
    try:
        yield
    finally:
        prints.uninstall()


@contextmanager
def disable_logger(name: str) -> Iterator[None]:
    """Context manager: disable a logger."""
    logger = logging.getLogger(name)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def get_worker_logger(worker: Any, name: str | None = None) -> logging.Logger:
    """The logger of a worker, a child of its type's logger."""
    return ours.get_logger(f"workers.{worker.type}.{(name or worker.name).lower()}")


def __getattr__(name: str) -> Any:
    return getattr(ours, name)
