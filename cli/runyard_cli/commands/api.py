"""`runyard api`: any route of the API, with or without a server."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qsl, unquote, urlsplit

import typer

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.client import connect
from runyard_cli.shared.coercion import one_of
from runyard_cli.shared.options import Output, argument, option

if TYPE_CHECKING:
    from runyard.operations.operation import Operation

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_UNREACHED = 7


api = App()


@api.command(
    "api",
    example="""runyard api GET /work_pools/my-pool
        runyard api POST /flow_runs/filter --data '{"limit": 3}'
        runyard api PATCH /work_pools/my-pool --data @change.json""",
)
def _api(
    context: typer.Context,
    method: Annotated[str, argument("METHOD", parser=one_of(_METHODS))],
    path: Annotated[str, argument("PATH")],
    data: Annotated[
        str | None,
        option(
            "--data",
            help="The body; @FILE reads it from a file, - from standard input.",
            metavar="JSON|@FILE",
        ),
    ] = None,
    verbose: Annotated[bool, option("-v", "--verbose", help="Show the route on standard error.")] = False,
    form: Output = None,
) -> None:
    """Call a route of the API and print the answer, as JSON if nothing else is asked for.

    Without RUNYARD_API_URL the route runs in this process, on the database. Exit codes: 0 done, 1
    not sent (unknown route, invalid body), 3 refused, 4 another error of the caller, 5 an error of the
    server, 7 no answer.
    """
    from runyard.base.errors import ApiUnavailable, RunyardError

    operation, given = _find(method.upper(), path)
    if verbose:
        out.progress(f"{operation.method} /api{operation.path} ({operation.name})")
    body = _body(operation, data)
    if body is not None:
        given["body"] = body
    try:
        answer = connect().call(operation, **given)
    except ApiUnavailable as error:
        out.error_line(str(error))
        context.exit(_UNREACHED)
    except RunyardError as error:
        out.error_line(str(error))
        context.exit(3 if error.status in (401, 403) else 4 if error.status < 500 else 5)
    if answer is None:
        return
    if operation.text:
        typer.echo(answer)
    elif form or out.on_terminal():
        out.print_data(answer, form or "json")
    else:
        typer.echo(out.json_text(answer))


def _find(method: str, path: str) -> tuple[Operation[..., Any], dict[str, Any]]:
    """The operation of a route, and its arguments in the path and the query."""
    from runyard.base.errors import NotFound
    from runyard.base.suggestions import did_you_mean
    from runyard.operations import all_operations
    from runyard.operations.wire import hints

    from runyard_cli.shared.client import model

    parts = urlsplit(path)
    # The route that another method has.
    others: list[str] = []
    wanted = "/" + parts.path.strip("/").removeprefix("api/")
    candidates = sorted(all_operations(), key=lambda each: len(each.placeholders))
    for operation in candidates:
        pattern = re.sub(r"{\w+}", "([^/]+)", operation.path.rstrip("/"))
        match = re.fullmatch(pattern, wanted.rstrip("/"))
        if match and operation.method != method:
            others.append(operation.method)
        elif match:
            given: dict[str, Any] = dict(
                zip(operation.placeholders, map(unquote, match.groups()), strict=True)
            )
            kinds = hints(operation)
            for name, text in parse_qsl(parts.query):
                if name not in kinds:
                    raise WrongUsage(f"{operation.path} takes no {name!r} in its query.")
                given[name] = model(kinds[name], text)  # which reads numbers and switches from text
            return operation, given
    depth = wanted.rstrip("/").count("/")
    known = [
        each.path
        for each in candidates
        if each.method == method and each.path.rstrip("/").count("/") == depth
    ]
    there = f"it has {', '.join(sorted(set(others)))}" if others else ""
    hint = did_you_mean(wanted, known, there or "a route is written like /flow_runs/filter", cutoff=0.85)
    raise NotFound(f"unknown route {method} {wanted}{hint}")


def _body(operation: Operation[..., Any], data: str | None) -> Any:
    from runyard.base.errors import InvalidInput
    from runyard.operations.wire import hints

    from runyard_cli.shared.client import model

    kind = hints(operation).get("body")
    if kind is None:
        if data is not None:
            raise WrongUsage(f"{operation.path} takes no body.")
        return None
    text = "{}"
    if data == "-":
        text = sys.stdin.read()
    elif data is not None and data.startswith("@"):
        try:
            with open(data[1:], encoding="utf-8") as file:
                text = file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"--data {data} cannot be read: {error}") from None
    elif data is not None:
        text = data
    try:
        return model(kind, json.loads(text))
    except RecursionError:
        raise InvalidInput("--data is nested too deep") from None
    except ValueError as error:
        raise InvalidInput(f"--data is not valid JSON: {error}") from None
