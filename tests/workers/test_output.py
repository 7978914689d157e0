"""What runs print becomes lines: cut, never dropped below the limit, and without secrets."""

from __future__ import annotations

import base64
import html
import itertools
import json
import os
import urllib.parse
from xml.sax import saxutils

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runyard.base.errors import InvalidInput, StoreError
from runyard.workers import run_output, terminal
from runyard.workers.run_output import MAX_LINE_CHARACTERS, LogBuffer, Pipe, RunOutput


def _through(pipe: Pipe, chunks: list[bytes]) -> None:
    for chunk in chunks:
        os.write(pipe.write_end, chunk)
        while pipe.read():
            pass
    os.close(pipe.write_end)
    while pipe.read():
        pass
    assert not pipe.open
    pipe.close()


def _printed(chunks: list[bytes], echo: str | None = None) -> list[str]:
    lines: list[str] = []
    _through(Pipe(lines.extend, echo), chunks)
    return lines


def _cut(data, sent: bytes) -> list[bytes]:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=5)))
    return [sent[start:end] for start, end in itertools.pairwise([0, *cuts, len(sent)])]


@given(st.lists(st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]))), st.data())
def test_lines_arrive_whole_however_they_are_cut(lines, data):
    sent = "".join(f"{line}\n" for line in lines).encode()
    assert _printed(_cut(data, sent)) == lines


def test_a_last_line_without_an_end_is_kept():
    assert _printed([b"one\ntw", b"o"]) == ["one", "two"]


def test_a_long_line_is_split_and_nothing_is_lost():
    text = "x" * (2 * MAX_LINE_CHARACTERS + 5)
    parts = _printed([text[:60_000].encode(), text[60_000:].encode() + b"\n"])
    assert "".join(parts) == text
    assert max(map(len, parts)) <= MAX_LINE_CHARACTERS


def test_bytes_that_are_no_text_are_shown_not_refused():
    assert _printed([b"\xff\xfe ok\n"]) == ["\ufffd\ufffd ok"]


def test_a_runs_output_can_be_shown_by_the_worker(capsys):
    _printed([b"hello\n"], echo="stdout")
    terminal.flush()
    assert capsys.readouterr().out == "hello\n"


_FORMS = {
    "plain": lambda text: text,
    "repr": repr,
    "json": json.dumps,
    "json in json": lambda text: json.dumps({"body": json.dumps({"key": text})}),
    "url": urllib.parse.quote_plus,
    "base64": lambda text: base64.b64encode(b"user:" + text.encode()).decode(),
    "bytes": lambda text: repr(text.encode()),
    "html": html.escape,
    "xml": saxutils.quoteattr,
}


@given(
    st.text(st.characters(codec="utf-8"), min_size=8, max_size=40).filter(lambda text: len(text.strip()) > 7),
    st.sampled_from(sorted(_FORMS)),
    st.data(),
)
def test_a_secret_shows_in_no_form_and_however_it_is_cut(text, form, data):
    logs = LogBuffer(lambda bodies: None)
    printed = RunOutput(logs, "run")
    kept: list[str] = []
    printed.secrets.register(text)
    written = _FORMS[form](text)
    _through(
        Pipe(kept.extend, None, printed.hide, printed.secrets.reach),
        _cut(data, f"before {written} after\n".encode()),
    )
    shown = "\n".join(kept)
    assert "********" in shown
    assert written not in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")


@pytest.mark.parametrize("before", [0, MAX_LINE_CHARACTERS - 4, 2 * MAX_LINE_CHARACTERS - 7, 1 << 16])
def test_a_secret_in_a_line_without_an_end_does_not_show(before):
    printed = RunOutput(LogBuffer(lambda bodies: None), "run")
    printed.secrets.register("hunter2-secret")
    kept: list[str] = []
    sent = b"x" * before + b"hunter2-secret" + b"y" * 100_000
    pieces = [sent[at : at + 1_000] for at in range(0, len(sent), 1_000)]
    _through(Pipe(kept.extend, None, printed.hide, printed.secrets.reach), pieces)
    assert "".join(kept) == "x" * before + "********" + "y" * 100_000


