"""Receives inputs: an iterator that waits for the next input, sync and async."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from runyard.base.syncing import async_twin, sync_compatible
from runyard.client.engine_client import shared_client
from runyard.sdk.input.input_actions import ensure_flow_run_id, filter_flow_run_input

if TYPE_CHECKING:
    from collections.abc import Iterable

_POLL_SECONDS = 20.0


class GetInputHandler:
    """An iterator over the inputs that a flow run receives.

    Args:
        run_input_cls: the model of the inputs.
        key_prefix: the prefix of their keys.
        timeout: seconds to wait for each input; None: no limit.
        poll_interval: ignored: a new input wakes the receiver.
        raise_timeout_error: raise TimeoutError at the timeout, instead of ending the loop.
        exclude_keys: the keys of inputs to skip.
        flow_run_id: the receiving run; the default is the current run.
    """

    def __init__(
        self,
        run_input_cls: Any,
        key_prefix: str,
        timeout: float | None = 3600,
        poll_interval: float = 10,
        raise_timeout_error: bool = False,
        exclude_keys: Iterable[str] | None = None,
        flow_run_id: Any = None,
    ) -> None:
        self.run_input_cls = run_input_cls
        self.key_prefix = key_prefix
        self.timeout = timeout
        self.poll_interval = poll_interval
        self.raise_timeout_error = raise_timeout_error
        self.exclude_keys = set(exclude_keys or ())
        self.flow_run_id = ensure_flow_run_id(flow_run_id)

    def __iter__(self) -> GetInputHandler:
        return self

    def __aiter__(self) -> GetInputHandler:
        return self

    def __next__(self) -> Any:
        try:
            return self._next()
        except TimeoutError:
            if self.raise_timeout_error:
                raise
            raise StopIteration from None

    async def __anext__(self) -> Any:
        try:
            return await self.anext()
        except TimeoutError:
            if self.raise_timeout_error:
                raise
            raise StopAsyncIteration from None

    def to_instance(self, flow_run_input: Any) -> Any:
        """Convert a stored input to the object for the receiver."""
        return self.run_input_cls.load_from_flow_run_input(flow_run_input)

    def _next(self) -> Any:
        """Wait for the next input.

        Raises:
            TimeoutError: no input arrived in time.
        """
        client = shared_client()
        deadline = None if self.timeout is None else time.monotonic() + self.timeout
        while True:
            token = client.changes()
            found = filter_flow_run_input(self.key_prefix, 1, self.exclude_keys, self.flow_run_id, _sync=True)
            if found:
                self.exclude_keys.add(found[0].key)
                return self.to_instance(found[0])
            left = _POLL_SECONDS if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no input arrived within {self.timeout:g} seconds")
            client.wait_for_change(token, min(left, _POLL_SECONDS))

    next = sync_compatible(_next)
    anext = async_twin(_next)


class GetAutomaticInputHandler(GetInputHandler):
    """As GetInputHandler, for values of types that are not models.

    Args:
        with_metadata: return the models that contain the values, with their sender.
    """

    def __init__(self, *args: Any, with_metadata: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self.with_metadata = with_metadata

    def to_instance(self, flow_run_input: Any) -> Any:
        """The value, or the model that contains it."""
        received = self.run_input_cls.load_from_flow_run_input(flow_run_input)
        return received if self.with_metadata else received.value
