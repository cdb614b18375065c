"""django-eventstream on the same routes: Django in one process, whose listeners are called in it, without a database.

It is no requirement of ours: whoever wants it measured installs it (docs/performance.md). Only the server that is
measured imports this module.
"""

from __future__ import annotations

import json

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["django_eventstream"],
    MIDDLEWARE=[],
    ROOT_URLCONF=__name__,
    SECRET_KEY="benchmark",
)
app = get_asgi_application()

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
