"""The Dask task runner: submitted tasks run on the workers of a Dask cluster."""

from __future__ import annotations

import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any

from runyard.base.errors import extra_missing
from runyard.base.tracebacks import describe
from runyard.engine.task_runners.remote_runners import RemoteTaskRunner

if TYPE_CHECKING:
    from typing import Self

    from runyard.engine.submission import Submission

_END_SECONDS = 30.0


def _distributed() -> Any:
    try:
        return import_module("distributed")
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] in ("dask", "distributed"):
            raise extra_missing("dask.distributed", "dask") from None
        raise


class DaskTaskRunner(RemoteTaskRunner):
    """Runs submitted tasks on a Dask cluster; needs the extra `dask`.

    Without an address, each flow run creates a cluster and closes it at its end; the default is a cluster
    of processes on this machine. Workers on other machines need Runyard, and access to the database or the
    API. A local cluster imports the script again in each of its processes, so the flow must be called below
    `if __name__ == "__main__":`.

    Args:
        cluster: an existing cluster; it stays open.
        address: the address of a running scheduler, such as `tcp://10.0.0.5:8786`.
        cluster_class: the class of the cluster, or its dotted name; the default is
            `distributed.LocalCluster`.
        cluster_kwargs: its arguments.
        adapt_kwargs: arguments of its `adapt()`, for adaptive scaling.
        client_kwargs: arguments of the `distributed.Client`.
    """

    def __init__(
        self,
        cluster: Any = None,
        address: str | None = None,
        cluster_class: Any = None,
        cluster_kwargs: dict[str, Any] | None = None,
        adapt_kwargs: dict[str, Any] | None = None,
        client_kwargs: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if isinstance(cluster, str):
            # An address, as in `DaskTaskRunner("tcp://...")`.
            cluster, address = None, cluster
        given = [name for name, value in (("cluster", cluster), ("address", address)) if value is not None]
        if len(given) == 2 or (given and (cluster_class or cluster_kwargs)):
            raise ValueError(f"{given[0]} names a cluster that exists; it cannot be made as well")
        self._options: dict[str, Any] = {
            "cluster": cluster,
            "address": address,
            "cluster_class": cluster_class,
            "cluster_kwargs": cluster_kwargs,
            "adapt_kwargs": adapt_kwargs,
            "client_kwargs": client_kwargs,
        }
        self._lock = threading.Lock()
        self._client: Any = None
        self._cluster: Any = None

    def duplicate(self) -> Self:
        """A new runner for the same cluster, or for a new cluster with the same options."""
        return type(self)(**self._options)

    @property
    def client(self) -> Any:
        """The `distributed.Client`, connected on first use."""
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def options(self) -> Any:
        """The `dask.annotate(...)` options at the submission, such as resources and priority."""
        dask = import_module("dask") if self.client is not None else None
        return dict(dask.get_annotations()) if dask is not None else {}

    def send(self, packet: bytes, work: Submission) -> None:
        """Submit the packet to the scheduler."""
        known = ("workers", "resources", "retries", "priority", "allow_other_workers")
        options = {name: value for name, value in (work.options or {}).items() if name in known}
        # 6 ms; not before a task is sent.
        from runyard.engine.remote import execute

        key = f"{work.task.name}-{work.run.id}"
        sent = self.client.submit(execute, packet, key=key, pure=False, **options)
        sent.add_done_callback(lambda ended: _settle(ended, work))

    def stop(self, cancel: bool) -> None:
        """Disconnect from the cluster; close it if this run created it."""
        with self._lock:
            client, self._client = self._client, None
            cluster, self._cluster = self._cluster, None
        if client is not None:
            client.close(timeout=1 if cancel else _END_SECONDS)
        if cluster is not None:
            cluster.close(timeout=1 if cancel else _END_SECONDS)

    def _connect(self) -> Any:
        distributed = _distributed()
        options = self._options
        place = options["cluster"] or options["address"]
        if place is None:
            make = options["cluster_class"] or distributed.LocalCluster
            if isinstance(make, str):
                module, _, name = make.rpartition(".")
                make = getattr(import_module(module), name)
            arguments = dict(options["cluster_kwargs"] or {})
            if make is distributed.LocalCluster:
                # Several runs may create clusters on this machine: each dashboard uses a free port.
                arguments.setdefault("dashboard_address", ":0")
            place = self._cluster = make(**arguments)
        if options["adapt_kwargs"]:
            place.adapt(**options["adapt_kwargs"])
        return distributed.Client(place, **{"set_as_default": False, **(options["client_kwargs"] or {})})


def _settle(ended: Any, work: Submission) -> None:
    if ended.status == "finished":
        try:
            work.finish(ended.result())
        except Exception as error:
            work.lost(f"its outcome did not come back: {describe(error)}")
    elif ended.status == "cancelled":
        work.lost("Dask cancelled it")
    else:
        reason = ended.exception()
        work.lost(f"Dask gave it up: {type(reason).__name__}: {reason}")
    ended.release()


def get_dask_client(**options: Any) -> Any:
    """Inside a task: the client of the cluster that runs it, as a context manager.

    Args:
        options: arguments of `distributed.worker_client`, such as `timeout` in seconds.
    """
    return _distributed().worker_client(**{"separate_thread": False, **options})


def get_async_dask_client(timeout: float | None = None, **options: Any) -> Any:
    """As `get_dask_client`, for async tasks: `async with get_async_dask_client() as client`."""
    distributed = _distributed()
    address = distributed.get_worker().scheduler.address
    return distributed.Client(address, timeout=timeout, asynchronous=True, set_as_default=False, **options)
