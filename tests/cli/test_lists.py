"""Lists: which rows and columns each form shows, and what a terminal shows beside a pipe."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from runyard_cli.shared import output as out
from runyard_cli.shared.app import WrongUsage
from runyard_cli.shared.lists import Column, Listing, Page, View, cut, shortened, show_list

NOW = datetime.now(UTC)
SOON = NOW + timedelta(hours=2)
THINGS = Listing(
    "Things",
    (
        Column("Name", lambda row: row["name"], "name"),
        Column("State", lambda row: row["state"], "state"),
        Column("Next run", lambda row: row["next"], "time"),
        Column("Size", lambda row: row["size"]),
        Column("Note", lambda row: row["note"], wide=True),
        Column("ID", lambda row: row["id"], "id"),
    ),
    "No things; create one with: runyard thing create",
)
ROWS = [
    {"name": "b\tx", "state": "FAILED", "next": SOON, "size": 10, "note": None, "id": "abcd1234-1"},
    {"name": "[red]a[/red]", "state": "Late", "next": None, "size": 9, "note": "n\nm", "id": "abcd1234-2"},
]  # fmt: skip


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr(out, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")


def printed(capsys, view=View(), page=None):  # noqa: B008  (never changed)
    show_list(THINGS, lambda: page or cut(ROWS, 0), view)
    return capsys.readouterr()


def test_a_pipe_has_one_row_a_line_without_a_heading(capsys):
    lines = printed(capsys).out.splitlines()
    assert [line.split("\t") for line in lines] == [
        ["b x", "FAILED", SOON.astimezone().isoformat(timespec="seconds"), "10", "abcd1234-1"],
        ["[red]a[/red]", "Late", "", "9", "abcd1234-2"],
    ]  # fmt: skip


def test_wide_has_all_columns_and_name_only_names(capsys):
    assert "n m" in printed(capsys, View("wide")).out
    assert printed(capsys, View("name")).out.splitlines()[1] == "[red]a[/red]"


def test_json_and_yaml_are_the_whole_objects(capsys):
    assert [row["note"] for row in json.loads(printed(capsys, View("json")).out)] == [None, "n\nm"]
    assert [row["size"] for row in yaml.safe_load(printed(capsys, View("yaml")).out)] == [10, 9]


def test_columns_and_sort(capsys):
    assert printed(capsys, View(columns="size, next-run", sort="size")).out.splitlines()[0] == "9\t"
    assert printed(capsys, View(columns="Size", sort="-size")).out == "10\n9\n"
    # What is missing is last.
    assert printed(capsys, View(columns="size", sort="next-run")).out == "10\n9\n"
    assert printed(capsys, View(columns="size", sort="-next-run")).out == "10\n9\n"
    assert printed(capsys, View(columns=" SIZE,", sort=" - Size ")).out == "10\n9\n"


@pytest.mark.parametrize(
    ("view", "text"),
    [
        (View(columns="nme"), "did you mean 'name'"),
        (View(sort="-sizes"), "did you mean 'size'"),
        (View(columns=" ,"), "--columns ' ,' names no column; there are: name, state,"),
        (View(sort="-"), "--sort '-' names no column; there are: name, state,"),
        (View(sort=" "), "--sort ' ' names no column; there are: name, state,"),
        (View("json", columns="name"), "--columns does not go together"),
        (View("json", watch=True), "--watch does not go together"),
    ],
)
def test_wrong_options(view, text):
    with pytest.raises(WrongUsage, match=re.escape(text)):
        show_list(THINGS, lambda: cut(ROWS, 0), view)


def test_what_is_left_out_is_said_on_standard_error(capsys):
    assert "1 of 2 shown; --limit 0 shows all." in printed(capsys, page=cut(ROWS, 1)).err
    assert "1 shown and there are more" in printed(capsys, View("json"), Page(ROWS[:1], None)).err
    assert printed(capsys, page=cut(ROWS, 2)).err == ""


def test_an_empty_list_says_how_to_make_the_first(capsys):
    shown = printed(capsys, page=Page([]))
    assert (shown.out, shown.err) == ("", THINGS.empty + "\n")


def test_a_terminal_has_signs_relative_times_and_short_ids(capsys, terminal):
    shown = printed(capsys).out
    assert "✗ FAILED" in shown
    assert "! Late" in shown
    assert "in 2 hours" in shown or "in 119 minutes" in shown
    assert "[red]a[/red]" in shown
    assert "abcd1234-1" in shown  # its first eight are no name for one of them
    assert SOON.astimezone().strftime("%Y-%m-%d %H:%M:%S") in printed(capsys, View("wide")).out


def test_a_very_long_name_leaves_room_for_the_other_columns(capsys, terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    rows = [{**ROWS[1], "name": f"two\nlines {'x' * 300}"}]
    lines = printed(capsys, page=cut(rows, 0)).out.splitlines()
    (line,) = [line for line in lines if "! Late" in line]
    assert line.startswith(" two lines xxxx")
    assert "…" in line
    assert "abcd1234" in line
    assert max(map(len, lines)) <= 80


@given(st.lists(st.uuids().map(str), min_size=1, max_size=20, unique=True))
def test_shortened_ids_are_unique_beginnings(ids):
    short = shortened(ids)
    assert all(whole.startswith(part) for whole, part in zip(ids, short, strict=True))
    assert len(set(short)) == len(ids)
    assert all(sum(other.startswith(part) for other in ids) == 1 for part in short)


def test_the_limit_counts_what_is_sorted(capsys):
    assert printed(capsys, View("name", sort="-size"), cut(ROWS, 1)).out == "b\tx\n"
    shown = printed(capsys, View("name", sort="size"), cut(ROWS, 1))
    assert (shown.out, shown.err) == ("[red]a[/red]\n", "1 of 2 shown; --limit 0 shows all.\n")


@pytest.mark.parametrize("kind", ["work-pool", "work-queue", "deployment", "flow", "variable", "profile"])
def test_json_is_sorted_and_limited_as_the_table_is(runyard, kind):
    for name in ("b", "c", "a"):
        runyard("work-pool", "create", name, "--type", "process")
        runyard("variable", "set", name, "1")
        runyard("profile", "create", name)
    rows = runyard(kind, "ls", "--sort", "-name", "--limit", "2", "-o", "json").json
    names = runyard(kind, "ls", "--sort", "-name", "--limit", "2", "-o", "name").out.split()
    assert [row["name"] for row in rows] == names
    assert names == {"work-pool": ["c", "b"], "variable": ["c", "b"], "profile": ["local", "default"]}.get(
        kind, names
    )


def test_watch_reads_a_list_of_files_again(capsys, monkeypatch):
    """Profiles and environments are files: nothing tells that they changed, so they are read again."""
    read = []

    def page():
        read.append(1)
        return cut(ROWS[: len(read)], 0)

    def later(seconds):
        if len(read) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("runyard_cli.shared.lists.time.sleep", later)
    with pytest.raises(KeyboardInterrupt):
        show_list(THINGS, page, View("name", watch=True))
    assert capsys.readouterr().out.count("[red]a[/red]") == 1
    assert len(read) == 2
