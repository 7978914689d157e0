"""Settings: one table with names, types, defaults and help texts, and the sources of their values."""

from runyard.settings.names import (
    DEFAULT_PROFILE,
    FOLDER_FILES,
    PROFILE_VARIABLES,
    PROFILES_FILE,
    Given,
    name_of,
    variables,
)
from runyard.settings.reading import (
    check,
    database_url,
    get,
    given,
    home,
    parse,
    place_of,
    profile,
    reload,
    sqlite_url,
)
from runyard.settings.table import SETTINGS, Setting

__all__ = [
    "DEFAULT_PROFILE",
    "FOLDER_FILES",
    "PROFILES_FILE",
    "PROFILE_VARIABLES",
    "SETTINGS",
    "Given",
    "Setting",
    "check",
    "database_url",
    "get",
    "given",
    "home",
    "name_of",
    "parse",
    "place_of",
    "profile",
    "reload",
    "sqlite_url",
    "variables",
]
