"""Quote names in suggested commands, so that each name is one word for the shell."""

from __future__ import annotations

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_")
# The maximum length of a name and of a path; nobody types a longer command.
NAME = 255
PATH = 4096


def quoted(value: object, longest: int = NAME) -> str:
    """Quote a text as one word for bash, zsh or ksh.

    Args:
        value: the text, such as a name.
        longest: the maximum number of characters.

    Returns:
        The word, on one line and without control characters; the placeholder `NAME` if the text is too long.
    """
    text = str(value)
    if len(text) > longest:
        return "NAME"
    if text and _PLAIN.issuperset(text):
        return text
    if text.isprintable():
        return "'" + text.replace("'", "'\"'\"'") + "'"
    return "$'" + "".join(map(_escaped, text)) + "'"


def command_of(words: str, *operands: object, options: str = "") -> str:
    """A command line in which names stay names even if they start with `-`.

    Args:
        words: such as `runyard work-pool create`.
        operands: the arguments after them; each becomes one word.
        options: the rest, unchanged.
    """
    names = list(map(quoted, operands))
    dashed = any(str(operand).startswith("-") for operand in operands)
    parts = [words, options, "--", *names] if dashed else [words, *names, options]
    return " ".join(part for part in parts if part)


def _escaped(char: str) -> str:
    if char in "'\\":
        return f"\\{char}"
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x80 else f"\\U{code:08x}"