def _run_that_prints(lines: list[str], at_once: int = 1_000) -> list[dict]:
    written: list[dict] = []
    logs = LogBuffer(written.extend)
    printed = RunOutput(logs, "run")
    for at in range(0, len(lines), at_once):
        printed.keep("stdout", lines[at : at + at_once])
    printed.finish()
    logs.flush()
    return written


def test_over_the_limit_one_line_says_so_and_the_end_is_kept(monkeypatch):
    monkeypatch.setenv("RUNYARD_LOGGING_MAX_MEGABYTES_PER_RUN", "1")
    lines = [f"{number:099d}" for number in range(20_000)]
    written = _run_that_prints(lines)
    notices = [at for at, body in enumerate(written) if body["name"] == "runyard.worker"]
    assert len(notices) == 1
    assert "more than 1 MB" in written[notices[0]]["message"]
    texts = [body["message"] for body in written if body["name"] == "runyard.stdout"]
    first = notices[0]
    assert texts[:first] == lines[:first]
    assert len(texts) > first
    assert texts[first:] == lines[first - len(texts) :]
    assert sum(len(text) + 300 for text in texts) < 1_500_000


def test_a_flood_of_short_lines_is_kept_in_large_records(monkeypatch):
    monkeypatch.setattr(run_output, "PACKED_FROM_BYTES", 1_000_000)
    lines = [f"{number:019d}" for number in range(50_000)]
    written = _run_that_prints(lines)
    assert "\n".join(body["message"] for body in written).split("\n") == lines
    assert len(written) < 10_000
    assert max(len(body["message"]) for body in written) <= MAX_LINE_CHARACTERS


def test_what_could_not_be_written_is_written_later():
    written: list[dict] = []
    away = [True]

    def write(bodies):
        if away[0]:
            raise StoreError("away")
        written.extend(bodies)

    logs = LogBuffer(write)
    for number in range(2500):
        logs.add("run", "runyard.stdout", str(number))
    with pytest.raises(StoreError):
        logs.flush()
    away[0] = False
    logs.flush()
    assert [body["message"] for body in written] == [str(number) for number in range(2500)]
    assert len(logs) == 0
    assert not logs.full


def test_a_record_that_is_refused_costs_no_other_one(capsys):
    written: list[dict] = []

    def write(bodies):
        if any(body["message"] == "7" for body in bodies):
            raise InvalidInput("no sevens")
        written.extend(bodies)

    logs = LogBuffer(write)
    for number in range(20):
        logs.add("run", "runyard.stdout", str(number))
    logs.flush()
    assert [body["message"] for body in written] == [str(number) for number in range(20) if number != 7]
    terminal.flush()
    assert "refused and lost: 1 log record: no sevens" in capsys.readouterr().err


def test_groups_stay_below_what_an_api_takes():
    groups: list[int] = []
    logs = LogBuffer(lambda bodies: groups.append(sum(len(body["message"]) for body in bodies)))
    for _ in range(200):
        logs.add("run", "runyard.stdout", "x" * MAX_LINE_CHARACTERS)
    logs.flush()
    assert sum(groups) == 200 * MAX_LINE_CHARACTERS
    assert max(groups) <= LogBuffer.GROUP_BYTES


def test_a_terminal_gets_no_control_character_of_a_run_but_colours(monkeypatch):
    shown = []
    monkeypatch.setattr(terminal, "write", lambda stream, text: shown.append((stream, text)))
    assert _printed([b"a\x00b\x1b[2J\x07\t\x1b[31mred\x1b[0m caf\xc3\xa9\r\n"], "stdout") == [
        "a\x00b\x1b[2J\x07\t\x1b[31mred\x1b[0m café"
    ]
    assert shown == [("stdout", "a\\x00b\\x1b[2J\\x07\t\x1b[31mred\x1b[0m café\n")]
