"""The names of `prefect.logging.configuration` that scripts use: logging as a `dictConfig`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from runyard import settings
from runyard.base.errors import SettingError
from runyard.engine import logging as ours

__all__ = [
    "DEFAULT_LOGGING_SETTINGS_PATH",
    "PROCESS_LOGGING_CONFIG",
    "ensure_logging_setup",
    "load_logging_config",
    "setup_logging",
]

DEFAULT_LOGGING_SETTINGS_PATH = Path(__file__).with_name("logging.yml")
# The configuration of the last `setup_logging` in this process.
PROCESS_LOGGING_CONFIG: dict[str, Any] = {}


def load_logging_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a logging configuration file for `logging.config.dictConfig`.

    `${PREFECT_LOGGING_LEVEL}` in it is replaced by the setting; a variable such as
    `PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL` overrides `handlers: {console: {level: ...}}`.

    Raises:
        SettingError: it is missing, or not valid YAML.
    """
    level = settings.get("logging_level").upper()
    try:
        text = Path(path).read_text("utf-8")
        config = yaml.safe_load(text.replace("${PREFECT_LOGGING_LEVEL}", level))
    except OSError as error:
        raise SettingError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingError(f"{path}: {error}") from None
    if not isinstance(config, dict):
        raise SettingError(f"{path}: not a logging configuration: it must be a mapping")
    return _with_environment(config, "PREFECT_LOGGING")


def _with_environment(config: dict[str, Any], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}_{str(key).upper().replace('.', '_')}"
        if isinstance(value, dict):
            found[key] = _with_environment(value, name)
        elif isinstance(value, list):
            text = os.environ.get(name)
            found[key] = value if text is None else [part.strip() for part in text.split(",")]
        else:
            found[key] = os.environ.get(name, value)
    return found


def setup_logging(incremental: bool | None = None) -> dict[str, Any]:
    """Set up logging, as any run does: add missing handlers and levels.

    Args:
        incremental: accepted for compatibility; the program's own configuration always stays.

    Returns:
        The configuration, in the form of `load_logging_config`.

    Raises:
        SettingError: the level is invalid.
    """
    ours.setup()
    PROCESS_LOGGING_CONFIG.clear()
    PROCESS_LOGGING_CONFIG.update(load_logging_config(DEFAULT_LOGGING_SETTINGS_PATH))
    return dict(PROCESS_LOGGING_CONFIG)


def ensure_logging_setup() -> None:
    """Set the loggers up, if they are not."""
    ours.setup()
