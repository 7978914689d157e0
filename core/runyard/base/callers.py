"""Inspect the code that called a function, for example whether it awaits the result."""

from __future__ import annotations

from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any

# Flags of the code of coroutines and async generators.
_ASYNC = 0x80 | 0x200

# Functions of asyncio, and methods of its loops and groups, whose arguments are awaitables.
_TAKERS = frozenset((
    "as_completed", "create_task", "ensure_future", "gather", "run_coroutine_threadsafe", "shield",
    "wait_for",
))  # fmt: skip
_COMPREHENSIONS = frozenset(("<listcomp>", "<setcomp>", "<genexpr>"))
# Opcodes that may be between the call that returns the value and the call that receives it.
_BETWEEN = frozenset((
    "BUILD_LIST", "BUILD_SET", "BUILD_TUPLE", "CACHE", "CALL_INTRINSIC_1", "END_FOR", "JUMP_BACKWARD",
    "KW_NAMES", "LIST_APPEND", "LIST_EXTEND", "LIST_TO_TUPLE", "LOAD_CONST", "NOP", "POP_ITER",
    "PRECALL", "SET_ADD", "STORE_FAST", "SWAP",
))  # fmt: skip
_CALLS = frozenset(("CALL", "CALL_FUNCTION_EX", "CALL_KW"))
_NAMES = frozenset(("LOAD_DEREF", "LOAD_FAST", "LOAD_FAST_BORROW", "LOAD_GLOBAL", "LOAD_NAME"))
_ATTRIBUTES = frozenset(("LOAD_ATTR", "LOAD_METHOD"))


def is_awaited(caller: FrameType) -> bool:
    """Return whether the caller of a frame awaits the result of its call.

    True after `await`, as in `await state.result()`, and if the call is an argument of an asyncio function
    that accepts awaitables, as in `asyncio.wait_for(state.result(), 1)`, also in a comprehension. The
    function
    reads the bytecode after the call. If the caller first stores the value in a variable, the answer is
    False.
    """
    code, at = caller.f_code, caller.f_lasti
    if code.co_name in _COMPREHENSIONS and not code.co_flags & _ASYNC:
        back = caller.f_back
        if back is None or not back.f_code.co_flags & _ASYNC or not _is_item(code, at):
            return False
        return _is_taken(back, of_generator=code.co_name == "<genexpr>")
    if not code.co_flags & _ASYNC:
        return False
    from dis import opmap

    after, at = code.co_code, at + 2
    while at < len(after) and after[at] == opmap["CACHE"]:  # inline cache entries after a call
        at += 2
    return (at < len(after) and after[at] == opmap["GET_AWAITABLE"]) or _is_taken(caller)


def _is_taken(caller: FrameType, of_generator: bool = False) -> bool:
    """Return whether the value is an argument of an asyncio function that accepts awaitables.

    Args:
        of_generator: the call is inside a generator expression; then the instruction may belong to the outer
            call.
    """
    path = _path_of_taker(caller.f_code, caller.f_lasti, of_generator)
    if path is None:
        return False
    first, *names = path
    found: Any = caller.f_locals.get(first, caller.f_globals.get(first))
    for name in names:
        # Look up names only in modules and asyncio objects, so that no user code runs.
        if type(found).__name__ != "module" and not _is_asyncios(type(found)):
            return False
        found = getattr(found, name, None)
    return _is_asyncios(found) and getattr(found, "__name__", None) in _TAKERS


def _is_asyncios(found: Any) -> bool:
    return str(getattr(found, "__module__", "")).partition(".")[0] == "asyncio"


@lru_cache(maxsize=512)
def _is_item(code: CodeType, at: int) -> bool:
    """Return whether a comprehension collects the result of the call at this instruction."""
    from dis import get_instructions

    following = (each.opname for each in get_instructions(code) if each.offset > at)
    return next(following, None) in ("LIST_APPEND", "SET_ADD", "YIELD_VALUE")


@lru_cache(maxsize=512)
def _path_of_taker(code: CodeType, at: int, of_generator: bool) -> tuple[str, ...] | None:
    """The dotted name of the function that receives the result of the call at this instruction."""
    from dis import get_instructions

    listed = list(get_instructions(code))
    # The offset may be inside the cache entries after the call.
    own = next((each for each in reversed(listed) if each.offset <= at), None)
    if own is None or own.positions is None or None in own.positions:
        return None  # Python runs without position tables
    start, end = _start(own), _end(own)
    if of_generator and own.opname == "CALL_FUNCTION_EX":
        return _path(listed, start, at)
    for each in listed:
        if each.offset <= at or each.positions is None or None in each.positions:
            continue
        if _start(each) > start or _end(each) < end:
            continue  # belongs to another argument
        if each.opname in _CALLS:
            return _path(listed, _start(each), at)
        if each.opname not in _BETWEEN:
            return None
    return None


def _path(listed: list[Any], start: tuple[int, int], before: int) -> tuple[str, ...] | None:
    """The dotted name that starts at this position; None if it is not a plain name."""
    loaded: list[Any] = []
    previous = None
    for each in listed:
        if each.offset >= before or each.opname in ("PUSH_NULL", "CACHE"):
            continue
        if each.positions is not None and None not in each.positions and _start(each) == start:
            if not loaded and each.opname in _ATTRIBUTES and previous is not None:
                loaded.append(previous)
            loaded.append(each)
        previous = each
    if not loaded or any(each.opname not in _ATTRIBUTES for each in loaded[1:]):
        return None
    first = loaded[0]
    if first.opname == "STORE_FAST_LOAD_FAST":  # one opcode for two names, at the position of the first
        return (str(first.argval[1]), *(str(each.argval) for each in loaded[1:]))
    return tuple(str(each.argval) for each in loaded) if first.opname in _NAMES else None


def _start(instruction: Any) -> tuple[int, int]:
    return instruction.positions.lineno, instruction.positions.col_offset


def _end(instruction: Any) -> tuple[int, int]:
    return instruction.positions.end_lineno, instruction.positions.end_col_offset
