"""What runs print becomes lines: cut, never dropped."""

from __future__ import annotations

import itertools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runyard.errors import StoreError
from runyard.workers.output import MAX_LINE_CHARACTERS, LogBuffer, Pipe


def _printed(chunks: list[bytes], echo: bool = False) -> list[str]:
    lines: list[str] = []
    pipe = Pipe("stdout", lambda name, line: lines.append(line), echo)
    for chunk in chunks:
        os.write(pipe.write_end, chunk)
        while pipe.read():
            pass
    os.close(pipe.write_end)
    while pipe.read():
        pass
    assert not pipe.open
    pipe.close()
    return lines


@given(st.lists(st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]))), st.data())
def test_lines_arrive_whole_however_they_are_cut(lines, data):
    sent = "".join(f"{line}\n" for line in lines).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=5)))
    edges = [0, *cuts, len(sent)]
    chunks = [sent[start:end] for start, end in itertools.pairwise(edges)]
    assert _printed(chunks) == lines


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
    _printed([b"hello\n"], echo=True)
    assert capsys.readouterr().out == "hello\n"


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
