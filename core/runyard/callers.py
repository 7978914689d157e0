"""What a function can know of the code that called it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

# Flags of the code of coroutines and async generators.
_ASYNC = 0x80 | 0x200


def is_awaited(caller: FrameType) -> bool:
    """Whether the call that a frame is in stands behind `await`: `await state.result()`.

    The instruction that follows the call tells it.
    """
    if not caller.f_code.co_flags & _ASYNC:
        return False
    from dis import opmap

    code, at = caller.f_code.co_code, caller.f_lasti + 2
    while at < len(code) and code[at] == opmap["CACHE"]:  # room that the interpreter keeps after a call
        at += 2
    return at < len(code) and code[at] == opmap["GET_AWAITABLE"]
