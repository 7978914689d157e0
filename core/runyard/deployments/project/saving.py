"""Writes a deployment into a project file; the rest of the file stays unchanged, including comments."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import yaml

from runyard.base.errors import ProjectError, StoreError
from runyard.deployments.project.yaml_places import load


def save_deployment(file: str, deployment: dict[str, Any]) -> None:
    """Add a deployment to a project file, which is created if it does not exist.

    Args:
        file: the file's path.
        deployment: its mapping.

    Raises:
        ProjectError: the file is invalid, or the deployment cannot be added.
        StoreError: it cannot be written.
    """
    try:
        with open(file, encoding="utf-8-sig") as stream:
            before = stream.read()
    except FileNotFoundError:
        before = ""
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{file} cannot be read: {error}") from None
    _replace(file, with_deployment(before, deployment, os.path.basename(file)))


def with_deployment(text: str, deployment: dict[str, Any], name: str = "prefect.yaml") -> str:
    """The text of a project file with one more deployment at the end of its list.

    Raises:
        ProjectError: the text is invalid, or its deployments are not a list over several lines.
    """
    data, places = load(text, name)
    if data is not None and not isinstance(data, dict):
        raise places.error((), "a project file is a mapping")
    said = (data or {}).get("deployments")
    node = places.node(("deployments",))
    if node is None:
        start = text if not text or text.endswith("\n") else text + "\n"
        new = f"{start}{chr(10) if start.strip() else ''}deployments:\n{_block(deployment, 2)}"
    elif not said and isinstance(node, yaml.ScalarNode | yaml.SequenceNode):
        head = text[: node.start_mark.index].rstrip(" ")
        tail = text[node.end_mark.index :].lstrip(" ")
        new = f"{head}\n{_block(deployment, 2)}{tail.removeprefix(chr(10))}"
    elif isinstance(node, yaml.SequenceNode) and not node.flow_style:
        new = _after_last_item(text, node, deployment)
    else:
        raise places.error(("deployments",), "write the deployments as a list with `- `, one below the other")
    try:
        saved, _ = load(new, name)
    except ProjectError:
        saved = None
    if saved != {**(data or {}), "deployments": [*(said or []), deployment]}:
        raise places.error(("deployments",), "cannot be added to; add the deployment by hand")
    return new


def _after_last_item(text: str, node: yaml.SequenceNode, deployment: dict[str, Any]) -> str:
    lines = text.splitlines(keepends=True)
    first = node.value[0].start_mark
    indent = lines[first.line][: first.column].rindex("-")
    line = _last_line(node.value[-1], lines)
    if not lines[line].endswith("\n"):
        lines[line] += "\n"
    # Separated like the items before it.
    apart = "\n" if len(node.value) > 1 and _is_blank_before(node.value[-1], lines) else ""
    lines.insert(line + 1, apart + _block(deployment, indent))
    return "".join(lines)


def _is_blank_before(item: yaml.Node, lines: list[str]) -> bool:
    line = item.start_mark.line - 1
    return line >= 0 and not lines[line].strip()


def _last_line(node: yaml.Node, lines: list[str]) -> int:
    """The line, counted from 0, on which a node's text ends."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return max(_last_line(value, lines) for _, value in node.value)
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return max(_last_line(value, lines) for value in node.value)
    end = node.end_mark
    line: int = end.line
    if end.column == 0 and line > node.start_mark.line:
        line -= 1
        while line > node.start_mark.line and not lines[line].strip():
            line -= 1
    return min(line, len(lines) - 1)


def _block(deployment: dict[str, Any], indent: int) -> str:
    """A deployment as an item of a list."""
    text = yaml.safe_dump(deployment, sort_keys=False, allow_unicode=True, width=100)
    lines = text.splitlines()
    margin = " " * indent
    return "".join(f"{margin}{'- ' if not number else '  '}{line}\n" for number, line in enumerate(lines))


def _replace(file: str, text: str) -> None:
    """Write a file atomically."""
    folder = os.path.dirname(os.path.abspath(file))
    try:
        mode = os.stat(file).st_mode & 0o777 if os.path.exists(file) else 0o644
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".prefect-")
        try:
            with open(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
            os.chmod(temporary, mode)
            os.replace(temporary, os.path.realpath(file))
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror}") from None
