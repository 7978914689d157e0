"""The service itself: is it there, which version, how large is its database."""

from __future__ import annotations

from typing import Any

from runyard import settings
from runyard.base.errors import InvalidInput
from runyard.compat.module_table import PREFECT_VERSION
from runyard.operations.operation import operation
from runyard.operations.schemas import Model
from runyard.settings import profiles
from runyard.store.database import Transaction

# The version of Prefect whose API this is; its clients refuse another major version.
API_VERSION = PREFECT_VERSION
# The groups of Prefect's settings.
_GROUPS = (
    "api", "cli", "client", "cloud", "deployments", "events", "experiments", "flows", "internal", "logging",
    "plugins", "results", "runner", "server", "tasks", "telemetry", "testing", "worker",
)  # fmt: skip


class ResultStorage(Model):
    """Where results are kept by default; null: in the home folder of whoever runs."""

    default_result_storage_block_id: str | None = None


@operation("GET", "/health")
def read_health(tx: Transaction) -> bool:
    """Whether the service answers."""
    return True


@operation("GET", "/ready")
def read_ready(tx: Transaction) -> dict[str, str]:
    """Whether the database answers."""
    tx.value("SELECT count(*) FROM locks")
    return {"message": "OK"}


@operation("GET", "/hello")
def read_hello(tx: Transaction) -> str:
    """A greeting."""
    return "👋"


@operation("GET", "/version")
def read_api_version(tx: Transaction) -> str:
    """The version of the API."""
    return API_VERSION


@operation("GET", "/admin/version")
def read_version(tx: Transaction) -> str:
    """The version of the API, where its clients ask first."""
    return API_VERSION


@operation("GET", "/csrf-token")
def read_csrf_token(tx: Transaction, client: str = "") -> None:
    """No token: requests are not protected that way.

    Raises:
        InvalidInput: always; it makes clients stop asking.
    """
    raise InvalidInput("CSRF protection is disabled.")


@operation("GET", "/admin/storage")
def read_result_storage(tx: Transaction) -> ResultStorage:
    """Where results are kept by default."""
    return ResultStorage()


@operation("GET", "/admin/settings")
def read_settings(tx: Transaction) -> dict[str, Any]:
    """The service's settings by name; those that hold secrets are masked.

    Those that Prefect has too are shown once more, in the groups in which its clients look for them.
    """
    values = {
        name: "********" if setting.secret and settings.get(name) else settings.get(name)
        for name, setting in settings.SETTINGS.items()
    }
    groups: dict[str, dict[str, Any]] = {group: {} for group in _GROUPS}
    for name, setting in settings.SETTINGS.items():
        for alias in filter(None, (setting.alias, *setting.also)):
            group, _, field = alias.removeprefix("PREFECT_").lower().partition("_")
            if group in groups:
                groups[group][field] = values[name]
    shown = {
        "profiles_path": profiles.path(),
        "debug_mode": values["debug"],
        "ui_url": values["ui_url"] or None,
    }
    return {**values, **groups, **shown, "silence_api_url_misconfiguration": False}
