"""The names of `prefect.utilities.urls` that scripts use."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import Any, Literal
from urllib.parse import urlsplit

from runyard import settings
from runyard.blocks.core import Block

__all__ = ["convert_class_to_name", "url_for", "validate_restricted_url"]

# Kind -> its path in the UI, and in the API; None if it has none.
_PATHS: dict[str, tuple[str | None, str]] = {
    "flow": ("flows/flow", "flows"),
    "flow-run": ("runs/flow-run", "flow_runs"),
    "task-run": ("runs/task-run", "task_runs"),
    "deployment": ("deployments/deployment", "deployments"),
    "work-pool": ("work-pools/work-pool", "work_pools"),
    "work-queue": ("work-queues/work-queue", "work_queues"),
    "block": ("blocks/block", "blocks"),
    "variable": (None, "variables/name"),
    "artifact": (None, "artifacts"),
    "concurrency-limit": ("concurrency-limits/concurrency-limit", "concurrency_limits"),
}
# Classes whose names differ from their kinds.
_KINDS = {
    "task-future": "task-run",
    "background-future": "task-run",
    "block-document": "block",
    "deployment-response": "deployment",
    "flow-run-response": "flow-run",
}
_BY_NAME = ("work-pool", "variable")


def convert_class_to_name(obj: Any) -> str:
    """The kind of an object, such as `flow-run`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", type(obj).__name__).lower()


def url_for(
    obj: Any,
    obj_id: Any = None,
    url_type: Literal["ui", "api"] = "ui",
    default_base_url: str | None = None,
    **additional_format_kwargs: Any,
) -> str | None:
    """The URL of an object for people or programs; None without a server or such a page.

    Args:
        obj: an object of the API, a block class, a future, or a kind such as `flow-run`.
        obj_id: the id, for a kind; a pool's and a variable's is its name.
        url_type: `ui` for people, `api` for programs.
        default_base_url: the server's URL if no setting has it.

    Raises:
        ValueError: the kind of URL is unknown.
    """
    if url_type not in ("ui", "api"):
        raise ValueError(f"unknown kind of URL {url_type!r}; use ui or api")
    kind = obj.replace("_", "-") if isinstance(obj, str) else _kind_of(obj)
    place = _PATHS.get(kind, (None, None))[url_type == "api"]
    base = _base(url_type) or (default_base_url or "").rstrip("/")
    if obj_id is None and not isinstance(obj, str):
        obj_id = _id_of(obj, kind)
    return f"{base}/{place}/{obj_id}" if place and base and obj_id is not None else None


def _kind_of(obj: Any) -> str:
    name = convert_class_to_name(obj)
    return "block" if isinstance(obj, Block) else _KINDS.get(name, name)


def _id_of(obj: Any, kind: str) -> Any:
    if kind in _BY_NAME:
        return getattr(obj, "name", None)
    for name in ("task_run_id", "id", "_block_document_id"):
        if (found := getattr(obj, name, None)) is not None:
            return found
    return None


def _base(url_type: str) -> str:
    api = str(settings.get("api_url")).rstrip("/")
    return api if url_type == "api" else str(settings.get("ui_url")).rstrip("/") or api.removesuffix("/api")


def validate_restricted_url(url: str) -> None:
    """Refuse a URL that leads to this machine or into its network.

    Raises:
        ValueError: it does, or it is not http or https.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is not an http or https URL")
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 0, type=socket.SOCK_STREAM)
    except OSError:
        raise ValueError(f"the host of {url!r} was not found") from None
    for *_, address in found:
        if not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_global:
            raise ValueError(f"{url!r} leads to the private address {address[0]}")
