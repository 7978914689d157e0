"""Artifacts: markdown, tables, links, images and progress that runs create for users."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, ClassVar

from runyard.base.errors import InvalidInput, NotFound
from runyard.base.syncing import async_twin, sync_compatible
from runyard.client.engine_client import shared_client
from runyard.engine.context import current_flow, current_task
from runyard.operations.records import stored_artifacts as operations

if TYPE_CHECKING:
    from collections.abc import Callable

_KEY = re.compile(r"[a-z0-9-]+\Z")


def _client() -> Any:
    return shared_client()


def _create(
    type: str,
    key: str | None,
    description: str | None,
    data: Any,
    metadata: dict[str, Any] | None = None,
) -> str:
    """Create an artifact of the current run; returns its id."""
    if key is not None and not _KEY.match(key):
        raise InvalidInput(f"invalid artifact key {key!r}: use lowercase letters, digits and hyphens only")
    flow, task = current_flow.get(), current_task.get()
    body = operations.ArtifactCreate(
        key=key,
        type=type,
        description=description,
        data=data,
        metadata_=metadata,
        flow_run_id=flow.flow_run.id if flow is not None else None,
        task_run_id=task.task_run.id if task is not None else None,
    )
    made: str = _client().call(operations.create_artifact, body).id
    return made


def _link(
    link: str, link_text: str | None = None, key: str | None = None, description: str | None = None
) -> str:
    """Create an artifact with a link.

    Args:
        link: the URL.
        link_text: the text of the link; the default is the URL.
        key: lowercase letters, digits and hyphens; artifacts with the same key are versions.
        description: a description for users.

    Returns:
        The artifact's id.
    """
    return _create("markdown", key, description, f"[{link_text or link}]({link})")


def _markdown(markdown: str, key: str | None = None, description: str | None = None) -> str:
    """Create an artifact with markdown; see `create_link_artifact` for the other arguments."""
    return _create("markdown", key, description, markdown)


def _table(table: Any, key: str | None = None, description: str | None = None) -> str:
    """Create an artifact with a table: a list of rows (dicts or lists), a dict of columns, or a data frame.

    See `create_link_artifact` for the other arguments.
    """
    return _create("table", key, description, _rows_of(table))


def _progress(progress: float, key: str | None = None, description: str | None = None) -> str:
    """Create an artifact with a progress in percent; `update_progress_artifact` updates it.

    See `create_link_artifact` for the other arguments.
    """
    return _create("progress", key, description, _percent(progress))


def _update_progress(artifact_id: Any, progress: float, description: str | None = None) -> str:
    """Update the progress of an artifact.

    Args:
        artifact_id: the id from `create_progress_artifact`.
        progress: percent.
        description: a new description, if given.
    """
    given: dict[str, Any] = {"data": _percent(progress)}
    if description is not None:
        given["description"] = description
    _client().call(operations.update_artifact, str(artifact_id), operations.ArtifactUpdate(**given))
    return str(artifact_id)


def _image(image_url: str, key: str | None = None, description: str | None = None) -> str:
    """Create an artifact with the public URL of an image; see `create_link_artifact` for the arguments."""
    return _create("image", key, description, image_url)


def _percent(progress: float) -> float:
    if not 0 <= progress <= 100:
        raise InvalidInput(f"progress={progress} is not between 0 and 100")
    return float(progress)


def _rows_of(table: Any) -> Any:
    """A table as JSON data: values of other types become text, NaN becomes null."""
    if hasattr(table, "to_dict") and hasattr(table, "columns"):
        table = table.to_dict(orient="records")
    if isinstance(table, dict):
        return {str(name): [_cell(item) for item in column] for name, column in table.items()}
    if isinstance(table, (list, tuple)):
        return [
            {str(name): _cell(item) for name, item in row.items()}
            if isinstance(row, dict)
            else [_cell(item) for item in row]
            for row in table
        ]
    raise InvalidInput("a table is a list of rows, a dict of columns, or a data frame")


def _cell(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, dict):
        return {str(name): _cell(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cell(item) for item in value]
    if hasattr(value, "item") and not hasattr(value, "__len__"):
        return _cell(value.item())  # a numpy scalar
    return str(value)


def _named(fn: Callable[..., Any], name: str) -> Callable[..., Any]:
    fn.__name__ = fn.__qualname__ = name
    return fn


create_link_artifact = sync_compatible(_named(_link, "create_link_artifact"))
create_markdown_artifact = sync_compatible(_named(_markdown, "create_markdown_artifact"))
create_table_artifact = sync_compatible(_named(_table, "create_table_artifact"))
create_progress_artifact = sync_compatible(_named(_progress, "create_progress_artifact"))
update_progress_artifact = sync_compatible(_named(_update_progress, "update_progress_artifact"))
create_image_artifact = sync_compatible(_named(_image, "create_image_artifact"))
acreate_link_artifact = async_twin(_link)
acreate_markdown_artifact = async_twin(_markdown)
acreate_table_artifact = async_twin(_table)
acreate_progress_artifact = async_twin(_progress)
aupdate_progress_artifact = async_twin(_update_progress)
acreate_image_artifact = async_twin(_image)


class Artifact:
    """An artifact of any type.

    Args:
        type: such as `markdown`; subclasses set it.
        key: lowercase letters, digits and hyphens.
        description: a description for users.
        data: the content.
    """

    kind: ClassVar[str | None] = None

    def __init__(
        self,
        type: str | None = None,
        key: str | None = None,
        description: str | None = None,
        data: Any = None,
        metadata_: dict[str, str] | None = None,
    ) -> None:
        self.type = type or self.kind or "artifact"
        self.key = key
        self.description = description
        self.data = data
        self.metadata_ = metadata_

    def format(self) -> Any:
        """The data to store."""
        return self.data

    def _make(self) -> Any:
        made = _create(self.type, self.key, self.description, self.format(), self.metadata_)
        return _client().call(operations.read_artifact, made)

    create = sync_compatible(_make)
    acreate = async_twin(_make)

    @classmethod
    def _get(cls, key: str) -> Any:
        """The latest artifact of a key, or None."""
        try:
            return _client().call(operations.read_latest_artifact, key)
        except NotFound:
            return None

    @classmethod
    def _get_or_create(cls, key: str, **options: Any) -> tuple[Any, bool]:
        """The latest artifact of a key, or a new one with the options; and whether it was created."""
        found = cls._get(key)
        return (found, False) if found is not None else (cls(key=key, **options)._make(), True)

    get = classmethod(sync_compatible(_get.__func__))  # type: ignore[attr-defined]
    aget = classmethod(async_twin(_get.__func__))  # type: ignore[attr-defined]
    get_or_create = classmethod(sync_compatible(_get_or_create.__func__))  # type: ignore[attr-defined]
    aget_or_create = classmethod(async_twin(_get_or_create.__func__))  # type: ignore[attr-defined]


class MarkdownArtifact(Artifact):
    """A text in markdown."""

    kind = "markdown"

    def __init__(self, markdown: str, **options: Any) -> None:
        super().__init__(data=markdown, **options)


class LinkArtifact(MarkdownArtifact):
    """A link."""

    def __init__(self, link: str, link_text: str | None = None, **options: Any) -> None:
        super().__init__(f"[{link_text or link}]({link})", **options)


class TableArtifact(Artifact):
    """A table."""

    kind = "table"

    def __init__(self, table: Any, **options: Any) -> None:
        super().__init__(data=_rows_of(table), **options)


class ProgressArtifact(Artifact):
    """A progress in percent."""

    kind = "progress"

    def __init__(self, progress: float, **options: Any) -> None:
        super().__init__(data=_percent(progress), **options)


class ImageArtifact(Artifact):
    """An image by its address."""

    kind = "image"

    def __init__(self, image_url: str, **options: Any) -> None:
        super().__init__(data=image_url, **options)
