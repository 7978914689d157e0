"""Blocks that send notifications: to chat, mail and paging services through apprise, and to webhooks."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any, ClassVar, Literal

from pydantic import Field, SecretStr, model_validator

from runyard.base.errors import MissingExtra, RunyardError
from runyard.base.redaction import redact
from runyard.base.syncing import async_twin, sync_compatible
from runyard.blocks.addresses import refuse_private
from runyard.blocks.core import Block
from runyard.blocks.fields import SecretDict

_SUBJECT = "Runyard Notifications"


class NotificationError(RunyardError):
    """A notification was not delivered."""


class NotificationBlock(Block):
    """The interface of all notification blocks."""

    _block_schema_capabilities: ClassVar[list[str] | None] = ["notify"]

    def send(self, body: str, subject: str | None = None) -> None:
        """Deliver a message; subclasses implement it.

        Raises:
            NotificationError: it was not delivered.
        """
        raise TypeError(f"{type(self).__name__} must define send")

    @sync_compatible
    def notify(self, body: str, subject: str | None = None) -> None:
        """Deliver a message.

        Args:
            body: the message.
            subject: its title, if the service supports one.

        Raises:
            NotificationError: it was not delivered.
        """
        self.send(body, subject)

    anotify = async_twin(notify)


class AbstractAppriseNotificationBlock(NotificationBlock):
    """A block that notifies through apprise."""

    notify_type: Literal["info", "success", "warning", "failure"] = "info"

    def target(self) -> Any:
        """The service: an apprise URL, or an apprise plugin."""
        raise TypeError(f"{type(self).__name__} must define target")

    def send(self, body: str, subject: str | None = None) -> None:
        """Deliver a message through apprise."""
        try:
            import apprise
        except ImportError:
            raise MissingExtra(
                'notifications need the extra notifications: pip install "runyard[notifications]"'
            ) from None
        client = apprise.Apprise()
        if not client.add(self.target()):
            raise NotificationError(f"apprise does not support the URL of this {type(self).__name__}")
        if not client.notify(body=body, title=subject or "", notify_type=self.notify_type):
            raise NotificationError(f"{type(self).__name__} did not deliver the notification")


def _plugin(module: str, name: str) -> Any:
    try:
        return getattr(import_module(f"apprise.plugins.{module}"), name)
    except ImportError:
        raise MissingExtra(
            'notifications need the extra notifications: pip install "runyard[notifications]"'
        ) from None


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


class AppriseNotificationBlock(AbstractAppriseNotificationBlock):
    """Any service that apprise supports, by its URL."""

    url: SecretStr
    allow_private_urls: bool = True

    def target(self) -> Any:
        """The URL."""
        return self.url.get_secret_value()

    def send(self, body: str, subject: str | None = None) -> None:
        """Deliver a message through apprise, if the address is allowed."""
        if not self.allow_private_urls:
            refuse_private(self.url.get_secret_value())
        super().send(body, subject)


class SlackWebhook(AppriseNotificationBlock):
    """A Slack channel, by the URL of its incoming webhook."""

    _block_type_name: ClassVar[str | None] = "Slack Webhook"


class MicrosoftTeamsWebhook(AppriseNotificationBlock):
    """A Microsoft Teams channel, by the URL of its workflow."""

    _block_type_name: ClassVar[str | None] = "Microsoft Teams Webhook"
    _block_type_slug: ClassVar[str | None] = "ms-teams-webhook"

    include_image: bool = True
    wrap: bool = True

    def target(self) -> Any:
        """The plugin for the workflow.

        Raises:
            NotificationError: the URL is not that of a workflow.
        """
        plugin = _plugin("workflows", "NotifyWorkflows")
        found = plugin.parse_native_url(self.url.get_secret_value())
        if not found:
            raise NotificationError("invalid URL of a Microsoft Teams workflow")
        return plugin(**{**found, "include_image": self.include_image, "wrap": self.wrap})


class PagerDutyWebHook(AbstractAppriseNotificationBlock):
    """A PagerDuty service."""

    _block_type_name: ClassVar[str | None] = "Pager Duty Webhook"

    integration_key: SecretStr
    api_key: SecretStr
    source: str | None = "Runyard"
    component: str = "Notification"
    group: str | None = None
    class_id: str | None = None
    region_name: Literal["us", "eu"] = "us"
    clickable_url: str | None = None
    include_image: bool = True
    custom_details: dict[str, str] | None = None

    def target(self) -> Any:
        """The plugin for the service."""
        options = _given(
            source=self.source,
            component=self.component,
            group=self.group,
            class_id=self.class_id,
            region_name=self.region_name,
            click=self.clickable_url,
            details=self.custom_details,
        )
        return _plugin("pagerduty", "NotifyPagerDuty")(
            apikey=self.api_key.get_secret_value(),
            integrationkey=self.integration_key.get_secret_value(),
            include_image=self.include_image,
            **options,
        )


class TwilioSMS(AbstractAppriseNotificationBlock):
    """Text messages through Twilio."""

    _block_type_name: ClassVar[str | None] = "Twilio SMS"

    account_sid: str
    auth_token: SecretStr
    from_phone_number: str
    to_phone_numbers: list[str]

    def target(self) -> Any:
        """The plugin for the numbers."""
        return _plugin("twilio", "NotifyTwilio")(
            account_sid=self.account_sid,
            auth_token=self.auth_token.get_secret_value(),
            source=self.from_phone_number,
            targets=self.to_phone_numbers,
        )


class OpsgenieWebhook(AbstractAppriseNotificationBlock):
    """Alerts of Opsgenie, for users, teams, schedules or escalations."""

    _block_type_name: ClassVar[str | None] = "Opsgenie Webhook"

    apikey: SecretStr
    target_user: list[str] | None = None
    target_team: list[str] | None = None
    target_schedule: list[str] | None = None
    target_escalation: list[str] | None = None
    region_name: Literal["us", "eu"] = "us"
    batch: bool = False
    tags: list[str] | None = None
    priority: int | None = 3
    alias: str | None = None
    entity: str | None = None
    details: dict[str, str] | None = None

    def target(self) -> Any:
        """The plugin for the targets."""
        marks = {
            "@": self.target_user,
            "#": self.target_team,
            "*": self.target_schedule,
            "^": self.target_escalation,
        }
        options = _given(
            priority=self.priority, alias=self.alias, entity=self.entity, tags=self.tags, details=self.details
        )
        return _plugin("opsgenie", "NotifyOpsgenie")(
            apikey=self.apikey.get_secret_value(),
            targets=[f"{mark}{name}" for mark, names in marks.items() for name in names or ()],
            region_name=self.region_name,
            batch=self.batch,
            **options,
        )


class MattermostWebhook(AbstractAppriseNotificationBlock):
    """A Mattermost channel."""

    _block_type_name: ClassVar[str | None] = "Mattermost Webhook"

    hostname: str
    token: SecretStr
    secure: bool = False
    botname: str | None = None
    channels: list[str] | None = None
    include_image: bool = False
    path: str | None = None
    port: int = 8065

    def target(self) -> Any:
        """The plugin for the channels."""
        return _plugin("mattermost", "NotifyMattermost")(
            token=self.token.get_secret_value(),
            fullpath=self.path,
            host=self.hostname,
            botname=self.botname,
            channels=self.channels,
            include_image=self.include_image,
            port=self.port,
            secure=self.secure,
        )


class DiscordWebhook(AbstractAppriseNotificationBlock):
    """A Discord channel."""

    _block_type_name: ClassVar[str | None] = "Discord Webhook"

    webhook_id: SecretStr
    webhook_token: SecretStr
    botname: str | None = None
    tts: bool = False
    include_image: bool = False
    avatar: bool = False
    avatar_url: str | None = None

    def target(self) -> Any:
        """The plugin for the channel."""
        return _plugin("discord", "NotifyDiscord")(
            webhook_id=self.webhook_id.get_secret_value(),
            webhook_token=self.webhook_token.get_secret_value(),
            botname=self.botname,
            tts=self.tts,
            include_image=self.include_image,
            avatar=self.avatar,
            avatar_url=self.avatar_url,
        )


class SendgridEmail(AbstractAppriseNotificationBlock):
    """Mail through Sendgrid."""

    _block_type_name: ClassVar[str | None] = "Sendgrid Email"

    api_key: SecretStr
    sender_email: str
    to_emails: list[str]

    def target(self) -> Any:
        """The plugin for the addresses."""
        return _plugin("sendgrid", "NotifySendGrid")(
            apikey=self.api_key.get_secret_value(), from_email=self.sender_email, targets=self.to_emails
        )


class CustomWebhookNotificationBlock(NotificationBlock):
    """Any HTTP endpoint. `{{subject}}`, `{{body}}`, `{{name}}` and the names of `secrets` are replaced."""

    _block_type_name: ClassVar[str | None] = "Custom Webhook"

    name: str
    url: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    params: dict[str, str] | None = None
    json_data: dict[str, Any] | None = None
    form_data: dict[str, str] | str | None = None
    headers: dict[str, str] | None = None
    cookies: dict[str, str] | None = None
    timeout: float = Field(default=10, description="Seconds.")
    allow_private_urls: bool = True
    secrets: SecretDict = Field(default_factory=lambda: SecretDict({}))

    @model_validator(mode="after")
    def _complete(self) -> CustomWebhookNotificationBlock:
        if self.form_data is not None and self.json_data is not None:
            raise ValueError("set either form_data or json_data, not both")
        known = {"subject", "body", "name", *self.secrets.get_secret_value()}
        templates = (self.url, self.params, self.json_data, self.form_data, self.headers, self.cookies)
        for name in _placeholders(templates):
            if name not in known:
                raise ValueError(f"unknown placeholder {{{{{name}}}}}; valid are {', '.join(sorted(known))}")
        return self

    def send(self, body: str, subject: str | None = None) -> None:
        """Call the endpoint."""
        import httpx

        values = {
            **self.secrets.get_secret_value(), "subject": subject or "null", "body": body, "name": self.name
        }  # fmt: skip
        form = "content" if isinstance(self.form_data, str) else "data"
        request = _filled(
            {
                "url": self.url,
                "params": self.params,
                "json": self.json_data,
                form: self.form_data,
                "headers": {"user-agent": _SUBJECT, **(self.headers or {})},
            },
            values,
        )
        cookies = _filled(self.cookies, values)
        if not self.allow_private_urls:
            refuse_private(request["url"])
        try:
            with httpx.Client(cookies=cookies, timeout=self.timeout) as client:
                client.request(self.method, **request).raise_for_status()
        except httpx.HTTPError as error:
            # The message contains the URL, which may contain secrets; so may the cause.
            said = redact(str(error))
            raise NotificationError(f"the webhook {self.name!r} refused the notification: {said}") from None


_PLACEHOLDER = re.compile(r"{{\s*([\w.-]+)\s*}}")


def _placeholders(value: Any) -> set[str]:
    if isinstance(value, str):
        return set(_PLACEHOLDER.findall(value))
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, (list, tuple)):
        return {name for item in value for name in _placeholders(item)}
    return set()


def _filled(value: Any, values: dict[str, Any]) -> Any:
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda match: str(values.get(match.group(1), match.group(0))), value)
    if isinstance(value, dict):
        return {_filled(key, values): _filled(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    return value
