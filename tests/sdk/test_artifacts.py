"""Artifacts that runs leave: of each type, with their run, in versions, with live progress."""

from __future__ import annotations

import asyncio
import math

import pytest
from runyard import flow, task
from runyard.base.errors import InvalidInput, NotFound
from runyard.client import connect
from runyard.operations.flow_runs.flow_runs import delete_flow_run
from runyard.operations.records.stored_artifacts import read_artifact, read_latest_artifact
from runyard.sdk import artifacts

pytestmark = pytest.mark.usefixtures("home")


def read(artifact_id):
    return connect().call(read_artifact, artifact_id)


def test_each_type_is_kept_with_its_run(recorded):
    @task
    def leave():
        return {
            "markdown": artifacts.create_markdown_artifact("# hi", key="text", description="d"),
            "link": artifacts.create_link_artifact("https://x.example", link_text="x"),
            "table": artifacts.create_table_artifact([{"a": 1, "b": math.nan}, {"a": "x", "b": None}]),
            "image": artifacts.create_image_artifact("https://x.example/i.png"),
            "progress": artifacts.create_progress_artifact(12),
        }

    @flow
    def main():
        return leave()

    found = {name: read(made) for name, made in main().items()}
    assert found["markdown"].data == "# hi"
    assert (found["markdown"].key, found["markdown"].description) == ("text", "d")
    assert found["link"].data == "[x](https://x.example)"
    assert found["table"].data == [{"a": 1, "b": None}, {"a": "x", "b": None}]
    assert found["image"].data == "https://x.example/i.png"
    assert found["progress"].data == 12.0
    assert {each.flow_run_id for each in found.values()} == {recorded.flow_runs()[0]["id"]}
    assert {each.task_run_id for each in found.values()} == {recorded.task_runs()[0]["id"]}


def test_progress_is_updated_live():
    made = artifacts.create_progress_artifact(0.0, key="load", description="loading")
    artifacts.update_progress_artifact(made, progress=50)
    assert (read(made).data, read(made).description) == (50.0, "loading")
    artifacts.update_progress_artifact(made, 100, description="loaded")
    assert (read(made).data, read(made).description) == (100.0, "loaded")
    with pytest.raises(InvalidInput, match="not between 0 and 100"):
        artifacts.create_progress_artifact(101)


def test_a_key_has_versions():
    artifacts.create_markdown_artifact("one", key="k")
    artifacts.create_markdown_artifact("two", key="k")
    assert connect().call(read_latest_artifact, "k").data == "two"
    with pytest.raises(InvalidInput, match="invalid artifact key 'Not A Key'"):
        artifacts.create_markdown_artifact("x", key="Not A Key")


def test_async_code_awaits_it(recorded):
    @flow
    async def main():
        first = await artifacts.create_markdown_artifact("one")
        second = await artifacts.acreate_table_artifact({"a": [1, 2]})
        third = await artifacts.acreate_progress_artifact(1)
        await artifacts.aupdate_progress_artifact(third, 2)
        return [first, second, third]

    found = [read(made) for made in asyncio.run(main())]
    assert [each.data for each in found] == ["one", {"a": [1, 2]}, 2.0]
    assert {each.flow_run_id for each in found} == {recorded.flow_runs()[0]["id"]}


def test_a_data_frame_is_a_table():
    class Frame:
        columns = ("a",)

        def to_dict(self, orient):
            assert orient == "records"
            return [{"a": 1}]

    assert read(artifacts.create_table_artifact(Frame())).data == [{"a": 1}]
    assert read(artifacts.create_table_artifact([[1, object]])).data == [[1, str(object)]]
    with pytest.raises(InvalidInput, match="a table is"):
        artifacts.create_table_artifact(3)


def test_artifacts_as_objects():
    made = artifacts.MarkdownArtifact("# hi", key="k").create()
    assert artifacts.Artifact.get("k").id == made.id
    assert artifacts.Artifact.get("none") is None
    assert artifacts.TableArtifact([[1]], key="t").create().type == "table"
    assert (
        artifacts.LinkArtifact("https://x.example").create().data == "[https://x.example](https://x.example)"
    )
    assert artifacts.ProgressArtifact(3).create().data == 3.0
    assert artifacts.ImageArtifact("i.png").create().type == "image"
    assert artifacts.Artifact(type="own", data={"x": 1}).create().data == {"x": 1}


def test_an_artifact_is_made_only_once():
    made, is_new = artifacts.MarkdownArtifact.get_or_create("once", markdown="# hi", metadata_={"by": "test"})
    assert is_new
    assert (made.data, made.metadata_) == ("# hi", {"by": "test"})
    assert artifacts.MarkdownArtifact.get_or_create("once", markdown="# other") == (made, False)

    async def main():
        found, _ = await artifacts.MarkdownArtifact.aget_or_create("once", markdown="# other")
        return found, await artifacts.Artifact.aget("once"), await artifacts.Artifact.get("none")

    assert asyncio.run(main()) == (made, made, None)


def test_artifacts_go_with_their_run(recorded):
    @flow
    def main():
        return artifacts.create_markdown_artifact("# hi")

    made = main()
    connect().call(delete_flow_run, recorded.flow_runs()[0]["id"])
    with pytest.raises(NotFound):
        read(made)
