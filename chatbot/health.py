"""Health and metrics views: `/health` says the process lives, `/health/ready` that it can answer."""

from __future__ import annotations

import hmac

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django_prometheus.exports import ExportToDjangoView
from redis import RedisError

from assistant.redis import get_redis

# Set by the web process when it was told to end: whoever routes requests should stop sending them here.
is_draining = False


def alive(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


def ready(request: HttpRequest) -> JsonResponse:
    """200 when database and Valkey answer; 503 names what does not."""
    problems: dict[str, str] = {"web": "is shutting down"} if is_draining else {}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        problems["database"] = str(error)
    try:
        get_redis().ping()
    except RedisError as error:
        problems["valkey"] = str(error)
    if problems:
        return JsonResponse({"status": "not ready", "problems": problems}, status=503)
    return JsonResponse({"status": "ok"})


def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text, for the holder of METRICS_TOKEN only."""
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not settings.METRICS_TOKEN or not hmac.compare_digest(given.encode(), settings.METRICS_TOKEN.encode()):
        return HttpResponse("Send the bearer token that METRICS_TOKEN holds.\n", status=401)
    return ExportToDjangoView(request)
