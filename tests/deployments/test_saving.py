"""Adding a deployment to a project file: nothing else changes."""

from __future__ import annotations

import stat

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from runyard.base.errors import ProjectError
from runyard.deployments.project.saving import save_deployment, with_deployment

NEW = {"name": "new", "entrypoint": "a.py:f", "schedules": [{"cron": "0 6 * * *"}]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment\n",
        "name: x",
        "name: x\n\ndeployments:\n",
        "name: x\ndeployments: []  # none yet\npull: []\n",
        "deployments: null\n",
        "# top\ndeployments:\n  # first\n  - name: a   # its name\n    tags: b\n\n# the end\npull: []\n",
        "deployments:\n- name: a\n  tags:\n  - x\n- name: b\n",
        "deployments:\n- name: a\n\n- name: b\n  description: |\n    many\n    lines\n\npush: []\n",
        "deployments:\n    -   name: a\n        work_pool: {name: p}\n",
        "deployments:\n  - name: a\n    parameters:\n      deep: {x: [1,\n        2]}",
    ],
)
def test_everything_that_was_there_stays(text):
    new = with_deployment(text, NEW)
    before = yaml.safe_load(text) or {}
    assert yaml.safe_load(new) == {**before, "deployments": [*(before.get("deployments") or []), NEW]}
    for line in text.splitlines():
        kept = line.replace(": []  # none yet", ":").replace(": null", ":") if "deployments" in line else line
        assert kept.rstrip() in new


@pytest.mark.parametrize("text", ["deployments: [{name: a}]\n", "- a\n", "deployments: {a: 1}\n"])
def test_what_cannot_be_added_to_is_refused(text):
    with pytest.raises(ProjectError):
        with_deployment(text, NEW)


_texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20)


@given(st.lists(st.fixed_dictionaries({"name": _texts, "description": _texts}), max_size=3), _texts)
def test_any_text_may_be_said(existing, text):
    before = yaml.safe_dump(
        {"name": "x", "deployments": existing}, allow_unicode=True, default_flow_style=False
    )
    new = with_deployment(before, {"name": "n", "description": text})
    assert yaml.safe_load(new)["deployments"] == [*existing, {"name": "n", "description": text}]


def test_the_file_keeps_its_permissions(tmp_path):
    file = tmp_path / "prefect.yaml"
    file.write_text("name: x\n")
    file.chmod(0o600)
    save_deployment(str(file), NEW)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["prefect.yaml"]
    save_deployment(str(tmp_path / "fresh.yaml"), NEW)
    assert yaml.safe_load((tmp_path / "fresh.yaml").read_text()) == {"deployments": [NEW]}
