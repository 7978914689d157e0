"""Reading what people type: key=value, JSON, durations and moments."""

from __future__ import annotations

import json
import math
import re
import shlex
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from runyard.base.errors import InvalidInput

from runyard_cli.shared.times import absolute

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

# What was `now` when it was typed has not passed yet.
_JUST_NOW = timedelta(seconds=60)
_INSTANT = re.compile(r"\{instant\b")
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?")
# Words for the start of a day, and how many days it is from today.
_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
_NO_TIME = (
    "invalid time {text!r}; write 2026-11-22T06:00, with an offset if not local, 06:00, "
    "or words such as 'tomorrow 9am'"
)


def pair(text: str, option: str) -> tuple[str, str]:
    """The key and the text of `key=value`.

    Raises:
        InvalidInput: `=` or the key is missing.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InvalidInput(f"{option} {text!r} is not key=value")
    return key.strip(), value


def parse(text: str) -> Any:
    """The value of a JSON text; anything else is the text itself, NaN and 1e400 too.

    Raises:
        InvalidInput: such a number, which would be lost, is in a list or an object.
    """
    try:
        return json.loads(text, parse_float=_number, parse_constant=_number)
    except _NoNumber as error:
        if text.lstrip()[0] in "[{":
            raise InvalidInput(f'JSON has no number {error}; give it as a text: "{error}"') from None
        return text
    except (ValueError, RecursionError):
        return text


class _NoNumber(ValueError):
    """A number that JSON does not have, or that is too large for a float."""


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _NoNumber(text)
    return number


def json_object(text: str, option: str) -> dict[str, Any]:
    """The mapping that a JSON text holds; `-` reads it from standard input.

    Raises:
        InvalidInput: it is not valid JSON, or not an object.
    """
    from runyard.domain.typed_parameters import read_object

    return read_object(sys.stdin.read() if text == "-" else text, option)


def parameters(given: list[str], whole: str | None, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    """Parameters from `--param` and `--params`; of both, `--param` wins.

    Args:
        given: `key=value` texts; the value is JSON, or text where it is none.
        whole: a JSON object.
        schema: the flow's parameter schema: a value of a text parameter stays text, and one of a decimal
            keeps every digit. None: not known yet, see Returns.

    Returns:
        Values as JSON has them; NaN and the infinities are texts, which a flow reads as numbers. Without a
        schema numbers are `Typed`, for `fitted` to make them so later.

    Raises:
        InvalidInput: one of them cannot be read.
    """
    from runyard.domain.typed_parameters import read_parameters

    return read_parameters(typed(given), whole_text(whole), schema)


def refuse_templates(given: Sequence[str]) -> None:
    """Refuse values that only `--param-template` fills in, which would be the same text in all runs.

    Args:
        given: `key=value` texts of `--param`.

    Raises:
        InvalidInput: a value names `{instant}`.
    """
    for text in given:
        if _INSTANT.search(text):
            raise InvalidInput(f"--param does not fill in {text!r}; use --param-template {shlex.quote(text)}")


def typed(given: Sequence[str]) -> dict[str, str]:
    """The texts of `--param`, by parameter.

    Raises:
        InvalidInput: one of them is not key=value.
    """
    return dict(pair(text, "--param") for text in given)


def whole_text(given: str | None) -> str | None:
    """The text of `--params`; `-` reads it from standard input."""
    return sys.stdin.read() if given == "-" else given


def job_variables(given: list[str]) -> dict[str, Any]:
    """Job variables from `key=value` texts and JSON objects, later ones over earlier ones.

    A value is read as JSON where that loses nothing: `true` is a boolean, `3.10` stays text.

    Raises:
        InvalidInput: one of them cannot be read.
    """
    values: dict[str, Any] = {}
    for text in given:
        if text.lstrip().startswith("{"):
            values.update(json_object(text, "--job-variable"))
            continue
        key, value = pair(text, "--job-variable")
        parsed = parse(value)
        lossy = isinstance(parsed, (int, float)) and json.dumps(parsed) != value.strip()
        values[key] = value if lossy else parsed
    return values


def duration(text: str, option: str | None = None) -> timedelta:
    """The duration of `90s`, `1h30m`, `2 hours`, `in 10 minutes`, or as files have it `01:30:00`, `PT90M`.

    Args:
        option: the option that has it, for errors.

    Raises:
        InvalidInput: it is invalid or negative.
    """
    from runyard.domain.durations import read_duration

    where = f"{option}: " if option else ""
    try:
        length = read_duration(text)
    except ValueError as error:
        raise InvalidInput(f"{where}{error}") from None
    if length < timedelta():
        raise InvalidInput(f"{where}the duration {text!r} is negative")
    return length


def later(text: str, now: datetime | None = None) -> datetime:
    """The moment that is this duration after the present.

    Raises:
        InvalidInput: the duration is invalid, or ends after the year 9999.
    """
    try:
        return (now or datetime.now(UTC)) + duration(text)
    except OverflowError:
        raise InvalidInput(f"{text!r} from now is after the year 9999; give a shorter duration") from None


def moment(
    text: str, now: datetime | None = None, zone: ZoneInfo | None = None, ahead: bool = True
) -> datetime:
    """The moment of an ISO 8601 text, of words, or when a clock shows `HH:MM`.

    Args:
        text: without an offset it is a time of the zone's clocks. `today`, `yesterday` and `tomorrow` are
            the start of that day.
        now: the present.
        zone: by default this machine's local time.
        ahead: of several moments, such as those of `06:00` and `monday`, the coming one; False: the last one.

    Raises:
        InvalidInput: it is invalid.
    """
    word = text.strip()
    from runyard.domain.schedules.time_zones import instants_of

    present = (now or datetime.now(UTC)).astimezone(zone)
    clock = _CLOCK.fullmatch(word)
    try:
        if clock:
            hour, minute, second = (int(part or 0) for part in clock.groups())
            found = present.replace(hour=hour, minute=minute, second=second, microsecond=0)
            step = (found <= present) if ahead else -(found > present)
            return (found + timedelta(days=step)).astimezone(UTC)
        days = _DAYS.get(word.lower())
        given = datetime.fromisoformat(word if days is None else str(present.date() + timedelta(days=days)))
        if zone is not None and given.tzinfo is None:
            # A time that the clocks skip is the end of the gap, as it is for schedules.
            return instants_of(given, zone)[0]
        return given.astimezone(UTC)
    except OverflowError:
        raise InvalidInput(f"{text!r} is not within the years 1 to 9999") from None
    except ValueError:
        return _in_words(word, text, present, zone, ahead)


def start_time(text: str, option: str, now: datetime | None = None) -> datetime:
    """The coming moment at which something is to start.

    Args:
        text: as for `moment`, in this machine's local time.
        option: where it was given, for errors.
        now: the present.

    Raises:
        InvalidInput: it is invalid, or in the past.
    """
    present = now or datetime.now(UTC)
    found = moment(text, now)
    if found < present - _JUST_NOW:
        raise InvalidInput(
            f"{option} {text!r} is in the past ({absolute(found)}); omit {option} to start now"
        )
    return found


def past(text: str, now: datetime | None = None, zone: ZoneInfo | None = None) -> datetime:
    """A moment of the past: as `moment`, of several the last one, or how long ago: `30d`, `2 hours`.

    Raises:
        InvalidInput: it is invalid.
    """
    if _CLOCK.fullmatch(text.strip()):
        return moment(text, now, zone, ahead=False)
    try:
        ago = duration(text)
    except InvalidInput:
        return moment(text, now, zone, ahead=False)
    try:
        return (now or datetime.now(UTC)) - ago
    except OverflowError:
        raise InvalidInput(f"{text!r} ago is before the year 1; give a shorter duration") from None


def _in_words(word: str, text: str, present: datetime, zone: ZoneInfo | None, ahead: bool) -> datetime:
    """The moment that words such as `tomorrow 9am` name."""
    import warnings

    if not re.search(r"[A-Za-z]{2}", word):
        raise InvalidInput(_NO_TIME.format(text=text))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import dateparser

        wishes: dict[str, Any] = {
            "PREFER_DATES_FROM": "future" if ahead else "past",
            "RELATIVE_BASE": present.replace(tzinfo=None),
            "RETURN_AS_TIMEZONE_AWARE": True,
        }
        if zone is not None:
            wishes["TIMEZONE"] = zone.key
        plain = re.sub(r"(?i)^(next|on|at|this)\s+", "", word)
        found = dateparser.parse(plain, languages=["en"], settings=wishes)
    if found is None:
        raise InvalidInput(_NO_TIME.format(text=text))
    return found.astimezone(UTC)
