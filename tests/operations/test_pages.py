"""Pages of listings: each object once, how many there are, and what a page cannot be."""

import pytest
from runyard.base.errors import InvalidInput
from runyard.operations.deployments import deployments, known_flows
from runyard.operations.flow_runs import flow_runs
from runyard.operations.schemas import Paging
from runyard.operations.task_runs import task_runs


@pytest.fixture
def five(client):
    """Five flows, and of one of them five deployments, five runs and five task runs; by kind their ids."""
    flow = client.call(known_flows.create_flow, known_flows.FlowCreate(name="flow-0"))
    made = {"flows": [flow.id], "deployments": [], "flow_runs": [], "task_runs": []}
    for number in range(1, 5):
        body = known_flows.FlowCreate(name=f"flow-{number}")
        made["flows"].append(client.call(known_flows.create_flow, body).id)
    for number in range(5):
        body = deployments.DeploymentCreate(name=f"deployment-{number}", flow_id=flow.id)
        made["deployments"].append(client.call(deployments.create_deployment, body).id)
        body = flow_runs.FlowRunCreate(name=f"run-{number}", flow_id=flow.id)
        made["flow_runs"].append(client.call(flow_runs.create_flow_run, body).id)
        body = task_runs.TaskRunCreate(
            name=f"task-{number}", flow_run_id=made["flow_runs"][0], task_key="load", dynamic_key=str(number)
        )
        made["task_runs"].append(client.call(task_runs.create_task_run, body).id)
    return made


PAGINATE = {
    "flows": known_flows.paginate_flows,
    "deployments": deployments.paginate_deployments,
    "flow_runs": flow_runs.paginate_flow_runs,
    "task_runs": task_runs.paginate_task_runs,
}


@pytest.mark.parametrize("kind", PAGINATE)
def test_pages_have_each_object_once_and_tell_how_many_there_are(client, five, kind):
    pages = [
        client.call(PAGINATE[kind], Paging(limit=2, page=number, sort="NAME_ASC")) for number in (1, 2, 3, 4)
    ]
    assert [item.id for page in pages for item in page.results] == five[kind]
    assert [len(page.results) for page in pages] == [2, 2, 1, 0]
    assert {(page.count, page.limit, page.pages) for page in pages} == {(5, 2, 3)}
    assert [page.page for page in pages] == [1, 2, 3, 4]


@pytest.mark.parametrize("kind", PAGINATE)
def test_a_page_without_wishes_is_the_first_with_the_default_limit(client, five, kind):
    page = client.call(PAGINATE[kind], Paging())
    assert (page.count, page.limit, page.pages, page.page, len(page.results)) == (5, 200, 1, 1, 5)


@pytest.mark.parametrize("kind", PAGINATE)
def test_filters_of_all_kinds_restrict_the_page_and_its_count(client, five, kind):
    chosen = {kind: {"id": {"any_": five[kind][:3]}}, "flows": {"name": {"any_": ["flow-0"]}}}
    if kind == "flows":
        chosen = {"flows": {"id": {"any_": five["flows"][:3]}}}
    page = client.call(PAGINATE[kind], Paging(limit=2, **chosen))
    assert (page.count, page.pages, len(page.results)) == (3, 2, 2)


@pytest.mark.parametrize("kind", PAGINATE)
@pytest.mark.parametrize("wrong", [{"page": 0}, {"page": -1}, {"limit": -1}, {"limit": 201}, {"sort": "AGE"}])
def test_a_page_that_cannot_be_is_refused(client, kind, wrong):
    with pytest.raises(InvalidInput, match=str(next(iter(wrong.values())))):
        client.call(PAGINATE[kind], Paging(**wrong))


def test_a_limit_of_zero_has_no_pages(client, five):
    page = client.call(flow_runs.paginate_flow_runs, Paging(limit=0))
    assert (page.results, page.count, page.pages) == ([], 5, 0)
