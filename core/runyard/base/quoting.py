"""Names inside of commands that a message suggests: each is one word of a shell, whatever stands in it."""

from __future__ import annotations

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_")
# The most characters of a name and of a file's path; nobody types a command with a longer one.
NAME = 255
PATH = 4096


def quoted(value: object, longest: int = NAME) -> str:
    """A text as one word of a command line of bash, zsh or ksh.

    Args:
        value: such as a name; its characters mean nothing to the shell afterwards.
        longest: the most characters.

    Returns:
        The word, on one line and without control characters. For a longer text, the placeholder
        `NAME`.
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
    """A command with names in it, which stay names where they begin with `-`.

    Args:
        words: such as `runyard work-pool create`.
        operands: what stands after them; each becomes one word.
        options: the rest, as it is to be typed.
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
