"""All exceptions that Runyard raises deliberately, in one tree.

RunyardError                    message for the user; `status` is its HTTP status
├── NotFound              404   the object does not exist
├── Conflict              409   the object exists already, or its state does not allow this
├── InvalidInput          422   a value is invalid
│   ├── TooMany           400   more objects than one call takes or returns
│   ├── ParameterError    409   a flow's parameters do not match its signature
│   ├── ScheduleError     422   a cron, interval, rrule or time zone is invalid
│   └── ProjectError      422   a prefect.yaml is invalid; names file, line and key
├── NotAllowed            403   this caller may not do this
├── StaleAttempt          409   a report from an attempt that lost its lease
├── Locked                423   a limit has not enough free slots now
├── LeaseGone             410   a lease of slots expired or was released
├── EntrypointError       422   a flow's file or function cannot be loaded
├── StoreError            503   the database cannot be used
│   ├── DatabaseBusy      503   another process held it for too long
│   ├── DatabaseCorrupt   500   it is damaged or not a database
│   ├── DatabaseTooNew    500   a newer Runyard created it
│   └── DatabaseReadOnly  500   no permission, or no space, to write
├── ApiUnavailable        503   the API does not answer
├── MissingExtra          500   an optional dependency is not installed
├── SettingError          503   a setting is invalid, or the encryption key is missing
├── RunFailed                   result() was called on the state of a failed run
│   ├── RunCrashed              ... of a crashed run
│   └── RunCancelled            ... of a cancelled run
├── RunPaused                   ... of a paused run
├── RunUnfinished               ... of a run that has not finished
├── MissingResult               the result of a finished run was not stored
└── RunAborted                  the orchestrator refused to let this run continue
"""

import re
from typing import Any

from runyard.base.url_passwords import hidden

# The maximum length of one word of a message, such as a name that it repeats.
_WORD = 500
_LONG_WORD = re.compile(rf"\S{{{_WORD + 1},}}")


def bounded(text: str, most: int = 4000) -> str:
    """Shorten a message, because the input that it repeats may be of any length.

    Args:
        most: the maximum number of characters, without the note about omitted characters.
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
    """The base class. `str(error)` is one line for the user: what is wrong, where, what to do next.

    Passwords in URLs are hidden, and the length is limited.
    """

    status = 500
    most_characters = 4000

    def __init__(self, message: str, **details: Any) -> None:
        message = bounded(hidden(message), self.most_characters)
        super().__init__(message)
        self.message = message
        self.details = details


class NotFound(RunyardError):
    """The object does not exist."""

    status = 404


class Conflict(RunyardError):
    """The object exists already, or its state does not allow this."""

    status = 409


class InvalidInput(RunyardError):
    """A value is invalid."""

    status = 422


class TooMany(InvalidInput):
    """The request asks for more objects than one call takes, or would return more than fit."""

    status = 400


class ParameterError(InvalidInput):
    """A flow's parameters do not match its signature."""

    status = 409


class ScheduleError(InvalidInput):
    """A cron expression, interval, recurrence rule or time zone is invalid."""


class ProjectError(InvalidInput):
    """A project file is invalid; each line of the message starts with `file:line:column`."""

    most_characters = 40_000


class NotAllowed(RunyardError):
    """This caller may not do this."""

    status = 403


class StaleAttempt(RunyardError):
    """A report came from an attempt that no longer holds the run's lease."""

    status = 409


class Locked(RunyardError):
    """A limit has not enough free slots now; `details["retry_after_seconds"]` says when to ask again."""

    status = 423


class LeaseGone(RunyardError):
    """A lease of slots expired and others took the slots, or the lease was released."""

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
    """The file is damaged or not a database."""

    status = 500


class DatabaseLost(StoreError):
    """This process lost the open file of its database and cannot open it again."""

    status = 500


class DatabaseMoved(StoreError):
    """The file was moved, deleted or replaced while this process had it open."""


class DatabaseTooNew(StoreError):
    """A newer Runyard created this database."""

    status = 500


class DatabaseReadOnly(StoreError):
    """Writing fails for lack of permission or space."""

    status = 500


class ApiUnavailable(RunyardError):
    """The API does not answer."""

    status = 503


class MissingExtra(RunyardError):
    """An optional dependency is not installed."""


class SettingError(RunyardError):
    """A setting is invalid, or something that it names, such as the encryption key, is missing."""

    status = 503


class RunFailed(RunyardError):
    """`result()` was called on the state of a failed run; the message is the state's."""

    most_characters = 20_000


class RunCrashed(RunFailed):
    """`result()` was called on the state of a crashed run."""


class RunCancelled(RunFailed):
    """`result()` was called on the state of a cancelled run."""


class RunPaused(RunyardError):
    """`result()` was called on the state of a paused run."""


class RunUnfinished(RunyardError):
    """`result()` was called on the state of a run that has not finished."""


class MissingResult(RunyardError):
    """The result of a finished run was not stored."""


class RunAborted(RunyardError):
    """The orchestrator refused to let this run continue."""


def extra_missing(module: str, extra: str) -> MissingExtra:
    """The error for an optional dependency that is not installed."""
    return MissingExtra(f"{module} is not installed; run: pip install 'runyard[{extra}]'")


class StorageAway(RunyardError):
    """A storage cannot be reached, or each of several tries failed."""

    status = 503
