"""What a shell offers when a person presses TAB: finds what the word is, and prints what it may become.

Each press is a process of its own. It imports no more than the command that is typed, asks for names as
plain rows, and is silent about errors. The words come as arguments and the answer is data: no shell
evaluates a stored name.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from runyard_cli.shared import completers
from runyard_cli.shared.app import unescaped

if TYPE_CHECKING:
    from collections.abc import Iterable

VARIABLE = "_RUNYARD_COMPLETE"
WORD = "_RUNYARD_COMPLETE_WORD"
SHELLS = ("bash", "zsh", "fish", "powershell")
_BREAKS = "\"'><=;|&(:"


class Candidate(NamedTuple):
    """What a word may become. `kind` is plain, or file or dir: then the shell offers paths.

    `whole`: a space follows the word. False for `name=`, to which a value is added.
    """

    value: str
    help: str = ""
    kind: str = "plain"
    whole: bool = True


class _Place:
    """The command that the words name, the value that is typed next, and the values so far."""

    def __init__(self, root: Any) -> None:
        self.command = root
        self.context = root.context_class(root, info_name="runyard", resilient_parsing=True)
        self.path: list[str] = []
        self.values: dict[str, list[str]] = {}
        self.option: Any = None
        self.given: set[str] = set()
        self.position = 0
        self.only_values = False

    @property
    def is_group(self) -> bool:
        return hasattr(self.command, "list_commands")

    @property
    def options(self) -> list[Any]:
        return [each for each in self.command.get_params(self.context) if each.param_type_name == "option"]

    @property
    def arguments(self) -> list[Any]:
        return [each for each in self.command.get_params(self.context) if each.param_type_name == "argument"]

    def argument(self) -> Any:
        """The argument that is typed next; None if all have their values."""
        position = self.position
        for each in self.arguments:
            if each.nargs < 0 or position < each.nargs:
                return each
            position -= each.nargs
        return None

    def descend(self, name: str) -> bool:
        """Enter a command of the group; False if it has none of that name."""
        found = self.command.get_command(self.context, name)
        if found is None:
            return False
        self.context = found.context_class(found, info_name=name, parent=self.context, resilient_parsing=True)
        self.command, self.position = found, 0
        self.path.append(found.name or name)
        return True

    def note(self, option: Any, value: str) -> None:
        """Keep a value by the names of its option."""
        if not self.path and "--profile" in option.opts:
            # Names come from the installation that the command line itself chooses.
            os.environ["RUNYARD_PROFILE"] = value
        for name in option.opts:
            self.values.setdefault(name, []).append(value)


def _takes_value(option: Any) -> bool:
    return not (getattr(option, "is_flag", False) or getattr(option, "count", False))


def _find_option(place: _Place, name: str) -> Any:
    for each in place.options:
        if name in each.opts or name in each.secondary_opts:
            return each
    return None


def _walk(root: Any, words: Iterable[str]) -> _Place | None:
    """Follow the words; None if they are not a command line of ours."""
    place = _Place(root)
    for word in words:
        if place.option is not None:
            place.note(place.option, word)
            place.option = None
        elif word == "--" and not place.only_values:
            place.only_values = True
        elif word.startswith("-") and len(word) > 1 and not place.only_values:
            _read_option(place, word)
        elif place.is_group:
            if not place.descend(word):
                return None
        else:
            place.values.setdefault(completers.ARGUMENTS, []).append(word)
            place.position += 1
    return place


def _read_option(place: _Place, word: str) -> None:
    name, equals, value = word.partition("=")
    option = _find_option(place, name if word.startswith("--") else word)
    if option is not None:
        place.given.add(option.name or "")
        if equals and word.startswith("--"):
            place.note(option, value)
        elif _takes_value(option):
            place.option = option
        return
    # `-ojson`, `-yf`.
    for at, letter in enumerate("" if word.startswith("--") else word[1:], 1):
        option = _find_option(place, f"-{letter}")
        if option is None:
            return
        place.given.add(option.name or "")
        if _takes_value(option):
            if word[at + 1 :]:
                place.note(option, word[at + 1 :])
            else:
                place.option = option
            return


def candidates(root: Any, words: list[str], typed: str) -> list[Candidate]:
    """What a word may become.

    Args:
        root: the command line whose commands, options and values are completed.
        words: the complete words before it, without the program's name.
        typed: the word as far as it is typed.
    """
    place = _walk(root, words)
    if place is None:
        return []
    if place.option is not None:
        return _values(place, place.option, typed)
    if typed.startswith("--") and "=" in typed:
        name, _, value = typed.partition("=")
        option = _find_option(place, name)
        found = _values(place, option, value) if option is not None and _takes_value(option) else []
        return [
            each._replace(value=f"{name}={each.value}") if each.kind == "plain" else each for each in found
        ]
    if typed.startswith("-") and not place.only_values:
        return _options(place, typed)
    if place.is_group:
        return _items(place.command.shell_complete(place.context, typed))
    argument = place.argument()
    if argument is None:
        return [] if place.only_values or typed else _options(place, typed)
    return _values(place, argument, typed)


def _options(place: _Place, typed: str) -> list[Candidate]:
    found = []
    for each in place.options:
        if getattr(each, "hidden", False) or (each.name in place.given and not each.multiple):
            continue
        names = [*each.opts, *each.secondary_opts]
        if not typed.startswith("--"):
            # One name for each option: its long one, or the short one that was typed.
            long = [name for name in names if name.startswith("--")] or names
            names = [name for name in names if name == typed and typed != "-"] or (
                long if typed in ("", "-") else []
            )
        help = (getattr(each, "help", None) or "").strip().partition("\n")[0]
        found += [Candidate(name, help) for name in names if name.startswith(typed)]
    return found


def _values(place: _Place, parameter: Any, typed: str) -> list[Candidate]:
    kind = completers.kind_of(place.path, parameter, place.position)
    if kind is not None:
        found = completers.offered(kind, typed, place.path, place.values)
        return [Candidate(*each) for each in found]
    return _items(parameter.shell_complete(place.context, typed))


def _items(items: Iterable[Any]) -> list[Candidate]:
    return [Candidate(item.value or "", item.help or "", item.type) for item in items]


def answer(root: Any) -> int:
    """Print what the word may become, for the shell that the environment names. Never an error.

    Args:
        root: the command line.

    Returns:
        The exit code: 0, or 1 for an unknown shell.
    """
    shell = os.environ.pop(VARIABLE)
    if shell not in SHELLS:
        return 1
    try:
        words, typed, cut = _READERS.get(shell, _words)(sys.argv[1:])
        found = candidates(root, words, typed)
        lines = [line for each in found if (line := _line(each, typed, cut)) is not None]
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
    except Exception:  # noqa: S110  # whatever it is, the person is typing: the next command will tell
        pass
    return 0


def _line(each: Candidate, typed: str, cut: int) -> str | None:
    """`kind<TAB>value<TAB>help`; None for a value that no line can hold.

    The kind is plain; part, if no space follows; other, if it replaces the whole word; or file or dir.
    """
    value = each.value[cut:] if each.kind == "plain" else each.value
    kind = each.kind if each.whole else "part"
    if kind == "plain" and not each.value.startswith(typed):
        kind = "other"
    if not value.isprintable() and value:
        return None
    about = "".join(char if char.isprintable() else " " for char in unescaped(each.help))
    return f"{kind}\t{value}\t{' '.join(about.split())}"


def _words(arguments: list[str]) -> tuple[list[str], str, int]:
    """The words before the last argument, and the last, which is the word that is typed."""
    return arguments[:-1], arguments[-1] if arguments else "", 0


def _powershell_words(arguments: list[str]) -> tuple[list[str], str, int]:
    """The word that is typed is in a variable: PowerShell leaves out empty arguments."""
    return arguments, os.environ.pop(WORD, ""), 0


def _bash_words(arguments: list[str]) -> tuple[list[str], str, int]:
    """The words of a line up to the cursor.

    bash also splits words at characters such as `:` and `=`, and replaces only what follows the last one. So
    it gives the line itself, and the part of the word that it will replace.

    Returns:
        The words before the one that is typed, that word, and how much of it bash will not replace.
    """
    line, piece = arguments
    words, typed, started = split(line)
    words = words[1:] if words or not started else []
    plain = piece.lstrip("'\"")
    cut = len(typed) - len(plain) if typed.endswith(plain) and typed[: len(typed) - len(plain)] else 0
    breaks = os.environ.get("COMP_WORDBREAKS") or _BREAKS
    if cut and typed[cut - 1] not in breaks:
        cut = 0
    return words, typed, cut


def split(line: str) -> tuple[list[str], str, bool]:
    """The words of an unfinished command line, without their quotes.

    Returns:
        The complete words, the word at the end (empty after a space), and whether one has begun.
    """
    words: list[str] = []
    word, quote, begun, escaped = "", "", False, False
    for char in line:
        if escaped:
            word, escaped, begun = word + char, False, True
        elif quote:
            if char == quote:
                quote = ""
            elif char == "\\" and quote == '"':
                escaped = True
            else:
                word += char
        elif char == "\\":
            escaped = True
        elif char in "'\"":
            quote, begun = char, True
        elif char.isspace():
            if begun:
                words.append(word)
            word, begun = "", False
        else:
            word, begun = word + char, True
    return words, word, begun


_READERS = {"bash": _bash_words, "powershell": _powershell_words}
