"""The options of `@flow` and `@task` with their types, only for editors and type checkers.

`runyard.sdk.flows.Flow` and `runyard.sdk.tasks.Task` describe them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from runyard.engine.task_runners import TaskRunner

Hooks = Iterable[Callable[..., Any]] | None


class CommonOptions(TypedDict, total=False):
    """Options of both decorators."""

    name: str | None
    version: str | None
    retries: int | None
    description: str | None
    timeout_seconds: float | None
    persist_result: bool | None
    result_storage: Any
    result_serializer: Any
    cache_result_in_memory: bool
    log_prints: bool | None
    on_completion: Hooks
    on_failure: Hooks
    on_running: Hooks


class FlowOptions(CommonOptions, total=False):
    """Options of `@flow`."""

    flow_run_name: str | Callable[[], str] | None
    retry_delay_seconds: float | list[float] | None
    task_runner: TaskRunner | type[TaskRunner] | None
    validate_parameters: bool
    on_cancellation: Hooks
    on_crashed: Hooks


class TaskOptions(CommonOptions, total=False):
    """Options of `@task`."""

    tags: Iterable[str] | None
    cache_policy: Any
    cache_key_fn: Callable[..., str | None] | None
    cache_expiration: timedelta | None
    task_run_name: str | Callable[..., str] | None
    retry_delay_seconds: float | list[float] | Callable[[int], list[float]] | None
    retry_jitter_factor: float | None
    result_storage_key: str | None
    refresh_cache: bool | None
    on_rollback: Hooks
    on_commit: Hooks
    retry_condition_fn: Callable[..., bool] | None
    viz_return_value: Any
    asset_deps: Any
