"""Whom notification blocks may call, and what errors about their addresses tell."""

from __future__ import annotations

import pytest
from runyard.blocks.notifications import (
    AppriseNotificationBlock,
    CustomWebhookNotificationBlock,
    MattermostWebhook,
    MicrosoftTeamsWebhook,
    NotificationError,
)
from runyard.blocks.webhook import Webhook

pytestmark = pytest.mark.usefixtures("home")

PRIVATE = ("http://127.0.0.1:9/token-of-mine", "http://localhost/token-of-mine", "http://[::1]/token-of-mine")


@pytest.mark.parametrize(
    "url", [*PRIVATE, "http://10.1.2.3/", "http://169.254.169.254/", "json://127.0.0.1/"]
)
def test_private_addresses_can_be_refused(url):
    calls = (
        lambda: CustomWebhookNotificationBlock(name="x", url=url, allow_private_urls=False).notify("body"),
        lambda: Webhook(url=url, allow_private_urls=False).call({"a": 1}),
        lambda: AppriseNotificationBlock(url=url, allow_private_urls=False).notify("body"),
    )
    for call in calls:
        with pytest.raises(ValueError, match="allow_private_urls=False") as error:
            call()
        assert "token-of-mine" not in str(error.value)


def test_teams_are_addressed_by_their_workflow():
    pytest.importorskip("apprise", reason="the extra `notifications` is not installed")
    url = (
        "https://prod-1.westus.logic.azure.com:443/workflows/643e69f83c8944/triggers/manual/paths/invoke"
        "?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=KODuebWbDGYFr0z0eu"
    )
    target = MicrosoftTeamsWebhook(url=url, wrap=False).target()
    assert target.url().startswith("workflow://prod-1.westus.logic.azure.com:443/643e69f83c8944/")
    assert target.wrap is False
    with pytest.raises(NotificationError, match="invalid URL of a Microsoft Teams workflow"):
        MicrosoftTeamsWebhook(url="https://example.com/hook").notify("body")


def test_mattermost_is_called_without_tls_unless_told_as_in_prefect():
    pytest.importorskip("apprise", reason="the extra `notifications` is not installed")
    fields = {"hostname": "chat.example.com", "token": "abcdefghijklmnopqrstuvwxyz"}
    assert MattermostWebhook(**fields).target().url().startswith("mmost://")
    assert MattermostWebhook(**fields, secure=True).target().url().startswith("mmosts://")


def test_a_webhook_that_fails_tells_no_secret():
    block = CustomWebhookNotificationBlock(
        name="hook", url="http://127.0.0.1:1/{{token}} x", secrets={"token": "token-of-mine"}, timeout=5
    )
    with pytest.raises(NotificationError, match="refused the notification") as error:
        block.notify("body")
    assert "token-of-mine" not in str(error.value)
