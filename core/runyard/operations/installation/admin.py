"""The service itself: health, version and settings."""

from __future__ import annotations

from typing import Any

from runyard import settings
from runyard.base.errors import InvalidInput
from runyard.compat.module_table import PREFECT_VERSION
from runyard.operations.operation import operation
from runyard.operations.schemas import Model
from runyard.settings import profiles
from runyard.store.database import Transaction

# The version of Prefect's API that this API implements. Its clients reject another major version.
API_VERSION = PREFECT_VERSION
# The groups of Prefect's settings.
_GROUPS = (
    "api", "cli", "client", "cloud", "deployments", "events", "experiments", "flows", "internal", "logging",
    "plugins", "results", "runner", "server", "tasks", "telemetry", "testing", "worker",
)  # fmt: skip


class ResultStorage(Model):
    """Where results are stored by default; null: in the home folder of the user who runs the flow."""

    default_result_storage_block_id: str | None = None


@operation("GET", "/health")
def read_health(tx: Transaction) -> bool:
    """Check that the service responds."""
    return True


@operation("GET", "/ready")
def read_ready(tx: Transaction) -> dict[str, str]:
    """Check that the database responds."""
    tx.value("SELECT count(*) FROM locks")
    return {"message": "OK"}


@operation("GET", "/hello")
def read_hello(tx: Transaction) -> str:
    """Return a greeting."""
    return "👋"


@operation("GET", "/version")
def read_api_version(tx: Transaction) -> str:
    """Read the version of the API."""
    return API_VERSION


@operation("GET", "/admin/version")
def read_version(tx: Transaction) -> str:
    """Read the version of the API. Clients call this route first."""
    return API_VERSION


@operation("GET", "/csrf-token")
def read_csrf_token(tx: Transaction, client: str = "") -> None:
    """Return no token: the API does not use CSRF tokens.

    Raises:
        InvalidInput: always. Clients then stop requesting tokens.
    """
    raise InvalidInput("CSRF protection is disabled.")


@operation("GET", "/admin/storage")
def read_result_storage(tx: Transaction) -> ResultStorage:
    """Read where results are stored by default."""
    return ResultStorage()


@operation("GET", "/admin/settings")
def read_settings(tx: Transaction) -> dict[str, Any]:
    """Read the settings of the service by name. Secrets are masked.

    Settings that Prefect has too also appear in groups, as Prefect's clients expect them.
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
