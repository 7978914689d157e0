"""`/api/docs`: the routes of the API as one page without external content."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from fastapi.responses import HTMLResponse

if TYPE_CHECKING:
    from fastapi import FastAPI

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code{font-family:ui-monospace,monospace}summary{cursor:pointer}pre{white-space:pre-wrap}"
    "details{border-top:1px solid #ccc;padding:.3rem 0}b{display:inline-block;width:4.5rem}"
)
# No script, no image, only the style above.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def add_reference(app: FastAPI) -> None:
    """Add the page to the application."""
    pages: list[str] = []

    # A coroutine, because it never blocks.
    async def reference() -> HTMLResponse:
        if not pages:
            pages.append(_page(app.openapi()))
        return HTMLResponse(pages[0], headers={"Content-Security-Policy": _POLICY})

    app.add_api_route("/api/docs", reference, include_in_schema=False)


def _page(described: dict[str, Any]) -> str:
    by_tag: dict[str, list[str]] = {}
    for path, methods in described["paths"].items():
        for method, route in methods.items():
            tag = (route.get("tags") or ["other"])[0]
            by_tag.setdefault(tag, []).append(_route(method, path, route))
    title = html.escape(f"{described['info']['title']} {described['info']['version']}")
    parts = [
        f"<h2>{html.escape(tag.replace('_', ' '))}</h2>{''.join(routes)}"
        for tag, routes in sorted(by_tag.items())
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style><h1>{title}</h1>"
        '<p>The schemas of all bodies and answers: <a href="/api/openapi.json">openapi.json</a></p>'
        f"{''.join(parts)}</html>"
    )


def _route(method: str, path: str, route: dict[str, Any]) -> str:
    lines = [route.get("description") or route.get("summary", "")]
    for parameter in route.get("parameters", ()):
        needed = ", required" if parameter.get("required") else ""
        lines.append(f"{parameter['name']} ({parameter['in']}{needed}): {_type(parameter.get('schema', {}))}")
    body = route.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body:
        lines.append(f"body: {_type(body)}")
    return (
        f"<details><summary><b>{html.escape(method.upper())}</b> <code>{html.escape(path)}</code></summary>"
        f"<pre>{html.escape(chr(10).join(lines))}</pre></details>"
    )


def _type(schema: dict[str, Any]) -> str:
    """The type of a value in a schema: the name of its model or its JSON type."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(_type(one) for one in schema[several])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "any value")
