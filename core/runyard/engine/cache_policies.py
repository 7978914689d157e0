"""Cache policies: how a task's cache key is computed. `+` and `-` combine them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from runyard.base.exceptions import HashError
from runyard.engine.context import current_flow
from runyard.engine.hashing.digests import hash_objects, join_keys, source_digest
from runyard.engine.key_scopes import scope_of
from runyard.engine.parameters import Signature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self

    from runyard.engine.context import TaskRunContext
    from runyard.engine.task_definition import TaskDefinition

__all__ = [
    "DEFAULT",
    "FLOW_PARAMETERS",
    "INPUTS",
    "NONE",
    "NO_CACHE",
    "RUN_ID",
    "TASK_SOURCE",
    "CacheKeyFnPolicy",
    "CachePolicy",
    "CompoundCachePolicy",
    "FlowParameters",
    "Inputs",
    "NoCache",
    "RunId",
    "TaskSource",
]


class CachePolicy:
    """Computes cache keys. Subclass it to define a custom policy.

    Args:
        key_storage: where cache entries are stored, if not with the results: a path, a URL or a filesystem.
        isolation_level: `"SERIALIZABLE"` lets one run at a time compute the value of a key.
        lock_manager: locks the keys if the level is serializable; the default is locks in the database.
    """

    # of_one_run: each run has its own keys, so its entries are useless afterwards.
    # makes_keys: False if the policy never returns a key.
    of_one_run = False
    makes_keys = True

    def __init__(
        self, key_storage: Any = None, isolation_level: Any = None, lock_manager: Any = None
    ) -> None:
        self.key_storage = key_storage
        self.isolation_level = isolation_level
        self.lock_manager = lock_manager

    @classmethod
    def from_cache_key_fn(cls, cache_key_fn: Callable[..., str | None]) -> CacheKeyFnPolicy:
        """A policy that calls a function to compute the key."""
        return CacheKeyFnPolicy(cache_key_fn=cache_key_fn)

    def configure(
        self, key_storage: Any = None, lock_manager: Any = None, isolation_level: Any = None
    ) -> Self:
        """A copy of the policy with the given options changed."""
        new = copy.copy(self)
        changes = {
            "key_storage": key_storage,
            "lock_manager": lock_manager,
            "isolation_level": isolation_level,
        }
        for name, value in changes.items():
            if value is not None:
                setattr(new, name, value)
        return new

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """Compute the cache key of a task run.

        Args:
            task_ctx: the task run that is about to start.
            inputs: its arguments by name, defaults included.
            flow_parameters: the parameters of the parent flow run.

        Returns:
            The key. None: the run neither reads nor writes the cache.

        Raises:
            HashError: a value cannot be hashed.
        """
        raise TypeError(f"{type(self).__name__} does not implement compute_key")

    def __add__(self, other: CachePolicy) -> CachePolicy:
        if isinstance(other, NoCache):
            return self
        return CompoundCachePolicy([self, other], **_together(self, other))

    def __sub__(self, name: str) -> CachePolicy:
        if not isinstance(name, str):
            raise TypeError(f"only names of inputs can be subtracted from a policy, not {name!r}")
        return self

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        options = ", ".join(
            f"{name}={value!r}" for name, value in vars(self).items() if value not in (None, ())
        )
        return f"{type(self).__name__}({options})"


def _together(one: CachePolicy, other: CachePolicy) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name in ("key_storage", "isolation_level", "lock_manager"):
        first, second = getattr(one, name), getattr(other, name)
        if first is not None and second is not None and first != second:
            raise ValueError(f"policies with different {name} cannot be combined: {first!r}, {second!r}")
        options[name] = second if first is None else first
    return options


class CacheKeyFnPolicy(CachePolicy):
    """The key is the return value of a function, called with (context, parameters) or fewer arguments."""

    def __init__(self, cache_key_fn: Callable[..., str | None] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.cache_key_fn = cache_key_fn

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """The return value of the function."""
        if self.cache_key_fn is None:
            return None
        return self.cache_key_fn(*_taken(self.cache_key_fn, (task_ctx, inputs)))


def _taken(fn: Callable[..., Any], values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The leading values, as many as the function accepts by position."""
    try:
        signature = Signature(fn)
    except (TypeError, ValueError):
        return values
    return values if signature.var_args else values[: len(signature.positional)]


