"""What scripts take from `prefect.logging.configuration`: the loggers, as `dictConfig` takes them."""

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
# What `setup_logging` set up last in this process.
PROCESS_LOGGING_CONFIG: dict[str, Any] = {}


def load_logging_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A file of logging, as `logging.config.dictConfig` takes it.

    `${PREFECT_LOGGING_LEVEL}` in it is the setting; a variable `PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL`
    takes the place of `handlers: {console: {level: ...}}`.

    Raises:
        SettingError: it is missing, or not of YAML.
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
        raise SettingError(f"{path}: this is no file of logging: a mapping is wanted")
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
    """Set the loggers up, as any run does: handlers and level where they are missing.

    Args:
        incremental: accepted for compatibility; what the program configured itself always stays.

    Returns:
        What they are, as `load_logging_config` shows it.

    Raises:
        SettingError: the setting of the level is wrong.
    """
    ours.setup()
    PROCESS_LOGGING_CONFIG.clear()
    PROCESS_LOGGING_CONFIG.update(load_logging_config(DEFAULT_LOGGING_SETTINGS_PATH))
    return dict(PROCESS_LOGGING_CONFIG)


def ensure_logging_setup() -> None:
    """Set the loggers up, if they are not."""
    ours.setup()
