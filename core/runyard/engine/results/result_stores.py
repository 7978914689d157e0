"""Results that outlive their process: small ones in the database, others in a storage of your choice."""

from __future__ import annotations

import base64
import json
from binascii import a2b_base64
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.base import clock, texts
from runyard.base.current_run import current_flow, current_task
from runyard.base.errors import MissingResult
from runyard.base.exceptions import SerializationError, UnreadableResult
from runyard.base.syncing import also_awaited, async_twin
from runyard.client import LocalClient
from runyard.client.shared_client import shared_client
from runyard.engine import effects, outcome
from runyard.engine.locking.database_locks import DatabaseLockManager
from runyard.engine.outages import waited_for
from runyard.engine.results import known_results, large_results
from runyard.engine.results.serializers import describe, resolve_serializer, serializer_of_entry
from runyard.operations.records.kept_results import read_result, write_result
from runyard.operations.runs.run_records import ResultRow

if TYPE_CHECKING:
    from typing import Self

    from runyard.client import Client
    from runyard.engine.flow_definition import FlowDefinition
    from runyard.engine.results.serializers import Serializer
    from runyard.engine.task_definition import TaskDefinition

# Imported inside functions: filesystems (0.12 s with pydantic), for results that are not in the database.


class ResultRecord:
    """A kept result.

    Args:
        key: its storage key.
        result: the value.
        serializer: what wrote it.
        expiration: when it ceases to count, an aware datetime; None: never.
        storage: the path or URL of the storage it is in; None: the database.
    """

    __slots__ = ("expiration", "key", "result", "serializer", "storage")

    def __init__(
        self,
        key: str,
        result: Any,
        serializer: Serializer,
        expiration: datetime | None = None,
        storage: str | None = None,
    ) -> None:
        self.key = key
        self.result = result
        self.serializer = serializer
        self.expiration = expiration
        self.storage = storage

    @property
    def metadata(self) -> dict[str, Any]:
        """What a state keeps of it, so that any process finds the value again."""
        found: dict[str, Any] = {"storage_key": self.key}
        if self.storage is not None:
            found["storage"] = self.storage
        if self.expiration is not None:
            found["expiration"] = clock.format_time(self.expiration)
        return found

    def __repr__(self) -> str:
        return f"ResultRecord({self.key!r}, {self.result!r})"


