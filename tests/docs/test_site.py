"""The documentation as a site: it builds strictly, works without a network, and its search finds pages."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="the site needs the extra docs: make docs installs it")
ROOT = Path(__file__).parents[2]
# What a browser fetches to show a page; a link that a reader may follow is none of it.
_FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
_NOT_FETCHED = {"canonical", "next", "prev"}


def build(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(target)],
        cwd=source,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built as `make docs` does."""
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


class Fetched(HTMLParser):
    """The addresses that a page lets a browser fetch."""

    def __init__(self):
        super().__init__()
        self.addresses = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag in _FETCHED and values.get("rel") not in _NOT_FETCHED:
            self.addresses.append(values.get(_FETCHED[tag]) or "")


def test_pages_fetch_nothing_from_other_hosts(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 50
    for page in pages:
        parser = Fetched()
        parser.feed(page.read_text("utf-8"))
        assert parser.addresses
        assert [one for one in parser.addresses if re.match(r"(https?:)?//", one)] == [], page
    for sheet in site.rglob("*.css"):
        assert (
            re.findall(r"url\([\"']?(?:https?:)?//[^)]*|@import[^;]*//[^;]*", sheet.read_text("utf-8")) == []
        )


def test_every_page_is_in_the_navigation(site):
    home = (site / "index.html").read_text("utf-8")
    pages = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    missing = [page for page in pages if f'href="{page.with_suffix(".html")}"' not in home]
    assert [str(page) for page in missing if str(page) != "index.md"] == []


def test_the_search_knows_words_of_the_pages(site):
    index = json.loads((site / "search" / "search_index.json").read_text("utf-8"))
    found = {
        entry["location"].split("#")[0] for entry in index["docs"] if "takeover" in entry["text"].lower()
    }
    assert "workers.html" in found


def test_broken_links_are_errors(tmp_path):
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("__pycache__", "flows"))
    (tmp_path / "benchmarks").mkdir()
    names = ("CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md", "prefect.yaml.example")
    for name in ("mkdocs.yml", *names):
        shutil.copy(ROOT / name, tmp_path / name)
    with (tmp_path / "docs" / "tasks.md").open("a") as page:
        page.write("\n[a](nowhere.md) [b](flows.md#no-such-heading) [c](../README.md)\n")
    (tmp_path / "docs" / "forgotten.md").write_text("# Not in the navigation\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1
    for broken in ("'nowhere.md'", "no-such-heading", "'../README.md'", "forgotten.md"):
        assert broken in done.stderr
