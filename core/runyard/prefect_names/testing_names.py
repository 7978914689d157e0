"""The names of `prefect.testing.utilities` that scripts use: the harness, and assertions."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runyard.client.schemas.filters import FlowFilter, FlowFilterName
from runyard.client.schemas.sorting import FlowRunSort
from runyard.client.user_client import get_client
from runyard.sdk.testing import harness, prefect_test_harness

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runyard.blocks.core import Block
    from runyard.operations.flow_runs.flow_run_shapes import FlowRun

__all__ = [
    "assert_blocks_equal",
    "assert_does_not_warn",
    "exceptions_equal",
    "get_most_recent_flow_run",
    "harness",
    "prefect_test_harness",
]


def exceptions_equal(a: BaseException | None, b: BaseException | None) -> bool:
    """Whether two exceptions have the same class and message."""
    if a is None or b is None:
        return a is b
    return type(a) is type(b) and str(a) == str(b)


@contextmanager
def assert_does_not_warn(ignore_warnings: Iterable[type[Warning]] | None = None) -> Iterator[None]:
    """Context manager: a warning is an error.

    Args:
        ignore_warnings: classes that are allowed.

    Raises:
        AssertionError: a warning was issued.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in ignore_warnings or ():
            warnings.filterwarnings("ignore", category=kind)
        try:
            yield
        except Warning as warning:
            raise AssertionError(f"there was a warning: {warning!r}") from warning


def assert_blocks_equal(found: Block, expected: Block, exclude_private: bool = True, **kwargs: Any) -> None:
    """Assert that two blocks have the same class and values.

    Args:
        exclude_private: ignore the names under which they are saved.
        kwargs: options of `model_dump`.

    Raises:
        AssertionError: they differ.
    """
    assert type(found) is type(expected), (type(found), type(expected))  # for tests
    mine, others = found.model_dump(**kwargs), expected.model_dump(**kwargs)
    assert mine == others, (mine, others)  # for tests
    if not exclude_private:
        assert found.__pydantic_private__ == expected.__pydantic_private__  # for tests


async def get_most_recent_flow_run(client: Any = None, flow_name: str | None = None) -> FlowRun:
    """The flow run with the latest expected start.

    Args:
        client: a client of the API.
        flow_name: only of this flow.

    Raises:
        IndexError: no flow run exists.
    """
    only = FlowFilter(name=FlowFilterName(any_=[flow_name])) if flow_name is not None else None
    found = await (client or get_client()).read_flow_runs(
        flow_filter=only, sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=1
    )
    run: FlowRun = found[0]
    return run
