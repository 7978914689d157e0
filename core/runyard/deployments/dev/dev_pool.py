"""The throw-away pool of a development session: created, deleted, deleted later after a kill."""

from __future__ import annotations

import getpass
import os
import re
import socket
from typing import TYPE_CHECKING

from runyard.base.errors import Conflict, NotFound
from runyard.operations.deployments.deployments import filter_deployments
from runyard.operations.deployments.discard_deployment import discard_deployment
from runyard.operations.schemas import Listing
from runyard.operations.work_pools.list_work_pools import list_work_pools
from runyard.operations.work_pools.work_pools import WorkPoolCreate, create_work_pool, delete_work_pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.client import Client

_MOST_SESSIONS = 100
_DESCRIPTION = "Throw-away pool of `runyard dev`: process {pid} of {user} on {host}"
_WRITTEN = re.compile(
    re.escape(_DESCRIPTION)
    .replace(r"\{pid\}", r"(\d+)")
    .replace(r"\{user\}", ".*")
    .replace(r"\{host\}", "(.*)")
)


def open_pool(client: Client) -> str:
    """Create the pool of a session of this process.

    Args:
        client: where to create it.

    Returns:
        Its name: `dev`, or `dev-2` if there is a session already, and so on.

    Raises:
        Conflict: there are too many sessions.
    """
    description = _DESCRIPTION.format(pid=os.getpid(), user=_user(), host=socket.gethostname())
    for number in range(1, _MOST_SESSIONS + 1):
        name = "dev" if number == 1 else f"dev-{number}"
        try:
            client.call(create_work_pool, WorkPoolCreate(name=name, type="process", description=description))
        except Conflict:
            continue
        return name
    raise Conflict(f"there are {_MOST_SESSIONS} pools dev, dev-2, ...; see: runyard work-pool ls")


def discard_pool(client: Client, pool: str) -> None:
    """Delete a pool with its deployments and all their runs.

    Args:
        client: where it is.
        pool: its name; one that is deleted already is fine.

    Raises:
        StoreError, ApiUnavailable: an outage; a later call deletes the rest.
    """
    while found := client.call(filter_deployments, Listing(work_pools={"name": {"any_": [pool]}})):
        for deployment in found:
            try:
                while not client.call(discard_deployment, deployment.id):
                    pass
            except NotFound:
                continue  # deleted meanwhile
    try:
        client.call(delete_work_pool, pool, force=True)
    except NotFound:
        pass  # deleted meanwhile


def discard_left(client: Client, say: Callable[[str], None]) -> None:
    """Delete what killed sessions of this machine left.

    Args:
        client: where to look.
        say: called with one line for each deleted pool.
    """
    for pool in client.call(list_work_pools):
        written = _WRITTEN.fullmatch(pool["description"] or "")
        if written and written.group(2) == socket.gethostname() and not _is_alive(int(written.group(1))):
            discard_pool(client, pool["name"])
            say(f"Deleted pool '{pool['name']}', which a killed session had left.")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's
    return True


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"user {os.getuid()}"  # it has no name
