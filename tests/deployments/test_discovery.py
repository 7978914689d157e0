"""Finding flows without importing anything."""

from __future__ import annotations

from runyard.deployments.loading.discovery import find_flows


def test_flows_are_found_by_their_decorators(write, project_folder):
    write(
        "flows/etl.py",
        "import nothing_of_that_name\nimport prefect\nfrom prefect import flow, task\n\n"
        "@flow\ndef daily_etl():\n    pass\n\n@flow(name='Second')\nasync def other():\n    pass\n\n"
        "@prefect.flow(log_prints=True)\ndef third():\n    pass\n\n@task\ndef no_flow():\n    pass\n\n"
        "class Jobs:\n    @flow\n    def method(self):\n        pass\n",
    )
    assert [(flow.entrypoint, flow.name, flow.line) for flow in find_flows(str(project_folder))] == [
        ("flows/etl.py:daily_etl", "daily-etl", 6),
        ("flows/etl.py:other", "Second", 10),
        ("flows/etl.py:third", "third", 14),
        ("flows/etl.py:Jobs.method", "method", 23),
    ]


def test_what_is_not_the_projects_own_code_is_left_out(write, project_folder):
    code = "from prefect import flow\n@flow\ndef f(): pass\n"
    for path in (".hidden/a.py", "venv/a.py", "mine/lib/site-packages/a.py", "env2/lib/a.py"):
        write(path, code)
    write("env2/pyvenv.cfg", "")
    write("broken.py", "@flow\ndef f(:\n")
    write("text.txt", code)
    assert find_flows(str(project_folder)) == []
