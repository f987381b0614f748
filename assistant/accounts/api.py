"""Visitor tokens over HTTP: get or refresh one, prove a site's user, hand conversations to an account."""

from __future__ import annotations

import uuid

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from ninja import Field, Router, Schema, Status
from ninja.errors import HttpError

from assistant.accounts import principals, rate_limits, visitors
from assistant.accounts.addresses import client_address
from assistant.accounts.errors import ClaimRefused, NotAuthenticated
from assistant.accounts.models import Visitor
from assistant.accounts.origins import is_own_origin
from assistant.widget.models import Site
from assistant.widget.services import SiteNotFound, get_site

MAX_PER_MINUTE = 120  # one address may be a whole company
router = Router(tags=["visitor"])


class VisitorRequest(Schema):
    site: str = Field(max_length=50, description="slug of the site")
    identity: str | None = Field(None, max_length=4096, description="JWT signed with the site's secret")


class VisitorToken(Schema):
    token: str
    visitor: uuid.UUID
    expires_s: int


class ClaimRequest(Schema):
    token: str = Field(max_length=4096)


class Claimed(Schema):
    num_conversations: int


class Problem(Schema):
    detail: str


@router.post("", response={200: VisitorToken, 401: Problem, 403: Problem, 404: Problem, 429: Problem})
def get_token(
    request: HttpRequest, response: HttpResponse, body: VisitorRequest
) -> VisitorToken | Status[Problem]:
    """A token for `Authorization: Visitor …` and for the socket's hello.

    With a valid token in the header it is refreshed: the same visitor. With `identity` the visitor is
    the user whom the site vouches for. With neither it is somebody new.
    """
    _refuse_foreign_page(request)
    try:
        rate_limits.take(
            bucket="visitor token", key=client_address(request.META), max_per_minute=MAX_PER_MINUTE
        )
        site = get_site(body.site)
        visitor = _visitor(request, site=site, identity=body.identity)
    except rate_limits.RateLimited as error:
        response["Retry-After"] = str(error.retry_after_s)
        return Status(429, Problem(detail=str(error)))
    except SiteNotFound as error:
        raise HttpError(404, str(error)) from None
    except NotAuthenticated as error:
        raise HttpError(401, str(error)) from None
    issued = visitors.issue_token(visitor=visitor)
    return VisitorToken(token=issued.token, visitor=visitor.pk, expires_s=issued.expires_s)


@router.post("/claim", response={200: Claimed, 401: Problem, 403: Problem})
def claim(request: HttpRequest, body: ClaimRequest) -> Claimed:
    """After sign-in: what this browser asked as a visitor now belongs to the account."""
    try:
        user = principals.from_request(request).user
        if user is None:
            raise NotAuthenticated("Sign in to an account first.")
        return Claimed(num_conversations=visitors.claim(token=body.token, user=user))
    except NotAuthenticated as error:
        raise HttpError(401, str(error)) from None
    except (ClaimRefused, PermissionDenied) as error:
        raise HttpError(403, str(error)) from None


def _visitor(request: HttpRequest, *, site: Site, identity: str | None) -> Visitor:
    if identity:
        return visitors.identified_visitor(site=site, identity=identity)
    scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "visitor":
        return visitors.read_token(token.strip(), site=site).visitor
    return visitors.new_visitor(site=site)


def _refuse_foreign_page(request: HttpRequest) -> None:
    origin = request.headers.get("Origin")
    if origin is not None and not is_own_origin(origin, request.get_host()):
        raise HttpError(403, f"Pages of {origin[:100]} get no visitor tokens. Embed the widget instead.")
