"""Errors as JSON: one shape for every failed request.

    {"detail": "what is wrong and what to do", "error": "NotFound"}

`error` is the class in `runyard.errors`, from which the client raises the same class again. A body or
query that does not fit its schema answers 422 with `exception_message` and `exception_detail` (one entry
per fault: `loc`, `msg`, `type`), besides the two. What was sent is not repeated: it may hold secrets, and
what does not fit may be large.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from runyard.errors import InvalidInput, RunyardError, StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import FastAPI, Request


_MOST_FAULTS = 20
_MOST_CHARACTERS = 500


def install_error_handlers(app: FastAPI) -> None:
    """Make `app` answer every failure in the one shape."""

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
        # uvicorn logs the traceback; the caller has no use for it.
        return JSONResponse(
            {"exception_message": "Internal Server Error", "detail": "Internal Server Error"}, 500
        )


def in_words(faults: Sequence[dict[str, Any]]) -> str:
    """One line for the faults of a validation: each place and what is wrong there."""
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc'] if part != 'body') or 'body'}: {fault['msg']}"
        for fault in faults
    )


def _fault(found: dict[str, Any]) -> dict[str, Any]:
    """One fault as it is answered: where, what is wrong, and which rule says so; not what was sent."""
    message = found["msg"]
    if found["type"] == "json_invalid":
        message = f"{message}: {found.get('ctx', {}).get('error', '')}"
    return {"loc": [_short(part) for part in found["loc"]], "msg": _short(message), "type": found["type"]}


def _short(value: Any) -> Any:
    """A part of a fault, which may quote what was sent, at a length that people read."""
    if isinstance(value, str) and len(value) > _MOST_CHARACTERS:
        return f"{value[:_MOST_CHARACTERS]}..."
    return value
