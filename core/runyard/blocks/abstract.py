"""Interfaces that blocks of integrations implement, with Prefect's names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from runyard.blocks.core import Block
from runyard.blocks.notifications import NotificationBlock, NotificationError

__all__ = [
    "CredentialsBlock",
    "DatabaseBlock",
    "JobBlock",
    "JobRun",
    "NotificationBlock",
    "NotificationError",
    "ObjectStorageBlock",
    "SecretBlock",
]


class CredentialsBlock(Block, ABC):
    """Credentials of a service."""

    @abstractmethod
    def get_client(self, *args: Any, **kwargs: Any) -> Any:
        """A client of the service."""


class JobRun(ABC):
    """One run of a job of another system."""

    @abstractmethod
    def wait_for_completion(self) -> Any:
        """Wait until it has ended."""

    @abstractmethod
    def fetch_result(self) -> Any:
        """Its result."""


class JobBlock(Block, ABC):
    """A job of another system."""

    @abstractmethod
    def trigger(self) -> Any:
        """Start a run of it."""


class DatabaseBlock(Block, ABC):
    """A database."""

    @abstractmethod
    def fetch_one(self, operation: str, parameters: Any = None, **options: Any) -> Any:
        """The first row of a query."""

    @abstractmethod
    def fetch_many(self, operation: str, parameters: Any = None, size: Any = None, **options: Any) -> Any:
        """Some rows of a query."""

    @abstractmethod
    def fetch_all(self, operation: str, parameters: Any = None, **options: Any) -> Any:
        """All rows of a query."""

    @abstractmethod
    def execute(self, operation: str, parameters: Any = None, **options: Any) -> None:
        """Run a statement."""


class ObjectStorageBlock(Block, ABC):
    """A bucket."""

    @abstractmethod
    def download_object_to_path(self, from_path: str, to_path: Any, **options: Any) -> Any:
        """Copy an object into a file."""

    @abstractmethod
    def upload_from_path(self, from_path: Any, to_path: str, **options: Any) -> Any:
        """Copy a file into an object."""


class SecretBlock(Block, ABC):
    """A secret stored in another system."""

    _block_schema_capabilities: ClassVar[list[str] | None] = ["read-secret", "write-secret"]

    @abstractmethod
    def read_secret(self) -> Any:
        """The secret."""

    @abstractmethod
    def write_secret(self, secret_data: Any) -> Any:
        """Store a new value."""