class CompoundCachePolicy(CachePolicy):
    """The key is a digest of the keys of several policies; a policy that returns None is skipped."""

    policies: tuple[CachePolicy, ...]

    def __init__(self, policies: Iterable[CachePolicy] = (), **options: Any) -> None:
        super().__init__(**options)
        flat: list[CachePolicy] = []
        for policy in policies:
            flat.extend(policy.policies if isinstance(policy, CompoundCachePolicy) else [policy])
        inputs = [policy for policy in flat if isinstance(policy, Inputs)]
        parts: list[CachePolicy] = [policy for policy in flat if not isinstance(policy, Inputs)]
        if inputs:
            parts.append(Inputs(sorted({name for policy in inputs for name in policy.exclude})))
        self.policies = tuple(parts)
        self.of_one_run = any(policy.of_one_run for policy in parts)

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """The digest of the parts' keys."""
        keys = [policy.compute_key(task_ctx, inputs, flow_parameters, **kwargs) for policy in self.policies]
        known = [str(key) for key in keys if key is not None]
        return join_keys(known) if known else None

    def __add__(self, other: CachePolicy) -> CachePolicy:
        if isinstance(other, NoCache):
            return self
        return CompoundCachePolicy([*self.policies, other], **_together(self, other))

    def __sub__(self, name: str) -> CachePolicy:
        if not isinstance(name, str):
            raise TypeError(f"only names of inputs can be subtracted from a policy, not {name!r}")
        if not any(isinstance(policy, Inputs) for policy in self.policies):
            return self
        return CompoundCachePolicy([*self.policies, Inputs(exclude=[name])], **_together(self, self))


class NoCache(CachePolicy):
    """No cache key: every task run executes."""

    makes_keys = False

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """None."""
        return None

    def __add__(self, other: CachePolicy) -> CachePolicy:
        return other


class TaskSource(CachePolicy):
    """The key is a digest of the task's own source code and of the variables in its closure.

    The digest does not cover functions that the task calls.
    """

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """The digest, computed once per task."""
        return source_key(task_ctx.task)


def source_key(task: TaskDefinition) -> str:
    """The digest of a task's source code and of the values bound into its function, computed once.

    Raises:
        HashError: a bound value cannot be hashed.
    """
    digest = task._kept.get("source")
    if digest is None:
        try:
            digest = source_digest(task.fn, task.made)
        except HashError as error:
            raise HashError(
                f"{error}; it is bound into the task's function: pass it as an argument, or use a "
                "cache_policy without TASK_SOURCE, such as INPUTS + RUN_ID"
            ) from error
        task._kept["source"] = digest
    return str(digest)


class FlowParameters(CachePolicy):
    """The key is a digest of the parameters of the task's flow run."""

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """The digest, or None outside of a flow."""
        return hash_objects(flow_parameters) if flow_parameters else None


class RunId(CachePolicy):
    """The key is the id of the task's flow run: only the same run, also when resumed, uses the entries."""

    of_one_run = True

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """The flow run's id; for a subflow an id that stays the same when the root run is resumed."""
        flow = current_flow.get()
        return scope_of(flow) if flow is not None else task_ctx.task_run.id


class Inputs(CachePolicy):
    """The key is a digest of the arguments except those named in `exclude`."""

    def __init__(self, exclude: Iterable[str] = (), **options: Any) -> None:
        super().__init__(**options)
        self.exclude = tuple(exclude)

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """The digest, or None if the task has no arguments."""
        if not inputs:
            return None
        left_out = self.exclude
        chosen = (
            {name: value for name, value in inputs.items() if name not in left_out} if left_out else inputs
        )
        try:
            return hash_objects(chosen)
        except HashError as error:
            raise HashError(
                f'{error}; leave such an argument out (`INPUTS - "name"`), or use cache_policy=NO_CACHE'
            ) from error

    def __sub__(self, name: str) -> CachePolicy:
        if not isinstance(name, str):
            raise TypeError(f"only names of inputs can be subtracted from a policy, not {name!r}")
        return Inputs([*self.exclude, name], **_together(self, self))


INPUTS = Inputs()
NO_CACHE = NoCache()
NONE = NO_CACHE
TASK_SOURCE = TaskSource()
FLOW_PARAMETERS = FlowParameters()
RUN_ID = RunId()
DEFAULT = INPUTS + TASK_SOURCE + RUN_ID
