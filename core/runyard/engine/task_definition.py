"""A task as the engine knows it: a function and its options. `runyard.sdk.tasks` adds the public methods."""

from __future__ import annotations

from runyard.engine import option_checks
from runyard.engine.runnable import P, R, Runnable, documentation, function_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import timedelta
    from typing import Any


class TaskDefinition(Runnable[P, R]):
    """The function, name and options of a task, as `runyard.sdk.tasks.Task` describes them."""

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str | None = None,
        description: str | None = None,
        tags: Iterable[str] | None = None,
        version: str | None = None,
        cache_policy: Any = None,
        cache_key_fn: Callable[..., str | None] | None = None,
        cache_expiration: timedelta | None = None,
        task_run_name: str | Callable[..., str] | None = None,
        retries: int | None = None,
        retry_delay_seconds: float | list[float] | Callable[[int], list[float]] | None = None,
        retry_jitter_factor: float | None = None,
        persist_result: bool | None = None,
        result_storage: Any = None,
        result_storage_key: str | None = None,
        result_serializer: Any = None,
        cache_result_in_memory: bool = True,
        timeout_seconds: float | None = None,
        log_prints: bool | None = None,
        refresh_cache: bool | None = None,
        on_completion: Iterable[Callable[..., Any]] | None = None,
        on_failure: Iterable[Callable[..., Any]] | None = None,
        on_running: Iterable[Callable[..., Any]] | None = None,
        on_rollback: Iterable[Callable[..., Any]] | None = None,
        on_commit: Iterable[Callable[..., Any]] | None = None,
        retry_condition_fn: Callable[..., bool] | None = None,
        viz_return_value: Any = None,
        asset_deps: Any = None,
    ) -> None:
        # The original arguments: `with_options` and pickles create copies from them.
        options = {key: value for key, value in locals().items() if key not in ("self", "fn", "__class__")}
        super().__init__(fn, option_checks.task_name(name or function_name(fn)), options)
        self.description = option_checks.text("description", description) or documentation(fn)
        self.tags = option_checks.tags(tags)
        self.version = option_checks.version(version)
        self.task_run_name = option_checks.run_name("task_run_name", task_run_name)
        self.retries = option_checks.retries(retries)
        if callable(retry_delay_seconds):
            retry_delay_seconds = retry_delay_seconds(self.retries or 0)
        self.retry_delay_seconds = option_checks.delays(retry_delay_seconds)
        self.retry_jitter_factor = option_checks.jitter(retry_jitter_factor)
        self.retry_condition_fn = option_checks.function("retry_condition_fn", retry_condition_fn)
        self.timeout_seconds = option_checks.timeout(timeout_seconds)
        self.log_prints = option_checks.flag("log_prints", log_prints)
        if persist_result is None and (
            cache_key_fn is not None
            or result_storage is not None
            or result_storage_key is not None
            or result_serializer is not None
            or (cache_policy is not None and getattr(cache_policy, "makes_keys", True))
        ):
            persist_result = True
        self.cache_policy = option_checks.policy(cache_policy)
        self.cache_key_fn = option_checks.function("cache_key_fn", cache_key_fn)
        self.cache_expiration = option_checks.expiration(cache_expiration)
        self.refresh_cache = option_checks.flag("refresh_cache", refresh_cache)
        self.persist_result = option_checks.flag("persist_result", persist_result)
        self.result_storage = option_checks.storage(result_storage)
        self.result_storage_key = option_checks.text("result_storage_key", result_storage_key)
        self.result_serializer = option_checks.serializer(result_serializer)
        self.cache_result_in_memory = option_checks.flag("cache_result_in_memory", cache_result_in_memory)
        self.on_rollback_hooks = option_checks.hooks("on_rollback", on_rollback)
        self.on_commit_hooks = option_checks.hooks("on_commit", on_commit)
        self.on_completion_hooks = option_checks.hooks("on_completion", on_completion)
        self.on_failure_hooks = option_checks.hooks("on_failure", on_failure)
        self.on_running_hooks = option_checks.hooks("on_running", on_running)
        self.viz_return_value = viz_return_value
        self.asset_deps = asset_deps
        self._key: str | None = None

    @property
    def task_key(self) -> str:
        """Identifies this task in a flow: its qualified name and a digest of its code."""
        if self._key is None:
            import zlib

            code = getattr(self.fn, "__code__", None)
            digest = zlib.crc32(code.co_code if code is not None else b"")
            self._key = f"{self.__qualname__ or self.name}-{digest:08x}"
        return self._key

    def __repr__(self) -> str:
        return f"<task {self.name!r}>"