class ResultStore:
    """Writes results under keys and finds them again.

    Args:
        result_storage: a path, a URL such as `s3://bucket/results`, a filesystem or the name of a
            saved one; None: the database, and for what is too large for it a file in the home.
        result_serializer: a name such as `json`, or a serializer; None: the setting.
        key_storage: where entries are noted, if not with the results.
        lock_manager: what guards keys; by default locks in the database.
        client: for the database; by default the settings' one.
    """

    def __init__(
        self,
        result_storage: Any = None,
        result_serializer: Any = None,
        key_storage: Any = None,
        lock_manager: Any = None,
        client: Client | None = None,
    ) -> None:
        self._client = client or shared_client()
        self.serializer: Serializer = resolve_serializer(result_serializer)
        self._description = describe(self.serializer)
        self._given_storage = result_storage
        self._given_keys = key_storage
        self.storage: Any = None if result_storage is None else resolve_result_storage(result_storage)
        self.key_storage: Any = None if key_storage is None else resolve_result_storage(key_storage)
        self._locks = lock_manager

    @property
    def result_storage(self) -> Any:
        """Where results are written, under the name of the argument; None: the database."""
        return self.storage

    @property
    def metadata_storage(self) -> Any:
        """Where entries are noted, by Prefect's name; None: with the results."""
        return self.key_storage

    @property
    def lock_manager(self) -> Any:
        """What guards keys across processes."""
        if self._locks is None:
            self._locks = DatabaseLockManager()
        return self._locks

    @property
    def is_quick(self) -> bool:
        """Whether reading takes microseconds: it may then be done on an event loop."""
        return (
            self.storage is None
            and self.key_storage is None
            and isinstance(self._client, LocalClient)
            and self._client.database.dialect == "sqlite"
        )

    def find(self, key: str) -> ResultRecord | None:
        """The kept result of a key, or None where there is none or it has expired.

        Raises:
            UnreadableResult: it is there and cannot be read: its class was renamed, its module is not
                here, a library changed, or it was written by a serializer that this store does not read.
        """
        if self.storage is None and self.key_storage is None:
            return self._find_row(key)
        entry = _read_file(self.key_storage if self.key_storage is not None else self.storage, key)
        if entry is None or _is_past(entry["metadata"].get("expiration")):
            return None
        if "result" not in entry:
            entry["result"] = self._data_beside(key)
            if entry["result"] is None:
                return None
        return self._record(entry, key)

    def _load(self, key: str, description: str, text: str | bytes) -> tuple[Any, Serializer]:
        """The value that was written, and the serializer that reads it; `text` is base64, bytes are data."""
        try:
            serializer = self.serializer
            if description != self._description:
                serializer = serializer_of_entry(description, self.serializer)
            data = text if isinstance(text, bytes) else a2b_base64(text)
            value = serializer.loads(data)
        except Exception as error:
            # Unpickling imports modules and calls classes as they are today: it may raise anything.
            raise UnreadableResult(
                f"the result kept under {key!r} cannot be read: {outcome.describe(error)}"
            ) from error
        known_results.note(value, serializer, data, read=True)
        return value, serializer

    def read(self, key: str) -> ResultRecord:
        """The kept result of a key.

        Raises:
            MissingResult: there is none.
        """
        found = self.find(key)
        if found is None:
            raise MissingResult(f"no result is kept under the key {key!r}")
        return found

    def exists(self, key: str) -> bool:
        """Whether a result of that key is kept and counts."""
        if self.storage is None and self.key_storage is None:
            return bool(self._row(key))
        return self.find(key) is not None

    def write(self, obj: Any, key: str, expiration: datetime | timedelta | None = None) -> ResultRecord:
        """Keep a value under a key, in place of what the key held before.

        Args:
            expiration: when the entry ceases to count: an aware datetime, or how long from now.
        """
        record, row = self.prepare(obj, key, expiration, None)
        if row is not None:
            waited_for(lambda: self._client.call(write_result, {"row": row}), "a kept result", "keep")
        return record

    def prepare(
        self, obj: Any, key: str, expiration: datetime | timedelta | None, flow_run_id: str | None
    ) -> tuple[ResultRecord, ResultRow | None]:
        """Serialize a value, and write it unless it goes into the database.

        Args:
            flow_run_id: the root run with which the entry goes away.

        Returns:
            The record, and the row that is still to be written, if any.

        Raises:
            SerializationError: the serializer cannot write such a value.
        """
        if isinstance(expiration, timedelta):
            expiration = clock.now() + expiration
        try:
            data = self.serializer.dumps(obj)
        except Exception as error:
            raise SerializationError(
                f"{type(obj).__name__} cannot be written by the serializer {self.serializer.type!r}: "
                f"{texts.told(error)}"
            ) from error
        known_results.note(obj, self.serializer, data)
        record = ResultRecord(key, obj, self.serializer, expiration, self._place_for_people())
        if self.storage is None and self.key_storage is None:
            return record, self._row_of(record, data, flow_run_id)
        text = base64.b64encode(data).decode()
        entry: dict[str, Any] = {
            "metadata": {**record.metadata, "serializer": json.loads(self._description)},
            "result": text,
        }
        if self.key_storage is None:
            _write_file(self.storage, key, entry)
            return record, None
        row = None
        if self.storage is not None:
            _write_file(self.storage, key, entry)
        else:
            row = self._row_of(record, data, flow_run_id)
        _write_file(self.key_storage, key, {"metadata": entry["metadata"]})
        return record, row

    aread = async_twin(read)
    aexists = async_twin(exists)
    awrite = async_twin(write)

    def acquire_lock(self, key: str, holder: str, timeout: float | None = None) -> bool:
        """Take the lock of a key, waiting at most `timeout` seconds; whether it was taken."""
        return bool(self.lock_manager.acquire_lock(key, holder, acquire_timeout=timeout))

    def release_lock(self, key: str, holder: str) -> None:
        """Give the lock of a key back."""
        self.lock_manager.release_lock(key, holder)

    def is_locked(self, key: str) -> bool:
        """Whether anybody holds the lock of a key."""
        return bool(self.lock_manager.is_locked(key))

    @also_awaited
    def update_for_flow(self, flow: FlowDefinition) -> Self:
        """A store as this one, with the options of a flow where it gives any."""
        return self._updated(flow.result_storage, flow.result_serializer)

    @also_awaited
    def update_for_task(self, task: TaskDefinition) -> Self:
        """A store as this one, with the options of a task where it gives any."""
        return self._updated(task.result_storage, task.result_serializer)

    def _updated(self, storage: Any, serializer: Any) -> Self:
        return type(self)(
            self._given_storage if storage is None else storage,
            self.serializer if serializer is None else serializer,
            self._given_keys,
            self._locks,
            self._client,
        )

    def _place_for_people(self) -> str | None:
        if self.storage is None:
            return None
        from runyard.blocks.filesystems import describe_storage

        return describe_storage(self.storage)

    def _row(self, key: str) -> dict[str, Any]:
        asked = {"key": texts.indexed(key)}
        row: dict[str, Any] = waited_for(
            lambda: self._client.call(read_result, asked), "a kept result", "look for"
        )
        return row

    def _find_row(self, key: str) -> ResultRecord | None:
        row = self._row(key)
        if not row:
            return None
        data = self._data_of(row)
        if data is None:
            return None
        expires = row["expires"]
        value, serializer = self._load(key, row["serializer"], data)
        return ResultRecord(key, value, serializer, None if expires is None else clock.from_us(expires))

    def _row_of(self, record: ResultRecord, data: bytes, flow_run_id: str | None) -> ResultRow:
        """The row for the database."""
        text, place, key = None, None, texts.indexed(record.key)
        if len(data) <= settings.get("results_inline_bytes") or not self._has_files():
            text = base64.b64encode(data).decode()
        else:
            place = large_results.write(key, data)
        expires = None if record.expiration is None else clock.to_us(record.expiration)
        return ResultRow(key, clock.now_us(), expires, flow_run_id, self._description, text, place)

    def _has_files(self) -> bool:
        """Whether who reads the database sees this machine's files: not so over HTTP."""
        return isinstance(self._client, LocalClient)

    def _data_beside(self, key: str) -> str | bytes | None:
        """The result whose entry is in the key storage."""
        if self.storage is not None:
            entry = _read_file(self.storage, key)
            return None if entry is None else entry.get("result")
        row = self._row(key)
        return self._data_of(row) if row else None

    def _data_of(self, row: dict[str, Any]) -> str | bytes | None:
        """What a row holds; None where its file was removed or is on another machine: it was as good as
        never written."""
        if row["data"] is not None:
            text: str = row["data"]
            return text
        return large_results.read(row["key"], row["place"]) if self._has_files() else None

    def _record(self, entry: dict[str, Any], key: str) -> ResultRecord:
        description = json.dumps(entry["metadata"].get("serializer"), sort_keys=True)
        value, serializer = self._load(key, description, entry["result"])
        expiration = entry["metadata"].get("expiration")
        moment = clock.parse_time(expiration) if expiration else None
        return ResultRecord(key, value, serializer, moment, self._place_for_people())


