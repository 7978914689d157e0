"""Everything Runyard raises on purpose, in one tree.

RunyardError                    message for the user; `status` is its HTTP status
├── NotFound              404   no such object
├── Conflict              409   it exists already, or its state does not allow this
├── InvalidInput          422   a value is wrong
│   ├── ParameterError    409   a flow's parameters do not fit its signature
│   ├── ScheduleError     422   a cron, interval, rrule or time zone is wrong
│   └── ProjectError      422   a prefect.yaml is wrong; says file, line and key
├── NotAllowed            403   refused to this caller
├── StaleAttempt          409   a report from an attempt that lost its lease
├── Locked                423   not enough slots of a limit are free now
├── LeaseGone             410   a lease of slots ran out, or was given back
├── EntrypointError       422   a flow's file or function cannot be loaded
├── StoreError            503   the database cannot be used
│   ├── DatabaseBusy      503   another process held it for too long
│   ├── DatabaseCorrupt   500   it is no database, or is damaged
│   ├── DatabaseTooNew    500   a newer Runyard made it
│   └── DatabaseReadOnly  500   no permission, or no space, to write
├── ApiUnavailable        503   the API does not answer
├── MissingExtra          500   an optional dependency is not installed
├── SettingError          503   a setting has a wrong value, or the key of the secrets is gone
├── RunFailed                   a failed run's state was asked for its result
│   ├── RunCrashed              ... a crashed one's
│   └── RunCancelled            ... a cancelled one's
├── RunPaused                   ... a paused one's
├── RunUnfinished               ... one's that is not over
├── MissingResult               a finished run whose result was not kept
└── RunAborted                  the orchestrator refused that this run goes on
"""

import re
from typing import Any

from runyard.base.url_passwords import hidden

# The most characters of one word of a message, such as a name that it repeats.
_WORD = 500
_LONG_WORD = re.compile(rf"\S{{{_WORD + 1},}}")


def bounded(text: str, most: int = 4000) -> str:
    """A message of a size that people read: what it repeats of an input may have any.

    Args:
        most: how many characters it may have, not counting a note that some were left out.
    """
    if len(text) <= _WORD:
        return text
    return _cut(_LONG_WORD.sub(lambda word: _cut(word.group(), _WORD // 2), text), most)


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]} ... ({len(text) - 2 * half:,} characters left out) ... {text[-half:]}"


class RunyardError(Exception):
    """The base of all. `str(error)` is one line for the user: what is wrong, where, what to do.

    It holds no password of a URL that it names, and is of bounded size.
    """

    status = 500
    most_characters = 4000

    def __init__(self, message: str, **details: Any) -> None:
        message = bounded(hidden(message), self.most_characters)
        super().__init__(message)
        self.message = message
        self.details = details


class NotFound(RunyardError):
    """No such object."""

    status = 404


class Conflict(RunyardError):
    """It exists already, or the state it is in does not allow this."""

    status = 409


class InvalidInput(RunyardError):
    """A value is wrong."""

    status = 422


class ParameterError(InvalidInput):
    """A flow's parameters do not fit its signature."""

    status = 409


class ScheduleError(InvalidInput):
    """A cron expression, interval, recurrence rule or time zone is wrong."""


class ProjectError(InvalidInput):
    """A project file is wrong; each line of the message starts with `file:line:column`."""

    most_characters = 40_000


class NotAllowed(RunyardError):
    """Refused to this caller."""

    status = 403


class StaleAttempt(RunyardError):
    """A report came from an attempt that no longer holds the run's lease."""

    status = 409


class Locked(RunyardError):
    """Not enough slots of a limit are free now; `details["retry_after_seconds"]`: when to ask again."""

    status = 423


class LeaseGone(RunyardError):
    """A lease of slots ran out and they were taken, or it was given back."""

    status = 410


class EntrypointError(RunyardError):
    """A flow's file or function cannot be loaded."""

    status = 422


class StoreError(RunyardError):
    """The database cannot be used."""

    status = 503


class DatabaseBusy(StoreError):
    """Another process held the database for too long."""


class DatabaseCorrupt(StoreError):
    """The file is no database, or is damaged."""

    status = 500


class DatabaseLost(StoreError):
    """This process has no open file of its database any more, and cannot get it back."""

    status = 500


class DatabaseMoved(StoreError):
    """The file was moved, deleted or replaced while it was open here."""


class DatabaseTooNew(StoreError):
    """A newer Runyard made this database."""

    status = 500


class DatabaseReadOnly(StoreError):
    """There is no permission, or no space, to write."""

    status = 500


class ApiUnavailable(RunyardError):
    """The API does not answer."""

    status = 503


class MissingExtra(RunyardError):
    """An optional dependency is not installed."""


class SettingError(RunyardError):
    """A setting has a wrong value, or what it names, such as the key of the secrets, is not there."""

    status = 503


class RunFailed(RunyardError):
    """A failed run's state was asked for its result: its message is the state's."""

    most_characters = 20_000


class RunCrashed(RunFailed):
    """A crashed run's state was asked for its result."""


class RunCancelled(RunFailed):
    """A cancelled run's state was asked for its result."""


class RunPaused(RunyardError):
    """A paused run's state was asked for its result."""


class RunUnfinished(RunyardError):
    """The state of a run that is not over was asked for its result."""


class MissingResult(RunyardError):
    """A finished run's result was not kept."""


class RunAborted(RunyardError):
    """The orchestrator refused that this run goes on."""


def extra_missing(module: str, extra: str) -> MissingExtra:
    """The one-line error for an optional dependency that is not installed."""
    return MissingExtra(f"{module} is not installed; run: pip install 'runyard[{extra}]'")


class StorageAway(RunyardError):
    """A storage cannot be reached, or failed each of several times."""

    status = 503
