"""Cache policies: what a task's cache key is made of, combined with `+` and `-`."""

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
    """How a cache key is computed; subclass it for a policy of your own.

    Args:
        key_storage: where the entries are kept, if not with the results: a path, a URL or a filesystem.
        isolation_level: `"SERIALIZABLE"` lets one run at a time compute the value of a key.
        lock_manager: what guards a key then; by default locks in the database.
    """

    # Whether keys differ from run to run, so that an entry is of no use after its run; whether there are any.
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
        """The policy of a function that gives the key."""
        return CacheKeyFnPolicy(cache_key_fn=cache_key_fn)

    def configure(
        self, key_storage: Any = None, lock_manager: Any = None, isolation_level: Any = None
    ) -> Self:
        """A copy with some of the options changed."""
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
        """The key.

        Args:
            task_ctx: the task run about to start.
            inputs: its arguments by name, defaults included.
            flow_parameters: those of the flow around it.

        Returns:
            The key, or None: the run neither uses nor makes an entry.

        Raises:
            HashError: the values can make no key.
        """
        raise TypeError(f"{type(self).__name__} does not say how to compute a key: define compute_key")

    def __add__(self, other: CachePolicy) -> CachePolicy:
        if isinstance(other, NoCache):
            return self
        return CompoundCachePolicy([self, other], **_together(self, other))

    def __sub__(self, name: str) -> CachePolicy:
        if not isinstance(name, str):
            raise TypeError(f"only names of inputs can be taken from a policy, not {name!r}")
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
    """The key is what a function returns, called with as many of (context, parameters) as it takes."""

    def __init__(self, cache_key_fn: Callable[..., str | None] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.cache_key_fn = cache_key_fn

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """What the function returns."""
        if self.cache_key_fn is None:
            return None
        return self.cache_key_fn(*_taken(self.cache_key_fn, (task_ctx, inputs)))


def _taken(fn: Callable[..., Any], values: tuple[Any, ...]) -> tuple[Any, ...]:
    """As many of the values as a function takes by position."""
    try:
        signature = Signature(fn)
    except (TypeError, ValueError):
        return values
    return values if signature.var_args else values[: len(signature.positional)]


class CompoundCachePolicy(CachePolicy):
    """The key is a digest of the keys of several policies; those without a key are left out."""

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
            raise TypeError(f"only names of inputs can be taken from a policy, not {name!r}")
        if not any(isinstance(policy, Inputs) for policy in self.policies):
            return self
        return CompoundCachePolicy([*self.policies, Inputs(exclude=[name])], **_together(self, self))


class NoCache(CachePolicy):
    """No key: every run runs."""

    makes_keys = False

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """None."""
        return None

    def __add__(self, other: CachePolicy) -> CachePolicy:
        return other


class TaskSource(CachePolicy):
    """The key is a digest of the task's own source code and of the values that its function took from the
    functions around it; not of what it calls."""

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """The digest, worked out once for each task."""
        return source_key(task_ctx.task)


def source_key(task: TaskDefinition) -> str:
    """The digest of a task's source code and of what was bound into its function, worked out once.

    Raises:
        HashError: something that was bound into it can make no key.
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
    """The key is a digest of the parameters of the flow run around the task."""

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """The digest, or None outside of a flow."""
        return hash_objects(flow_parameters) if flow_parameters else None


class RunId(CachePolicy):
    """The key is the flow run around the task: entries serve the same run, when it is resumed as well."""

    of_one_run = True

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """The flow run's id; for a subflow what stays the same when the root run is resumed."""
        flow = current_flow.get()
        return scope_of(flow) if flow is not None else task_ctx.task_run.id


class Inputs(CachePolicy):
    """The key is a digest of the arguments, but for those named in `exclude`."""

    def __init__(self, exclude: Iterable[str] = (), **options: Any) -> None:
        super().__init__(**options)
        self.exclude = tuple(exclude)

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """The digest, or None where there are no arguments."""
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
            raise TypeError(f"only names of inputs can be taken from a policy, not {name!r}")
        return Inputs([*self.exclude, name], **_together(self, self))


INPUTS = Inputs()
NO_CACHE = NoCache()
NONE = NO_CACHE
TASK_SOURCE = TaskSource()
FLOW_PARAMETERS = FlowParameters()
RUN_ID = RunId()
DEFAULT = INPUTS + TASK_SOURCE + RUN_ID
