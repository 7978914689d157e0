"""The tutorial and the how-to pages do what they say: every file is written, every command typed."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from _pages import Reader
from _ports import free_port

DOCS = Path(__file__).parents[2] / "docs"
TUTORIAL = re.findall(r": (tutorial/[\w-]+\.md)$", (DOCS.parent / "mkdocs.yml").read_text(), re.MULTILINE)


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=lambda path: path.stem)
def test_the_text_before_a_file_names_it(path):
    # A site shows the title of a block, GitHub does not.
    page = path.read_text()
    for found in re.finditer(r'^```\w+ title="([^"]+)"', page, re.MULTILINE):
        before = [line for line in page[: found.start()].split("```")[-1].splitlines() if line[:4] != "<!--"]
        earlier = f"`{found[1]}`" in page[: found.start()] and not "".join(before).strip()
        assert f"`{found[1]}`" in "".join(before) or earlier, found[1]


@pytest.fixture
def bucket(monkeypatch):
    """The bucket of the tutorial, and the environment that leads to it."""
    moto = pytest.importorskip("moto.server", reason="needs moto[server]")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    httpx.put(f"http://{host}:{port}/my-bucket", headers={"Host": "my-bucket"}, timeout=60).raise_for_status()
    yield f"http://{host}:{port}/my-bucket"
    server.stop()


def test_the_tutorial_works_from_its_first_page_to_its_last(tmp_path, bucket):
    own = {"4200": str(free_port()), "/tmp/prefect": str(tmp_path / "prefect")}
    with Reader(tmp_path / "reader", own) as reader:
        assert len(TUTORIAL) == 8  # one for each chapter, and the practice
        for page in TUTORIAL:
            reader.follow((DOCS / page).read_text())
    assert "<Key>results/" in httpx.get(f"{bucket}?list-type=2", timeout=60).text
    assert list((tmp_path / "prefect").iterdir()) != []


@pytest.mark.parametrize(
    "name",
    [
        "backup",
        "concepts",
        "deploying",
        "developing",
        "from-airflow",
        "from-cron",
        "from-prefect",
        "index",
        "operating",
        "retention",
        "server",
        "steps",
        "upgrading",
    ],
)
def test_a_page_does_what_it_says(tmp_path, name):
    with Reader(tmp_path / "reader", {"4200": str(free_port())}) as reader:
        reader.follow((DOCS / f"{name}.md").read_text())


def test_the_way_to_postgresql(tmp_path, postgres_cluster):
    address = "postgresql://runyard:PASSWORD@db.example.org/runyard"
    page = (DOCS / "moving.md").read_text()
    assert page.count(address) == 1
    with Reader(tmp_path / "reader", {address: postgres_cluster.fresh_database()}) as reader:
        reader.follow(page)
