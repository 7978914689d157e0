"""The block that calls a webhook."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, SecretStr

from runyard.base.syncing import async_twin, sync_compatible
from runyard.blocks.addresses import refuse_private
from runyard.blocks.core import Block
from runyard.blocks.fields import SecretDict


class Webhook(Block):
    """An HTTP endpoint to call with a payload."""

    _block_type_name: ClassVar[str | None] = "Webhook"

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    url: SecretStr
    headers: SecretDict = Field(default_factory=lambda: SecretDict({}))
    allow_private_urls: bool = True
    verify: bool = True

    @sync_compatible
    def call(self, payload: dict[str, Any] | str | None = None) -> Any:
        """Call the endpoint.

        Args:
            payload: an object, which is sent as JSON, or a text.

        Returns:
            The response, an `httpx.Response`.

        Raises:
            ValueError: the address is private, and `allow_private_urls` is false.
        """
        import httpx

        if not self.allow_private_urls:
            refuse_private(self.url.get_secret_value())
        body: dict[str, Any] = {"content": payload} if isinstance(payload, str) else {"json": payload}
        with httpx.Client(verify=self.verify, timeout=30) as client:
            return client.request(
                self.method,
                self.url.get_secret_value(),
                headers=self.headers.get_secret_value(),
                **(body if payload is not None else {}),
            )

    acall = async_twin(call)
