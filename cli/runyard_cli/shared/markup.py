"""Square brackets in texts that rich prints: they are no markup of its."""

from __future__ import annotations


def escaped(text: str) -> str:
    """A text in which square brackets are no markup of rich."""
    return text.replace("[", "\\[")


def unescaped(text: str) -> str:
    """The text that was escaped."""
    return text.replace("\\[", "[")
