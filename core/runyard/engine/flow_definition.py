"""A flow as the engine knows it: a function and its options. `runyard.sdk.flows` adds the public methods."""

from __future__ import annotations

from runyard.engine import option_checks
from runyard.engine.runnable import P, R, Runnable, documentation, function_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Self

    from runyard.engine.runnable import RunsTasks


class FlowDefinition(Runnable[P, R]):
    """The function, name and options of a flow, as `runyard.sdk.flows.Flow` describes them."""

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str | None = None,
        version: str | None = None,
        flow_run_name: str | Callable[[], str] | None = None,
        retries: int | None = None,
        retry_delay_seconds: float | list[float] | None = None,
        task_runner: RunsTasks | type[RunsTasks] | None = None,
        description: str | None = None,
        timeout_seconds: float | None = None,
        validate_parameters: bool = True,
        persist_result: bool | None = None,
        result_storage: Any = None,
        result_serializer: Any = None,
        cache_result_in_memory: bool = True,
        log_prints: bool | None = None,
        on_completion: Iterable[Callable[..., Any]] | None = None,
        on_failure: Iterable[Callable[..., Any]] | None = None,
        on_cancellation: Iterable[Callable[..., Any]] | None = None,
        on_crashed: Iterable[Callable[..., Any]] | None = None,
        on_running: Iterable[Callable[..., Any]] | None = None,
    ) -> None:
        # All options as they were given: `with_options` and pickles make the same again from them.
        options = {key: value for key, value in locals().items() if key not in ("self", "fn", "__class__")}
        name = option_checks.flow_name(name or function_name(fn).strip("<>").replace("_", "-"))
        super().__init__(fn, name, options)
        self.version = option_checks.version(version)
        self.flow_run_name = option_checks.run_name("flow_run_name", flow_run_name)
        self.retries = option_checks.retries(retries)
        self.retry_delay_seconds = option_checks.delays(retry_delay_seconds)
        self.task_runner = option_checks.runner(task_runner)
        self.description = option_checks.text("description", description) or documentation(fn)
        self.timeout_seconds = option_checks.timeout(timeout_seconds)
        self.should_validate_parameters = option_checks.flag("validate_parameters", validate_parameters)
        if persist_result is None and (result_storage is not None or result_serializer is not None):
            persist_result = True
        self.persist_result = option_checks.flag("persist_result", persist_result)
        self.result_storage = option_checks.storage(result_storage)
        self.result_serializer = option_checks.serializer(result_serializer)
        self.cache_result_in_memory = option_checks.flag("cache_result_in_memory", cache_result_in_memory)
        self.log_prints = option_checks.flag("log_prints", log_prints)
        self.on_completion_hooks = option_checks.hooks("on_completion", on_completion)
        self.on_failure_hooks = option_checks.hooks("on_failure", on_failure)
        self.on_cancellation_hooks = option_checks.hooks("on_cancellation", on_cancellation)
        self.on_crashed_hooks = option_checks.hooks("on_crashed", on_crashed)
        self.on_running_hooks = option_checks.hooks("on_running", on_running)
        # The storage and the entrypoint, if `from_source` loaded the flow.
        self.source: tuple[Any, str] | None = None

    def with_options(self, **options: Any) -> Self:
        """A copy of the flow with the given options changed."""
        copy = super().with_options(**options)
        copy.source = self.source
        return copy

    def __repr__(self) -> str:
        return f"<flow {self.name!r}>"
