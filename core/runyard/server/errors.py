"""Errors as JSON: one shape for every failed request.

    {"detail": "what is wrong and what to do", "error": "NotFound"}

`error` is the class in `runyard.errors`, from which the client raises the same class again. A body or
query that does not fit its schema answers 422 with `exception_message`, `exception_detail` (one entry
per fault: `loc`, `msg`, `type`) and `request_body`, besides the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from runyard.errors import InvalidInput, RunyardError, StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import FastAPI, Request


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
        faults = [{key: value for key, value in fault.items() if key != "ctx"} for fault in error.errors()]
        body = {
            "exception_message": "Invalid request received.",
            "exception_detail": faults,
            "request_body": error.body,
            "detail": in_words(faults),
            "error": InvalidInput.__name__,
        }
        return JSONResponse(jsonable_encoder(body), 422)

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
