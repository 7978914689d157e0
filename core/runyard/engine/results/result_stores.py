"""Result stores: write results under keys and find them, in the database or in a storage."""

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
from runyard.client.engine_client import shared_client
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
    """A stored result.

    Args:
        key: its storage key.
        result: the value.
        serializer: the serializer that wrote it.
        expiration: when it expires, an aware datetime; None: never.
        storage: the path or URL of its storage; None: the database.
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
        """The reference to the result in a state, by which any process finds the value."""
        found: dict[str, Any] = {"storage_key": self.key}
        if self.storage is not None:
            found["storage"] = self.storage
        if self.expiration is not None:
            found["expiration"] = clock.format_time(self.expiration)
        return found

    def __repr__(self) -> str:
        return f"ResultRecord({self.key!r}, {self.result!r})"


class ResultStore:
    """Writes results under keys, and finds them.

    Args:
        result_storage: a path, a URL such as `s3://bucket/results`, a filesystem or the name of a
            saved one; None: the database, or a file in the home for large results.
        result_serializer: a name such as `json`, or a serializer; None: the setting.
        key_storage: stores the cache entries, if not with the results.
        lock_manager: locks keys; the default is locks in the database.
        client: the client for the database; the default is the client of the settings.
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
        """The storage of results; None: the database."""
        return self.storage

    @property
    def metadata_storage(self) -> Any:
        """Prefect's name of `key_storage`; None: entries are stored with the results."""
        return self.key_storage

    @property
    def lock_manager(self) -> Any:
        """The lock manager for keys."""
        if self._locks is None:
            self._locks = DatabaseLockManager()
        return self._locks

    @property
    def is_quick(self) -> bool:
        """Whether reading takes microseconds, so that it need not leave the event loop."""
        return (
            self.storage is None
            and self.key_storage is None
            and isinstance(self._client, LocalClient)
            and self._client.database.dialect == "sqlite"
        )

    def find(self, key: str) -> ResultRecord | None:
        """The stored result of a key, or None if it does not exist or has expired.

        Raises:
            UnreadableResult: it cannot be read: its class was renamed, its module is missing, a library
                changed, or this store does not read the serializer that wrote it.
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
        """The value and the serializer that reads it; `text` is base64 as str, or the data as bytes."""
        try:
            serializer = self.serializer
            if description != self._description:
                serializer = serializer_of_entry(description, self.serializer)
            data = text if isinstance(text, bytes) else a2b_base64(text)
            value = serializer.loads(data)
        except Exception as error:
            # Unpickling imports modules and calls current classes: it may raise any exception.
            raise UnreadableResult(
                f"the result stored under {key!r} cannot be read: {outcome.describe(error)}"
            ) from error
        known_results.note(value, serializer, data, read=True)
        return value, serializer

    def read(self, key: str) -> ResultRecord:
        """The stored result of a key.

        Raises:
            MissingResult: it does not exist.
        """
        found = self.find(key)
        if found is None:
            raise MissingResult(f"no result is stored under the key {key!r}")
        return found

    def exists(self, key: str) -> bool:
        """Whether a result is stored under the key and has not expired."""
        if self.storage is None and self.key_storage is None:
            return bool(self._row(key))
        return self.find(key) is not None

    def write(self, obj: Any, key: str, expiration: datetime | timedelta | None = None) -> ResultRecord:
        """Store a value under a key; this replaces an earlier value.

        Args:
            expiration: when the entry expires: an aware datetime, or a timedelta from now.
        """
        record, row = self.prepare(obj, key, expiration, None)
        if row is not None:
            waited_for(lambda: self._client.call(write_result, {"row": row}), "a result", "store")
        return record

    def prepare(
        self, obj: Any, key: str, expiration: datetime | timedelta | None, flow_run_id: str | None
    ) -> tuple[ResultRecord, ResultRow | None]:
        """Serialize a value, and write it unless it goes into the database.

        Args:
            flow_run_id: the root run; the entry is deleted with it.

        Returns:
            The record, and the row that the caller must write, if any.

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
        """Acquire the lock of a key, waiting at most `timeout` seconds; returns whether it was acquired."""
        return bool(self.lock_manager.acquire_lock(key, holder, acquire_timeout=timeout))

    def release_lock(self, key: str, holder: str) -> None:
        """Release the lock of a key."""
        self.lock_manager.release_lock(key, holder)

    def is_locked(self, key: str) -> bool:
        """Whether the lock of a key is held."""
        return bool(self.lock_manager.is_locked(key))

    @also_awaited
    def update_for_flow(self, flow: FlowDefinition) -> Self:
        """A copy of this store with the result options of a flow."""
        return self._updated(flow.result_storage, flow.result_serializer)

    @also_awaited
    def update_for_task(self, task: TaskDefinition) -> Self:
        """A copy of this store with the result options of a task."""
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
            lambda: self._client.call(read_result, asked), "a stored result", "read"
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
        """Whether readers of the database can read this machine's files; not over HTTP."""
        return isinstance(self._client, LocalClient)

    def _data_beside(self, key: str) -> str | bytes | None:
        """The data of a result whose entry is in the key storage."""
        if self.storage is not None:
            entry = _read_file(self.storage, key)
            return None if entry is None else entry.get("result")
        row = self._row(key)
        return self._data_of(row) if row else None

    def _data_of(self, row: dict[str, Any]) -> str | bytes | None:
        """The data of a row; None if its file was deleted or is on another machine, as if never written."""
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
    """The filesystem of a result storage option; see `filesystems.storage_of`."""
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
        problem = "its metadata is not an object"
    except (ValueError, KeyError, TypeError) as error:
        problem = outcome.describe(error)
    raise UnreadableResult(f"invalid file of the result stored under {key!r}: {problem}")


def _write_file(storage: Any, key: str, entry: dict[str, Any]) -> None:
    _called(storage.write_path, key, json.dumps(entry).encode())


def _called(method: Any, *args: Any) -> Any:
    """Call a method of a storage synchronously; in a user's class it may be sync or async."""
    if hasattr(method, "aio"):  # without `_sync`, the context of the caller would decide
        return method(*args, _sync=True)
    found = method(*args)
    return effects.finish(found) if effects.is_coroutine(found) else found


def result_of_reference(data: dict[str, Any]) -> Any:
    """The value that a state refers to.

    Args:
        data: a state's `data`, from `ResultRecord.metadata`.

    Raises:
        MissingResult: the result was deleted or has expired.
    """
    return ResultStore(result_storage=data.get("storage")).read(data["storage_key"]).result


def get_result_store() -> ResultStore:
    """The result store of the current run; outside of runs the store of the settings."""
    task = current_task.get()
    return store_of(current_flow.get(), None if task is None else task.task)


def options_of_flow(flow: Any) -> tuple[Any, Any]:
    """The result storage and serializer of a flow run, or of its nearest parent that sets them."""
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
    """The default filesystem of results."""
    return resolve_result_storage(settings.get("results_default_storage") or None)


def get_default_result_serializer() -> Serializer:
    """The default serializer of results."""
    return resolve_serializer()


def get_default_persist_setting() -> bool:
    """Whether flows and tasks store their results by default."""
    return bool(settings.get("results_persist_by_default"))


# Prefect has a separate setting for tasks.
get_default_persist_setting_for_tasks = get_default_persist_setting


def should_persist_result() -> bool:
    """Whether the current run stores its result."""
    task, flow = current_task.get(), current_flow.get()
    if task is not None and task.task.persist_result is not None:
        return bool(task.task.persist_result)
    return bool(flow.persist) if flow is not None else get_default_persist_setting()
