"""The tree of a flow run's task runs and subflow runs, as people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from runyard.base.texts import counted, visible

from runyard_cli.shared import output as out
from runyard_cli.shared.client import listed
from runyard_cli.shared.run_lists import took

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runyard.client import Client

_ERROR = 40
_TRACEBACK = "Traceback (most recent call last):"
# How many failed runs are shown with their tracebacks, and how many characters of an error.
_TRACED, _LINE = 5, 200


def tree_lines(root: Any, traces: dict[str, list[str]] | None = None) -> Iterator[str]:
    """The lines of a tree, without its root.

    Args:
        root: a node as the API returns it.
        traces: the lines of tracebacks, by the id of a failed run.
    """
    yield from _below(root, "", traces or {})


def _below(node: Any, indent: str, traces: dict[str, list[str]]) -> Iterator[str]:
    rows = [*node.children, *([None] if node.left_out else [])]
    for number, child in enumerate(rows, 1):
        last = number == len(rows)
        branch, inner = ("└─ ", "   ") if last else ("├─ ", "│  ")
        if child is None:
            yield typer.style(f"{indent}{branch}{_left_out(node.left_out)}", dim=True)
            continue
        yield f"{indent}{branch}{_line(child)}"
        for line in traces.get(child.id, ()):
            rail = "│  " if child.children else "   "
            yield typer.style(f"{indent}{inner}{rail}{visible(line)}", fg="red")
        yield from _below(child, indent + inner, traces)


def _line(node: Any) -> str:
    sign, style = out.state_sign(node.state_name or "no state")
    words = [visible(node.name)]
    if node.kind == "flow_run":
        words.append(typer.style("(flow run)", dim=True))
    words.append(typer.style(visible(sign), fg=style.removeprefix("bold ") or None))
    if node.start_time is not None:
        words.append(typer.style(took(node.run_time), dim=True))
    if node.error and not any(child.error == node.error for child in node.children):
        first = " ".join(node.error.split())
        words.append(visible(first if len(first) <= _LINE else f"{first[:_LINE]}..."))
    return "  ".join(words)


def _left_out(states: dict[str, int]) -> str:
    told = ", ".join(f"{number:,} {name}" for name, number in sorted(states.items()))
    return f"and {counted(sum(states.values()), 'other')}: {told}"


def failed_nodes(root: Any) -> list[Any]:
    """The failed nodes below a root that have no failed node below them: where the errors began."""
    found = []
    for child in root.children:
        inner = failed_nodes(child)
        if inner:
            found += inner
        elif child.error:
            found.append(child)
    return found


def tracebacks(client: Client, root: Any) -> dict[str, list[str]]:
    """The tracebacks of the failed runs of a tree, from their logs; each error once.

    Args:
        client: where the logs are.
        root: the tree.

    Returns:
        The lines of a traceback, by the id of its run.
    """
    from runyard.operations.records import logs

    found: dict[str, list[str]] = {}
    seen: set[str] = set()
    for node in failed_nodes(root)[:_TRACED]:
        whose = "task_run_id" if node.kind == "task_run" else "flow_run_id"
        criteria = {whose: {"any_": [node.id]}, "level": {"ge_": _ERROR}}
        for record in listed(client, logs.filter_logs, logs=criteria, sort="TIMESTAMP_DESC", limit=20):
            _, mark, rest = record.message.partition(_TRACEBACK)
            if mark and rest.strip() not in seen:
                seen.add(rest.strip())
                found[node.id] = [mark, *rest.strip("\n").splitlines()]
                break
    return found
