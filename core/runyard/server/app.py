"""The FastAPI application: one route per operation, and middleware for all routes."""

from __future__ import annotations

import inspect
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Body, FastAPI, Query, Request, Response
from fastapi.middleware.gzip import GZipMiddleware

from runyard import settings
from runyard.base.version import VERSION
from runyard.operations import all_operations
from runyard.operations.perform import perform
from runyard.operations.plain_bodies import BODIES, WITH_RESULTS, PlainBody
from runyard.operations.schemas import build_models
from runyard.operations.wire import encode_result, hints
from runyard.server.bodies import StrictRoute
from runyard.server.error_answers import install_error_handlers
from runyard.server.guard import Guard
from runyard.server.long_polls import Changes
from runyard.server.reference import add_reference
from runyard.server.server_duties import Maintenance
from runyard.store.database import Database, get_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from runyard.operations.operation import Operation

_LONGEST_POLL_SECONDS = 30.0


class Service:
    """What the routes use: the database, and the watcher of its changes.

    Args:
        database: the database of the API.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.changes = Changes(database)

    def close(self) -> None:
        """Stop watching; the database stays open."""
        self.changes.close()


def create_app(
    database: Database | None = None,
    auth: str | None = None,
    maintenance: bool = True,
    operations: Iterable[Operation[..., Any]] | None = None,
    hosts: Iterable[str] = (),
    any_address: bool = False,
) -> FastAPI:
    """Create the application, with every operation under `/api`.

    Args:
        database: the database; default: the settings' one.
        auth: `user:password` of every caller; empty: only the user who runs the server may call. Default: the
            setting.
        maintenance: whether this process also schedules and recovers runs.
        operations: the operations that get a route; default: all.
        hosts: host names of this server, besides loopback names and the setting's.
        any_address: whether any IP address and this machine's name are valid host names too.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service: Service = app.state.service
        loops = Maintenance(service.database) if maintenance else None
        if loops:
            loops.start()
        try:
            yield
        finally:
            if loops:
                loops.stop()
            service.close()

    app = FastAPI(
        title="Runyard",
        version=VERSION,
        lifespan=lifespan,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = Service(database or get_database())
    install_error_handlers(app)
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=4)
    app.add_middleware(
        Guard,
        auth=settings.get("api_auth_string") if auth is None else auth,
        hosts=[*hosts, *settings.get("server_allowed_hosts").split(",")],
        any_address=any_address,
        most_bytes=settings.get("server_max_body_bytes"),
        results=(
            frozenset(f"/api{each.path}" for each in all_operations() if each.name in WITH_RESULTS),
            max(settings.get("server_max_result_bytes"), settings.get("server_max_body_bytes")),
        ),
    )
    app.router.route_class = StrictRoute
    all_operations()  # imports all models
    build_models()
    _add_changes(app)
    add_reference(app)
    for operation in sorted(all_operations() if operations is None else operations, key=_specificity):
        _add_route(app, operation)
    return app


def _specificity(operation: Operation[..., Any]) -> tuple[bool, ...]:
    # The first matching route is used, so `/a/filter` must come before `/a/{name}`.
    return tuple(part.startswith("{") for part in operation.path.split("/"))


def _add_route(app: FastAPI, operation: Operation[..., Any]) -> None:
    app.add_api_route(
        f"/api{operation.path}",
        _endpoint(app, operation),
        methods=[operation.method],
        status_code=operation.status,
        response_model=None if operation.status == 204 else hints(operation)["return"],
        summary=operation.name.replace("_", " ").capitalize(),
        description=inspect.getdoc(operation.function),
        operation_id=operation.name,
        tags=[_group(operation)],
    )


def _group(operation: Operation[..., Any]) -> str:
    """What the route is about, by which the reference groups: the first part of its path."""
    first, _, rest = operation.path.strip("/").partition("/")
    return rest.partition("/")[0] if first == "runyard" else first


def _endpoint(app: FastAPI, operation: Operation[..., Any]) -> Callable[..., Response]:
    """A function with the operation's own arguments, which FastAPI parses and validates by their type hints.

    It is not a coroutine, so FastAPI runs it in a thread: the database may block.
    """

    def endpoint(**given: Any) -> Response:
        body = given.get("body")
        if isinstance(body, PlainBody):
            given["body"] = body.plain()
        result, status = perform(app.state.service.database, operation, (), given)
        if status == 204:
            return Response(status_code=204)
        if operation.file:
            saved = {"Content-Disposition": f'attachment; filename="{operation.file}"'}
            return Response(result, status, saved, media_type="text/csv")
        if operation.text:
            return Response(result, status, media_type="text/plain")
        return Response(encode_result(operation, result), status, media_type="application/json")

    endpoint.__name__ = operation.name
    # FastAPI reads the signature; `inspect` prefers this attribute.
    endpoint.__signature__ = inspect.Signature(_parameters(operation))  # type: ignore[attr-defined]
    return endpoint


def _parameters(operation: Operation[..., Any]) -> list[inspect.Parameter]:
    types = hints(operation)
    parameters = []
    for name, parameter in list(inspect.signature(operation.function).parameters.items())[1:]:
        annotation = types[name]
        if name == "body":
            annotation = BODIES.get(operation.name, annotation)
            # A missing body counts as an empty object.
            factory = {"default_factory": annotation} if _is_optional(operation, annotation) else {}
            annotation = Annotated[annotation, Body(**factory)]
        elif name not in operation.placeholders:
            annotation = Annotated[annotation, Query()]
        parameters.append(parameter.replace(annotation=annotation, kind=inspect.Parameter.KEYWORD_ONLY))
    return parameters


def _is_optional(operation: Operation[..., Any], body: Any) -> bool:
    """Whether the body is optional: none of its fields is required."""
    fields = getattr(body, "model_fields", None)
    if fields is None or operation.method != "POST" or operation.name.startswith("create_"):
        return False
    return not any(field.is_required() for field in fields.values())


def _add_changes(app: FastAPI) -> None:
    # A coroutine, so that a hundred waiting workers need no threads.
    async def changes(
        request: Request,
        since: str | None = None,
        timeout_seconds: Annotated[float, Query(ge=0)] = 0.0,
    ) -> str:
        """A token that changes when a transaction is committed.

        With `since`, an earlier token, the response comes when the two differ, or after
        `timeout_seconds` (at most 30).
        """
        waiting: Changes = request.app.state.service.changes
        if since is None:
            return await waiting.token()
        return await waiting.wait(since, min(timeout_seconds, _LONGEST_POLL_SECONDS))

    app.add_api_route("/api/runyard/changes", changes, tags=["changes"])
