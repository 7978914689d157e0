"""Numbered migrations. The process that opens a database first applies them under the driver's write lock."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runyard.base.errors import DatabaseTooNew
from runyard.store import online_steps

if TYPE_CHECKING:
    from runyard.store.protocols import Transaction

_FOLDER = os.path.join(os.path.dirname(__file__), "migrations")

# The number of the newest file in migrations/; a test keeps the two equal, so that opening a database does
# not list the folder.
LATEST = 13


def scripts() -> list[tuple[int, str]]:
    """All migrations as (number, SQL), oldest first."""
    found = []
    for name in sorted(os.listdir(_FOLDER)):
        if name.endswith(".sql"):
            with open(os.path.join(_FOLDER, name), encoding="utf-8") as file:
                found.append((int(name.split("_")[0]), file.read()))
    return found


def statements(script: str) -> list[str]:
    """The statements of a migration; removes `--` comments and splits at `;`."""
    lines = [line.partition("--")[0] for line in script.splitlines()]
    return [part.strip() for part in "\n".join(lines).split(";") if part.strip()]


def check(version: int, where: str) -> bool:
    """Whether a database at `version` needs an upgrade.

    Raises:
        DatabaseTooNew: a newer Runyard created it.
    """
    if version > LATEST:
        raise DatabaseTooNew(
            f"{where} has schema {version}, but this Runyard supports only up to {LATEST}; upgrade Runyard"
        )
    return version < LATEST


def upgrade(tx: Transaction, version: int) -> None:
    """Apply all migrations between `version` and `LATEST` in the given transaction.

    The folder contains later ones if the package is upgraded while this process runs. A new database gets at
    once what others get step by step.
    """
    for number, script in scripts():
        if version < number <= LATEST:
            for statement in statements(script):
                tx.execute(statement)
    if not version:
        online_steps.make_all(tx)
