"""Flow runs that the command executes in its own process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard_cli.shared import output as out
from runyard_cli.shared import values
from runyard_cli.shared.client import body, connect
from runyard_cli.shared.watch import tell_end

if TYPE_CHECKING:
    from runyard.client import Client


def run_again_here(
    client: Client,
    run: Any,
    entrypoint: str,
    param: list[str] | None = None,
    whole: str | None = None,
    output: str | None = None,
) -> int:
    """Run a run without a deployment again in this process.

    Args:
        client: where it is recorded.
        run: the run.
        entrypoint: its code.
        param: `key=value` texts of parameters that differ.
        whole: the text of a JSON object of parameters that differ.
        output: `json` or `yaml`: print the run at its end, and what its code prints on standard error.

    Returns:
        The exit code.
    """
    from runyard.deployments.loading.loading import load_flow, parameter_schema
    from runyard.domain import exact_parameters
    from runyard.engine.entry import run_again
    from runyard.engine.recorded_parameters import restored
    from runyard.operations.flow_runs import flow_runs

    with out.prints_aside(bool(output)):
        flow: Any = load_flow(entrypoint)
        parameters = run.parameters
        if param or whole is not None:
            given = values.parameters(param or [], whole, parameter_schema(flow))
            rest = restored(parameters, exact_parameters.without(run.context, given), flow)
            flow.validate_parameters({**rest, **given})
            parameters = {**parameters, **given}
            change = body(flow_runs.update_flow_run, parameters=parameters)
            client.call(flow_runs.update_flow_run, run.id, body=change)
        state = run_again(flow, run.id, parameters)
    if output:
        out.print_data(client.call(flow_runs.read_flow_run, run.id), output)
        return 0 if state.is_completed() or state.is_paused() else 1
    return ended(run, state)


def ended(run: Any, state: Any) -> int:
    """Say how a run of this process ended; the exit code."""
    from runyard.operations.flow_runs import flow_runs

    if state.is_completed():
        out.done(f"Flow run '{run.name}' completed.")
        return 0
    if state.is_paused():
        out.done(f"Flow run '{run.name}' is suspended again.")
        return 0
    client = connect()
    tell_end(client, client.call(flow_runs.read_flow_run, run.id))
    return 1
