"""Request bodies: their maximum size, and strict JSON.

JSON must follow its standard: UTF-8, no `NaN` and no `Infinity`, which other parsers refuse, and no deeper
nesting than can be written again. Half a surrogate pair, which is not a character, becomes U+FFFD.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from runyard.base.errors import InvalidInput
from runyard.operations.nesting import MOST_LEVELS, levels
from runyard.server.error_answers import without_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.responses import Response
    from starlette.types import Message, Receive

# The nesting levels that a request may have around a stored value.
_MORE_LEVELS = 8
# How long a caller may take for the next part of a body.
_PAUSE_SECONDS = 60.0
# How long the server reads a refused body before it sends the response.
_DISCARD_PAUSE_SECONDS = 2.0
# How much of a refused body is read, so that the sender reads the response.
_DISCARDED_BYTES = 128 * 1024 * 1024
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
# Only a text with such a sequence can contain a number too large for a float (199 digits and an exponent of
# two stay below 1e308). Then each number is checked, which takes longer.
_LARGE_NUMBER = re.compile(rb"[eE]\+?\d{3}|\d{200}")
_NO_CONTENT = object()


class Limited:
    """Reads one request's body in parts, up to a maximum size.

    Args:
        receive: returns the next part.
        most_bytes: the maximum size.
        setting: the setting that raises it.
    """

    def __init__(self, receive: Receive, most_bytes: int, setting: str) -> None:
        self._receive = receive
        self._most = most_bytes
        self._taken = 0
        self._complete = False
        self.refusal = (
            f"the body is larger than {most_bytes:,} bytes; raise {setting} on the server, or send less "
            "at once"
        )

    def is_too_large(self, length: str) -> bool:
        """Whether Content-Length says that the body is too large."""
        return length.isdecimal() and (len(length) > 18 or int(length) > self._most)

    async def receive(self) -> Message:
        """Read the next part.

        Raises:
            HTTPException: the body is too large (413), or its next part does not arrive (408).
        """
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout(_PAUSE_SECONDS):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, "the body is incomplete") from None
        if message["type"] == "http.request":
            self._taken += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            if self._taken > self._most:
                raise HTTPException(413, self.refusal)
        return message

    async def discard(self) -> None:
        """Read and drop the rest of the body, as long as it arrives fast and is not too long."""
        taken = 0
        try:
            while not self._complete and taken < _DISCARDED_BYTES:
                async with asyncio.timeout(_DISCARD_PAUSE_SECONDS):
                    message = await self._receive()
                taken += len(message.get("body", b""))
                self._complete = message["type"] != "http.request" or not message.get("more_body", False)
        except TimeoutError:
            return


class StrictRequest(Request):
    """A request whose JSON is checked strictly."""

    async def json(self) -> Any:
        """The parsed body.

        Raises:
            JSONDecodeError: it is invalid or nested too deeply; FastAPI responds with 422.
        """
        found = getattr(self, "_value", _NO_CONTENT)
        if found is _NO_CONTENT:
            found = self._value = _parse(await self.body())
        return found

    @property
    def given(self) -> Any:
        """The parsed body, if it was read."""
        return getattr(self, "_value", None)


class StrictRoute(APIRoute):
    """A route that parses JSON strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of the route, called with a strict request."""
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            try:
                return await handle(strict)
            except InvalidInput as error:
                message = without_texts(error.message, strict.given)
                if message == error.message:
                    raise
                raise type(error)(message, **error.details) from error

        return strictly


def _parse(body: bytes) -> Any:
    try:
        # json.loads also accepts UTF-16, which the byte checks below do not handle.
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _misfit("it is not valid UTF-8") from None
    if levels(body) > MOST_LEVELS + _MORE_LEVELS:
        raise _misfit(f"nested deeper than {MOST_LEVELS} levels")
    try:
        read_float = _finite if _LARGE_NUMBER.search(body) else None
        value = json.loads(text, parse_constant=_no_constant, parse_float=read_float)
        if _SURROGATE.search(body):
            text = json.dumps(value, ensure_ascii=False)
            value = json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    except json.JSONDecodeError:
        raise
    except (ValueError, RecursionError) as error:
        raise _misfit(str(error)) from None
    return value


def _misfit(reason: str) -> json.JSONDecodeError:
    return json.JSONDecodeError(reason, "", 0)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number is too large to be stored")
    return number
