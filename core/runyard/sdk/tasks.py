"""Tasks: the `@task` decorator and the class Task."""

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
_call: Any = None


class Task(Base[P, R]):
    """A function whose runs are recorded inside a flow run. Calling it runs it.

    Args:
        fn: the function, sync or async.
        name: the default is the function's name.
        description: a description for users; the default is the docstring.
        tags: labels of each run.
        version: any text, stored with each run.
        task_run_name: a template with parameters, or a function that returns a name.
        retries: how often a failed run is retried; the default is a setting.
        retry_delay_seconds: the delay before each retry: a number, a list of numbers, or a function of
            `retries` that returns the list.
        retry_jitter_factor: the maximum random increase of a delay, as a share of the delay.
        retry_condition_fn: a function of (task, task_run, state) that returns whether to retry.
        timeout_seconds: a run that takes longer fails as TimedOut.
        log_prints: whether `print` goes to the run's log; None: as in the flow.
        cache_policy: how the cache key is computed, see `runyard.engine.cache_policies`; the default is
            from the arguments, the source and the flow run.
        cache_key_fn: a function that returns the cache key, called with (context, parameters) or fewer
            arguments; if it returns None, the result is not cached.
        cache_expiration: how long a stored result is valid.
        refresh_cache: whether to ignore a stored result, and store the new one; the default is a setting.
        persist_result: whether to store the result, so that a resumed run, or another run with the same
            key, does not run the task again. The default is the flow's option, and True if an option about
            results or caching is given.
        result_storage, result_serializer: how results are stored, see
            `runyard.engine.results.result_stores.ResultStore`.
        result_storage_key: a template of the key, such as `"{parameters[day]}.json"`.
        cache_result_in_memory: accepted for compatibility; a result stays in memory as long as its future
            or state.
        on_completion, on_failure, on_running: lists of functions of (task, task_run, state).
        on_rollback, on_commit: lists of functions of (transaction), see `runyard.engine.transactions`.
        viz_return_value: the result of the task in `flow.visualize()`.
        asset_deps: accepted for compatibility.
    """

    if not TYPE_CHECKING:  # type checkers read `sdk/calls.pyi`

        def __call__(
            self, *args: Any, return_state: bool = False, wait_for: Iterable[Any] | None = None, **kwargs: Any
        ) -> Any:
            """Run the task in the calling thread.

            Args:
                return_state: return the final State instead of the value, and never raise.
                wait_for: futures that must be done before the run starts.

            Returns:
                The function's return value; for an async task, an awaitable of it.
            """
            global _call
            if _call is None:  # the import statement would take 1 us of each call
                from runyard.engine.entry import call_task as _call

            return _call(self, args, kwargs, return_state, wait_for)

        def submit(
            self, *args: Any, return_state: bool = False, wait_for: Iterable[Any] | None = None, **kwargs: Any
        ) -> Any:
            """Start a run of the task on the flow's task runner, without waiting for it.

            Returns:
                Its future; with `return_state`, wait and return the final State.
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
            """Start one run of the task for each item of the iterable arguments.

            Strings, other non-iterable arguments, and arguments in `unmapped` are passed to every run.

            Args:
                deferred: submit background runs for a process that serves the task, see `delay`.

            Raises:
                MappingLengthMismatch: the iterables have different lengths.
                MappingMissingIterable: no argument is iterable.
            """
            if deferred:
                from runyard.engine.background.background_submit import delay_map

                return delay_map(self, args, kwargs, wait_for)
            from runyard.engine.mapping import map_task

            return map_task(self, args, kwargs, return_state, wait_for)

        def delay(self, *args: Any, **kwargs: Any) -> BackgroundFuture[Any]:
            """Submit a background run, which a process that serves the task (`serve`) executes.

            Returns:
                Its future, usable in any process with the same database.

            Raises:
                ParameterError: the arguments do not match the signature.
            """
            return self.apply_async(args, kwargs)

    def submit_to(
        self, runner: TaskRunner, parameters: dict[str, Any], wait_for: Iterable[Any] | None = None
    ) -> TaskFuture[Any]:
        """Start a run on a task runner; implements `runner.submit(task, parameters)`.

        Raises:
            ParameterError: the arguments do not match the signature.
        """
        from runyard.engine.submit import submit_to

        return submit_to(runner, self, parameters, wait_for)

    def map_on(
        self, runner: TaskRunner, parameters: dict[str, Any], wait_for: Iterable[Any] | None = None
    ) -> FutureList[Any]:
        """Start a run for each item on a task runner; implements `runner.map(task, parameters)`."""
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
            args, kwargs: the arguments of the task.
            wait_for: futures that must be done before the run starts.
            dependencies: accepted for compatibility.
        """
        from runyard.engine.background.background_submit import delay_task

        return delay_task(self, tuple(args or ()), dict(kwargs or {}), wait_for)

    def serve(self, limit: int | None = 10) -> None:
        """Execute the runs of this task that `delay` submitted, until Ctrl-C or SIGTERM.

        Args:
            limit: the maximum number of concurrent runs; None: no limit.
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
        """Call `fn(transaction)` when a run of the task is rolled back; usable as a decorator."""
        self.on_rollback_hooks.append(fn)
        return fn

    def on_commit(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """Call `fn(transaction)` when a run of the task is committed; usable as a decorator."""
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
    """Turn a function into a task: `@task`, or `@task(name=..., retries=...)` with the options of Task."""
    if fn is None:
        return lambda function: Task(function, **options)
    return Task(fn, **options)


def exponential_backoff(backoff_factor: float) -> Callable[[int], list[float]]:
    """Delays that double with each retry, starting with `backoff_factor` seconds."""

    def delays(retries: int) -> list[float]:
        return [backoff_factor * 2**retry for retry in range(retries)]

    return delays


def task_input_hash(context: Any, arguments: dict[str, Any]) -> str | None:
    """A `cache_key_fn` with a digest of the task, its code and its arguments.

    Args:
        context: the context of the task run.
        arguments: the arguments by name.
    """
    from runyard.engine.hashing.digests import hash_objects

    code = getattr(context.task.fn, "__code__", None)
    return hash_objects(context.task.task_key, code.co_code.hex() if code is not None else "", arguments)
