"""Tasks: the `@task` decorator and what it makes."""

from __future__ import annotations

from runyard.engine.runnable import P, R
from runyard.engine.task_definition import TaskDefinition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar, Unpack, overload

    from runyard.engine.background.background_submit import BackgroundFuture
    from runyard.engine.futures import FutureList, TaskFuture
    from runyard.engine.task_runners import TaskRunner
    from runyard.sdk.calls import TaskCalls as Base
    from runyard.sdk.decorator_options import TaskOptions

    S = TypeVar("S")
else:
    Base = TaskDefinition

# Imported inside functions, since every script imports this: the engine (45 ms), background tasks and serving
# (65 ms), hashing (20 ms).


class Task(Base[P, R]):
    """A function whose runs are recorded inside a flow run; calling it runs it.

    Args:
        fn: the function, sync or async.
        name: by default the function's name.
        description: for people; by default the docstring.
        tags: labels of each run.
        version: free text, kept with each run.
        task_run_name: a template over the parameters, or a function that gives a name.
        retries: how often a failed run is tried again; by default the setting.
        retry_delay_seconds: the wait before each retry: a number, a list of them, or a function of
            `retries` that gives the list.
        retry_jitter_factor: how much longer a wait may randomly be, as a share of it.
        retry_condition_fn: a function of (task, task_run, state): whether to retry at all.
        timeout_seconds: how long a run may take before it fails as TimedOut.
        log_prints: whether `print` goes to the run's log; None: as the flow.
        cache_policy: what a cache key is made of, see `runyard.engine.cache_policies`; by default the
            arguments, the source and the flow run.
        cache_key_fn: a function that gives the cache key, of as many of (context, parameters) as it
            takes; None from it: do not cache.
        cache_expiration: how long a kept result counts.
        refresh_cache: whether to run anyway, and keep the new result; by default the setting.
        persist_result: whether the result is kept, so that neither a resumed run nor, by its key,
            another one runs the task again; by default as the flow, and true where any of the
            options about results and caching is given.
        result_storage, result_serializer: where and how, see `runyard.results.ResultStore`.
        result_storage_key: a template of the key, such as `"{parameters[day]}.json"`.
        cache_result_in_memory: accepted; a result stays in memory as long as its future or state.
        on_completion, on_failure, on_running: lists of functions of (task, task_run, state).
        on_rollback, on_commit: lists of functions of (transaction), see `runyard.engine.transactions`.
        viz_return_value, asset_deps: accepted for compatibility; they concern drawings and assets.
    """

    if not TYPE_CHECKING:  # checkers read `engine.calls`

        def __call__(
            self, *args: Any, return_state: bool = False, wait_for: Iterable[Any] | None = None, **kwargs: Any
        ) -> Any:
            """Run the task here and now.

            Args:
                return_state: give the final State instead of the value; nothing is raised then.
                wait_for: futures that must be done before.

            Returns:
                What the function returned; for an async task an awaitable of it.
            """
            from runyard.engine.run import call_task

            return call_task(self, args, kwargs, return_state, wait_for)

        def submit(
            self, *args: Any, return_state: bool = False, wait_for: Iterable[Any] | None = None, **kwargs: Any
        ) -> Any:
            """Start the task on the flow's task runner and go on.

            Returns:
                Its future; with `return_state` the final State, waited for.
            """
            from runyard.engine.submit import submit_task

            return submit_task(self, args, kwargs, return_state, wait_for)

        def map(
            self,
            *args: Any,
            return_state: bool = False,
            wait_for: Iterable[Any] | None = None,
            deferred: bool = False,
            **kwargs: Any,
        ) -> Any:
            """Start the task once for each item of the iterable arguments.

            Arguments that are no iterables (strings count as none) and those wrapped in `unmapped` are
            given to every call.

            Args:
                deferred: do not run them here; they wait for a process that serves the task, see `delay`.

            Raises:
                MappingLengthMismatch: iterables of different lengths.
                MappingMissingIterable: no iterable at all.
            """
            if deferred:
                from runyard.engine.background.background_submit import delay_map

                return delay_map(self, args, kwargs, wait_for)
            from runyard.engine.mapping import map_task

            return map_task(self, args, kwargs, return_state, wait_for)

        def delay(self, *args: Any, **kwargs: Any) -> BackgroundFuture[Any]:
            """Let a run wait for a process that serves the task (`serve`), and go on at once.

            Returns:
                Its future, which any process with the same database can be asked by.

            Raises:
                ParameterError: the arguments do not fit the signature.
            """
            return self.apply_async(args, kwargs)

    def submit_to(
        self, runner: TaskRunner, parameters: dict[str, Any], wait_for: Iterable[Any] | None = None
    ) -> TaskFuture[Any]:
        """Start a run on a task runner: what `runner.submit(task, parameters)` does.

        Raises:
            ParameterError: the arguments do not fit the signature.
        """
        from runyard.engine.submit import submit_to

        return submit_to(runner, self, parameters, wait_for)

    def map_on(
        self, runner: TaskRunner, parameters: dict[str, Any], wait_for: Iterable[Any] | None = None
    ) -> FutureList[Any]:
        """Start a run for each item on a task runner: what `runner.map(task, parameters)` does."""
        from runyard.engine.mapping import map_on

        return map_on(runner, self, parameters, wait_for)

    def apply_async(
        self,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        wait_for: Iterable[Any] | None = None,
        dependencies: Any = None,
    ) -> BackgroundFuture[Any]:
        """As `delay`, with options.

        Args:
            args, kwargs: what the task is called with.
            wait_for: futures that must be done before.
            dependencies: accepted for compatibility.
        """
        from runyard.engine.background.background_submit import delay_task

        return delay_task(self, tuple(args or ()), dict(kwargs or {}), wait_for)

    def serve(self, limit: int | None = 10) -> None:
        """Execute the runs of this task that `delay` submitted, until Ctrl-C or SIGTERM.

        Args:
            limit: how many at a time; None for any number.
        """
        from runyard.workers.task_worker import serve

        serve(self, limit=limit)

    def on_completion(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """Call `fn(task, task_run, state)` when a run completes; usable as a decorator."""
        self.on_completion_hooks.append(fn)
        return fn

    def on_failure(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """Call `fn(task, task_run, state)` when a run fails; usable as a decorator."""
        self.on_failure_hooks.append(fn)
        return fn

    def on_rollback(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """Call `fn(transaction)` when a run of the task is undone; usable as a decorator."""
        self.on_rollback_hooks.append(fn)
        return fn

    def on_commit(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """Call `fn(transaction)` when a run of the task takes effect; usable as a decorator."""
        self.on_commit_hooks.append(fn)
        return fn

    def on_running(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """Call `fn(task, task_run, state)` when a run starts; usable as a decorator."""
        self.on_running_hooks.append(fn)
        return fn


if TYPE_CHECKING:

    @overload
    def task(fn: Callable[P, S], /) -> Task[P, S]: ...
    @overload
    def task(
        fn: None = None, /, **options: Unpack[TaskOptions]
    ) -> Callable[[Callable[P, S]], Task[P, S]]: ...


def task(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a task: `@task`, or `@task(name=..., retries=...)` with the options of Task."""
    if fn is None:
        return lambda function: Task(function, **options)
    return Task(fn, **options)


def exponential_backoff(backoff_factor: float) -> Callable[[int], list[float]]:
    """Delays that double: `backoff_factor`, then twice, four times ... as many seconds."""

    def delays(retries: int) -> list[float]:
        return [backoff_factor * 2**retry for retry in range(retries)]

    return delays


def task_input_hash(context: Any, arguments: dict[str, Any]) -> str | None:
    """A `cache_key_fn`: the task, its code and its arguments.

    Args:
        context: of the task run.
        arguments: by name.
    """
    from runyard.engine.hashing.digests import hash_objects

    code = getattr(context.task.fn, "__code__", None)
    return hash_objects(context.task.task_key, code.co_code.hex() if code is not None else "", arguments)
