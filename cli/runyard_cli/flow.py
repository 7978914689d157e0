"""`runyard flow`: the flows that were deployed or run."""

from __future__ import annotations

from runyard_cli import output as out
from runyard_cli.api import connect, listed
from runyard_cli.command import group, limit_option, output_option

flow = group("flow", "See flows.", "runyard flow ls")


@flow.command("ls", example="runyard flow ls --limit 50")
@limit_option
@output_option
def ls(limit: int, output: str | None) -> None:
    """List flows, the newest first."""
    from runyard.operations import flows

    found = list(listed(connect(), flows.filter_flows, limit=limit, sort="CREATED_DESC"))
    if output:
        out.print_json(found)
        return
    rows = [[each.id, each.name, out.ago(each.created)] for each in found]
    out.table("Flows", ["ID", "Name", "Created"], rows, "No flows yet; run or deploy one.")
