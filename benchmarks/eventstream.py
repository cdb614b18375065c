"""django-eventstream on the same routes: Django in one process, whose listeners are called in it, without a database.

It is no requirement of ours: whoever wants it measured installs it (docs/performance.md). Only the server that is
measured imports this module.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

Event = MutableMapping[str, Any]
Send = Callable[[Event], Awaitable[None]]
Receive = Callable[[], Awaitable[Event]]

settings.configure(
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["django_eventstream"],
    MIDDLEWARE=[],
    ROOT_URLCONF=__name__,
    SECRET_KEY="benchmark",
)
_django = get_asgi_application()

# Django must be set up before its models are imported.
from django_eventstream import send_event  # noqa: E402
from django_eventstream.views import events  # noqa: E402


async def _publish(request: HttpRequest) -> HttpResponse:
    send_event("bench", "message", json.loads(request.body))
    return JsonResponse({}, status=201)


async def _health(_: HttpRequest) -> HttpResponse:
    return HttpResponse()


urlpatterns = [
    path("channels/bench/messages", _publish),
    path("channels/bench/stream", events, {"channels": ["bench"]}),
    path("healthz", _health),
]


async def app(scope: Event, receive: Receive, send: Send) -> None:
    """Django, but a response begins with its first block.

    Without a database, what is published between the head and the first block is lost; readers are ready at the head.
    """
    head: list[Event] = []

    async def late(event: Event) -> None:
        if event["type"] == "http.response.start":
            head.append(event)
            return
        if head:
            await send(head.pop())
        await send(event)

    await _django(scope, receive, late if scope["type"] == "http" else send)
