"""Errors as JSON: one shape for every failed request.

    {"detail": "what is wrong and what to do", "error": "NotFound"}

`error` is the class in `runyard.base.errors`, which the client raises again. A body or query that does not
match its schema gets 422, with `exception_message` and `exception_detail` (one entry per fault: `loc`, `msg`,
`type`) besides the two. The response does not repeat the input, which may contain secrets or be large.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from runyard.base.errors import InvalidInput, RunyardError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fastapi import FastAPI, Request


_MOST_FAULTS = 20
_MOST_CHARACTERS = 500
# Shorter texts occur in our own words.
_LONG = 8
# A JSON string, or its beginning at the end of a shortened message.
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\.\.\.\Z)')
_LEFT_OUT = '"..."'


def install_error_handlers(app: FastAPI) -> None:
    """Make `app` respond to every failure in this shape."""

    @app.exception_handler(RunyardError)
    async def refused(request: Request, error: RunyardError) -> JSONResponse:
        body = {"detail": error.message, "error": type(error).__name__}
        if isinstance(error, StoreError):
            body["exception_message"] = "Service Unavailable"
        wait = error.details.get("retry_after_seconds")
        return JSONResponse(body, error.status, {"Retry-After": str(wait)} if wait is not None else None)

    @app.exception_handler(RequestValidationError)
    async def misfit(request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [_fault(found) for found in error.errors()[:_MOST_FAULTS]]
        body = {
            "exception_message": "Invalid request received.",
            "exception_detail": faults,
            "detail": in_words(faults),
            "error": InvalidInput.__name__,
        }
        return JSONResponse(body, 422)

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> JSONResponse:
        # uvicorn logs the traceback; the caller does not need it.
        return JSONResponse(
            {"exception_message": "Internal Server Error", "detail": "Internal Server Error"}, 500
        )


def without_texts(message: str, body: Any) -> str:
    """Remove the strings that a message repeats from a body: an invalid parameter may be a password."""
    given = set(_texts(body)) if _QUOTED.search(message) else set()

    def leave_out(found: re.Match[str]) -> str:
        text = found.group()
        if text.endswith("..."):
            shown = text.removesuffix("...")
            is_given = any(json.dumps(each, ensure_ascii=False).startswith(shown) for each in given)
        else:
            is_given = text in {
                json.dumps(each, ensure_ascii=False) for each in given if len(each) <= len(text)
            }
        return _LEFT_OUT if is_given else text

    return _QUOTED.sub(leave_out, message) if given else message


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def in_words(faults: Sequence[dict[str, Any]]) -> str:
    """One line for all faults of a validation: each place and its fault."""
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc'] if part != 'body') or 'body'}: {fault['msg']}"
        for fault in faults
    )


def _fault(found: dict[str, Any]) -> dict[str, Any]:
    """One fault for the response: place, fault and rule, without the input."""
    message, given = found["msg"], found.get("input")
    if isinstance(given, str):
        message = message.replace(repr(given), "it")
        if len(given) >= _LONG:
            message = message.replace(given, "...")
    if found["type"] == "json_invalid":
        message = f"{message}: {found.get('ctx', {}).get('error', '')}"
    return {"loc": [_short(part) for part in found["loc"]], "msg": _short(message), "type": found["type"]}


def _short(value: Any) -> Any:
    """A part of a fault, which may quote the input, shortened."""
    if isinstance(value, str) and len(value) > _MOST_CHARACTERS:
        return f"{value[:_MOST_CHARACTERS]}..."
    return value