@also_awaited
def resolve_result_storage(result_storage: Any) -> Any:
    """The filesystem of a result storage, however it is given; see `filesystems.storage_of`."""
    from runyard.blocks.filesystems import storage_of

    return storage_of(result_storage)


def _is_past(expiration: str | None) -> bool:
    return expiration is not None and clock.parse_time(expiration) <= clock.now()


def _read_file(storage: Any, key: str) -> dict[str, Any] | None:
    try:
        content = _called(storage.read_path, key)
    except (FileNotFoundError, ValueError):
        return None
    try:
        entry: dict[str, Any] = json.loads(content)
        if isinstance(entry["metadata"], dict):
            return entry
        problem = "its metadata is no object"
    except (ValueError, KeyError, TypeError) as error:
        problem = outcome.describe(error)
    raise UnreadableResult(f"the result kept under {key!r} is no entry of a result storage: {problem}")


def _write_file(storage: Any, key: str, entry: dict[str, Any]) -> None:
    _called(storage.write_path, key, json.dumps(entry).encode())


def _called(method: Any, *args: Any) -> Any:
    """What a method of a storage gives, here and now; in a class of a user's it may be plain or async."""
    if hasattr(method, "aio"):  # else async code around this would decide
        return method(*args, _sync=True)
    found = method(*args)
    return effects.finish(found) if effects.is_coroutine(found) else found


def result_of_reference(data: dict[str, Any]) -> Any:
    """The value that a state refers to.

    Args:
        data: a state's `data`, as `ResultRecord.metadata` gives it.

    Raises:
        MissingResult: it is not kept any more.
    """
    return ResultStore(result_storage=data.get("storage")).read(data["storage_key"]).result


def get_result_store() -> ResultStore:
    """The store that the run around the caller uses; outside of runs the one of the settings."""
    task = current_task.get()
    return store_of(current_flow.get(), None if task is None else task.task)


def options_of_flow(flow: Any) -> tuple[Any, Any]:
    """The result storage and serializer that the flows around the caller give, innermost first."""
    storage = serializer = None
    while flow is not None and (storage is None or serializer is None):
        storage = flow.flow.result_storage if storage is None else storage
        serializer = flow.flow.result_serializer if serializer is None else serializer
        flow = flow.parent
    return storage or settings.get("results_default_storage") or None, serializer


def store_of(flow: Any, task: TaskDefinition | None) -> ResultStore:
    """The store of a flow run's context, and of a task in it."""
    store = ResultStore(*options_of_flow(flow))
    return store if task is None else store.update_for_task(task)


@also_awaited
def get_default_result_storage() -> Any:
    """The filesystem of results whose flow or task names none."""
    return resolve_result_storage(settings.get("results_default_storage") or None)


def get_default_result_serializer() -> Serializer:
    """The serializer of results whose flow or task names none."""
    return resolve_serializer()


def get_default_persist_setting() -> bool:
    """Whether flows and tasks that do not say keep their results."""
    return bool(settings.get("results_persist_by_default"))


# Prefect lets tasks differ.
get_default_persist_setting_for_tasks = get_default_persist_setting


def should_persist_result() -> bool:
    """Whether the run around the caller keeps its result."""
    task, flow = current_task.get(), current_flow.get()
    if task is not None and task.task.persist_result is not None:
        return bool(task.task.persist_result)
    return bool(flow.persist) if flow is not None else get_default_persist_setting()
