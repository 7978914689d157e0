"""The API over HTTP (extra `server`): every operation is a route."""

from runyard.base.errors import extra_missing

try:
    import fastapi  # noqa: F401
    import uvicorn  # noqa: F401
except ImportError as error:
    raise extra_missing(error.name or "fastapi", "server") from error
