"""The client: runs an operation in this process on a database, or sends it to an API."""

from runyard.client.calls import Client, HttpClient, LocalClient, connect, import_httpx

__all__ = ["Client", "HttpClient", "LocalClient", "connect", "import_httpx"]
