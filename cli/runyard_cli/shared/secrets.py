"""Secrets that a command asks for."""

from __future__ import annotations

import sys

import typer

from runyard_cli.shared import output as out
from runyard_cli.shared.app import WrongUsage


def ask_secret(what: str) -> str:
    """A secret, asked for without echo on a terminal, else all of standard input but its last line end.

    Raises:
        WrongUsage: standard input is empty.
    """
    if out.at_keyboard():
        value: str = typer.prompt(what, hide_input=True, confirmation_prompt=True, err=True)
        return value
    text = sys.stdin.read()
    value = text.removesuffix("\r\n") if text.endswith("\r\n") else text.removesuffix("\n")
    if not value:
        raise WrongUsage(f"{what} is read from standard input, which is empty.")
    return value
