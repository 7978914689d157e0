"""What people type first, from other programs: `ps`, `logs RUN`, `get pools`, `help`, `--yaml`.

Words become the command that is meant; for an option, the error names the option that is meant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

# Of a run, without its group.
_OF_RUNS = ("cancel", "logs", "retry", "watch", "why")
_LISTING = ("get", "list")
_SHOWING = ("describe", "show")
_VERBS = (*_LISTING, *_SHOWING)
# All of them, for completion.
WORDS = (*_OF_RUNS, *_VERBS, "help", "ps")
# Short words for groups, after the verbs.
_THINGS = {
    "limit": "global-concurrency-limit",
    "limits": "global-concurrency-limit",
    "pool": "work-pool",
    "pools": "work-pool",
    "queue": "work-queue",
    "queues": "work-queue",
    "run": "flow-run",
    "runs": "flow-run",
}
# Words that hold in every group that has the command.
IN_GROUPS = {
    "describe": "inspect",
    "get": "inspect",
    "info": "inspect",
    "list": "ls",
    "remove": "delete",
    "rm": "delete",
    "show": "inspect",
}
_OPTIONS = {
    "--dry-run": ("--plan",),
    "--force": ("--yes",),
    "--format": ("--output",),
    "--plan": ("--dry-run",),
    "--wide": ("-o wide",),
    "--yaml": ("-o yaml",),
    "-f": ("--follow", "--yes"),
}
_ALIKE = 0.75


def rewritten(words: list[str], groups: Container[str]) -> list[str]:
    """The command line that is meant.

    Args:
        words: a command line, from the name of the command on.
        groups: the names of commands and their aliases.

    Returns:
        The words, rewritten if they begin with such a word that is no command; empty for `help` alone.
    """
    first, rest = words[0], words[1:]
    if first in groups:
        return words
    if first == "help":
        named = bool(rest) and not rest[0].startswith("-")
        return [*rewritten(rest, groups), "--help"] if named else []
    if first == "ps":
        if rest[:1] in (["-a"], ["--all"]):
            return ["flow-run", "ls", *rest[1:]]
        return ["flow-run", "ls", *([] if _has_state(rest) else ["--state-type", "RUNNING"]), *rest]
    if first in _THINGS:
        return [_THINGS[first], *rest]
    if first in _OF_RUNS:
        return ["flow-run", *words]
    if first in _VERBS and rest:
        thing = _THINGS.get(rest[0], rest[0])
        if thing in groups:
            named = first in _SHOWING or bool(rest[1:] and not rest[1].startswith("-"))
            return [thing, "inspect" if named else "ls", *rest[1:]]
    return words


def _has_state(words: Iterable[str]) -> bool:
    return any(word.startswith("--state") for word in words)


def wants_thing(words: list[str]) -> bool:
    """Whether the words end with a verb, after which a kind of thing is named: `get pools`."""
    return words[-1:] == words and words[0] in (*_VERBS, "help")


def incomplete(words: list[str]) -> str | None:
    """What is wrong with a verb that names no thing; None for all else."""
    if words[0] not in _VERBS:
        return None
    example = "describe flow-run NAME" if words[0] in _SHOWING else f"{words[0]} work-pools"
    return f"Say what to {words[0]}, such as: runyard {example}"


def option_instead(name: str, options: Iterable[str]) -> str:
    """The end of the error about an option that a command does not have.

    Args:
        name: the option that was typed.
        options: the names of those that it has.
    """
    from runyard.base.suggestions import did_you_mean

    there = [each for each in options if each.startswith("--")]
    for meant in _OPTIONS.get(name, ()):
        if meant in there or (meant.startswith("-o ") and "--output" in there):
            return f"; use {meant}."
    longer = [each for each in there if len(name) > 3 and each.startswith(name)]
    if len(longer) == 1:
        return f"; did you mean {longer[0]!r}?"
    # `--name` is the end of `--flow-run-name`.
    ended = [each for each in there if len(name) > 3 and each.endswith(name[1:])]
    if len(ended) == 1:
        return f"; did you mean {ended[0]!r}?"
    return did_you_mean(name, there, cutoff=_ALIKE) or "."
