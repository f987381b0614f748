"""Who is at work, for the audit log: known during the request and forgotten after it.

The library's own middleware leaves the last actor behind in the thread's context, where the program's
own changes would be taken for that person's.
"""

from __future__ import annotations

from auditlog.context import auditlog_value
from auditlog.middleware import AuditlogMiddleware
from django.http import HttpRequest, HttpResponseBase


class AuditActor(AuditlogMiddleware):
    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        try:
            response: HttpResponseBase = super().__call__(request)
            return response
        finally:
            auditlog_value.set({})
