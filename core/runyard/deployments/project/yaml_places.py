"""YAML with places: parses a file safely and remembers the line and column of every key and value."""

from __future__ import annotations

from typing import Any

import yaml

from runyard.base.errors import ProjectError

Path = tuple[str | int, ...]

_MOST_VALUES = 1_000_000


def _dates_as_text(loader: Any) -> Any:
    """The safe loader, with dates as the original text."""
    loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return loader


_Loader = _dates_as_text(type("_Loader", (yaml.SafeLoader,), {}))
# Several times faster, if PyYAML was built with it; its messages are less detailed.
_FastLoader = _dates_as_text(type("_FastLoader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {}))


class Places:
    """The places of a file.

    Args:
        name: the file as shown to the user.
        root: its root node, or None for an empty file.
    """

    def __init__(self, name: str, root: yaml.Node | None = None) -> None:
        self.name = name
        self._root = root

    def at(self, path: Path, key: bool = False) -> str:
        """`file:line:column` of the value at `path`, or with `key`, of its key.

        For a path that the file does not have, the place of its nearest parent.
        """
        node: yaml.Node | None = self._root
        mark = node.start_mark if node else None
        for depth, step in enumerate(path):
            found = _child(node, step)
            if found is None:
                break
            mark = found[0 if key and depth == len(path) - 1 else 1].start_mark
            node = found[1]
        return f"{self.name}:{mark.line + 1}:{mark.column + 1}" if mark else self.name

    def text(self, path: Path) -> str | None:
        """The scalar at `path` as it was written (`1.10`, not the number 1.1), or None."""
        node = self.node(path)
        return node.value if isinstance(node, yaml.ScalarNode) else None

    def is_mapping(self, path: Path) -> bool:
        """Whether the value at `path` is a mapping."""
        return isinstance(self.node(path), yaml.MappingNode)

    def node(self, path: Path) -> yaml.Node | None:
        """The node at `path`, or None."""
        node: yaml.Node | None = self._root
        for step in path:
            found = _child(node, step)
            if found is None:
                return None
            node = found[1]
        return node

    def error(self, path: Path, message: str, key: bool = False) -> ProjectError:
        """A ProjectError with its place: `file:line:column: dotted.path: message`."""
        label = dotted(path)
        return ProjectError(f"{self.at(path, key)}: {label + ': ' if label else ''}{message}")


def dotted(path: Path) -> str:
    """A path for people: `deployments[0].schedule.cron`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def load(text: str, name: str) -> tuple[Any, Places]:
    """Parse YAML.

    Args:
        text: the file's content.
        name: the file as shown in errors.

    Returns:
        The data (dates stay text), and their places.

    Raises:
        ProjectError: the text is not valid YAML, or has a key twice; starts with file, line and column.
    """
    try:
        return _load(_FastLoader, text, name)
    except (yaml.YAMLError, ValueError, RecursionError):
        pass  # reported below, with the message of the other loader
    try:
        return _load(_Loader, text, name)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        problem = " ".join(part for part in (error.context, error.problem) if part)
        raise ProjectError(f"{where}: malformed YAML: {problem}{_hint(text, mark)}") from None
    except yaml.YAMLError as error:
        raise ProjectError(f"{name}: malformed YAML: {' '.join(str(error).split())}") from None
    except (ValueError, RecursionError) as error:
        raise ProjectError(f"{name}: cannot be read: {error}") from None


def _load(kind: Any, text: str, name: str) -> tuple[Any, Places]:
    loader = kind(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None, Places(name)
        _refuse_duplicates(root, name)
        _refuse_endless(root, name)
        return loader.construct_document(root), Places(name, root)
    finally:
        loader.dispose()


def _hint(text: str, mark: yaml.Mark | None) -> str:
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "; indent with spaces, not tabs"
    return "; write a placeholder in quotes: '{{ name }}'" if "{{" in line else ""


def _child(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """The key node (for a list, the item itself) and the value node of one step into `node`."""
    if isinstance(node, yaml.MappingNode):
        # The last one counts: merge keys come first when the document is constructed.
        for key, value in reversed(node.value):
            if isinstance(key, yaml.ScalarNode) and key.value == str(step):
                return key, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and 0 <= step < len(node.value):
        return node.value[step], node.value[step]
    return None


def _refuse_duplicates(root: yaml.Node, name: str) -> None:
    seen: set[int] = set()
    twice: list[tuple[yaml.Mark, str]] = []
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)
        elif isinstance(node, yaml.MappingNode):
            keys: set[tuple[str, str]] = set()
            for key, value in node.value:
                waiting.append(value)
                if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                    continue
                if (key.tag, key.value) in keys:
                    twice.append((key.start_mark, key.value))
                keys.add((key.tag, key.value))
    if twice:
        twice.sort(key=lambda each: (each[0].line, each[0].column))
        raise ProjectError(
            "\n".join(
                f"{name}:{mark.line + 1}:{mark.column + 1}: duplicate key {key!r}" for mark, key in twice
            )
        )


def _refuse_endless(root: yaml.Node, name: str) -> None:
    """Refuse an alias inside the node that it names, because no data can have that form, and too many values.

    A few lines of aliases of aliases can stand for more values than any memory holds.
    """
    around: set[int] = set()
    # How many values each node stands for, aliases followed.
    known: dict[int, int] = {}
    # Each node twice: at its start, and after its content.
    waiting = [(root, False)]
    while waiting:
        node, left = waiting.pop()
        if left:
            around.discard(id(node))
            known[id(node)] = 1 + sum(known.get(id(inner), 1) for inner in _inner(node))
            if known[id(node)] > _MOST_VALUES:
                where = f"{name}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"
                raise ProjectError(f"{where}: with its aliases this is more than {_MOST_VALUES:,} values")
        elif id(node) in around:
            where = f"{name}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"
            raise ProjectError(f"{where}: an alias inside this node refers to the whole node")
        elif id(node) not in known and not isinstance(node, yaml.ScalarNode):
            around.add(id(node))
            waiting.append((node, True))
            waiting.extend((inner, False) for inner in _inner(node))


def _inner(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [each for pair in node.value for each in pair]
    return list(node.value)
