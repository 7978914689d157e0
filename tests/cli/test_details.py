"""Things in full: what is empty is left out, what a terminal obeys is not printed, secrets are hidden."""

from __future__ import annotations

from datetime import UTC, datetime

from runyard_cli.shared.details import Section, show_details


def test_sections_leave_out_what_is_empty(capsys):
    show_details(
        "Flow run [red]otter[/red]",
        [
            Section("Where", [("Pool", "mine"), ("Queue", None), ("Tags", ["a", "b"]), ("Note", "")]),
            Section("Nothing", [("Empty", [])]),
            Section("When", [("Paused", False)], lines=["first", "second"]),
        ],
        "COMPLETED",
    )
    shown = capsys.readouterr().out
    assert shown.splitlines() == [
        "Flow run [red]otter[/red]  ✓ COMPLETED", "", "Where", "  Pool  mine", "  Tags  a, b", "",
        "When", "  Paused  no", "  first", "  second",
    ]  # fmt: skip


def test_times_have_their_zone_and_data_is_yaml(capsys, monkeypatch):
    show_details(
        "Deployment x",
        [
            Section("When", [("Created", datetime(2026, 1, 1, tzinfo=UTC))]),
            Section("Data", data={"url": "postgresql://me:secret@host/db", "size": 1, "name": "é\x1b[2J"}),
        ],
    )
    shown = capsys.readouterr().out
    assert "ago)" in shown
    assert "2026-01-01" in shown or "2025-12-31" in shown
    assert "  size: 1" in shown
    assert "secret" not in shown
    assert "\x1b" not in shown
