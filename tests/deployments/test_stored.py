"""Variables and blocks in project files: filled in when they are used, secrets never stored."""

from __future__ import annotations

import json

import pytest
from _yard import a_yard, logs_of, until
from runyard.base.errors import ProjectError
from runyard.base.redaction import redact
from runyard.blocks.system import JSON, Secret
from runyard.client import connect
from runyard.deployments.placeholders import stored_placeholders
from runyard.operations.deployments.deployments import DeploymentUpdate, read_deployment, update_deployment
from runyard.operations.flow_runs.flow_runs import read_flow_run
from runyard.sdk.variables import Variable

pytestmark = pytest.mark.usefixtures("home")


def test_values_keep_their_type_and_are_text_within_text():
    Variable.set("size", 3)
    JSON(value={"a": [1]}).save("settings")
    value = {
        "whole": "{{ prefect.variables.size }}",
        "text": "x-{{ prefect.variables.size }}-{{ $HOME }}",
        "block": "{{ prefect.blocks.json.settings }}",
        "field": "{{ prefect.blocks.json.settings.value.a }}",
    }
    assert stored_placeholders.resolve(value, "here") == {
        "whole": 3,
        "text": "x-3-{{ $HOME }}",
        "block": {"a": [1]},
        "field": [1],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ prefect.variables.x }}", "variable 'x' not found; set it: runyard variable set x VALUE"),
        ("{{ prefect.blocks.secret.x }}", "block secret/x not found; save it: runyard secret set x"),
        ("{{ prefect.blocks.json.y }}", "block json/y not found; save it: runyard block create"),
        ("{{ prefect.blocks.json.there.value.b }}", "the block json/there has no 'b'"),
    ],
)
def test_what_is_missing_says_where_and_what_to_type(text, message):
    JSON(value={"a": 1}).save("there")
    with pytest.raises(ProjectError, match=r"prefect\.yaml:3:1: ") as raised:
        stored_placeholders.resolve([text], "prefect.yaml:3:1")
    assert message in str(raised.value)


def test_a_secret_goes_where_it_is_used_and_nowhere_else():
    Secret(value="swordfish").save("key")
    text = "{{ prefect.blocks.secret.key }}"
    with pytest.raises(ProjectError, match="would be stored in clear text here"):
        stored_placeholders.resolve(text, "here", secrets=False)
    assert stored_placeholders.resolve(text, "here") == "swordfish"
    assert redact("the swordfish") == "the ********"


FLOW = """
import os
from runyard import flow

@flow(name="work")
def main():
    print("region", os.environ["REGION"], "token", os.environ["TOKEN"])
    open("env", "w").write(os.environ["TOKEN"])
"""


def test_job_variables_are_filled_in_when_a_run_starts(tmp_path, home):
    Secret(value="swordfish").save("token")
    Variable.set("region", "eu")
    with a_yard(tmp_path) as yard:
        (yard.folder / "env.py").write_text(FLOW)
        variables = {
            "env": {
                "TOKEN": "{{ prefect.blocks.secret.token }}",
                "REGION": "{{ prefect.variables.region }}",
            },
        }
        first = yard.run(entrypoint="env.py:main", job_variables=variables)
        missing = yard.run(
            entrypoint="env.py:main", job_variables={"env": {"X": "{{ prefect.variables.nothing }}"}}
        )
        yard.worker()
        yard.ended(first, "COMPLETED")
        assert (yard.folder / "env").read_text() == "swordfish"
        # The worker reads what a run prints, a moment after its end at the latest.
        printed = until(
            lambda: [log.message for log in logs_of(yard, first) if log.message.startswith("region")]
        )
        assert printed == ["region eu token ********"]
        assert "variable 'nothing' not found" in yard.ended(missing, "CRASHED").message
        kept = b"".join(path.read_bytes() for path in home.glob("runyard.db*"))
        assert b"swordfish" not in kept
        assert "swordfish" not in yard.said()


def test_pull_steps_are_filled_in_when_a_run_starts(tmp_path):
    Variable.set("folder", "code")
    with a_yard(tmp_path) as yard:
        (yard.folder / "code").mkdir()
        (yard.folder / "code" / "pulled.py").write_text(
            "from runyard import flow\n@flow(name='work')\ndef main():\n    print('pulled')\n"
        )
        run = yard.run(entrypoint="pulled.py:main")
        step = {"set_working_directory": {"directory": f"{yard.folder}/{{{{ prefect.variables.folder }}}}"}}
        deployment = yard.client.call(read_flow_run, run).deployment_id
        yard.client.call(update_deployment, deployment, DeploymentUpdate(pull_steps=[step]))
        yard.worker()
        yard.ended(run, "COMPLETED")
        assert "prefect.variables.folder" in json.dumps(
            connect().call(read_deployment, deployment).pull_steps
        )
