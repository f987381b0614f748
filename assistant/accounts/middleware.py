"""What every HTTP request passes: the true client address, and the console's two rules of its own."""

from __future__ import annotations

from allauth.mfa.utils import is_mfa_enabled
from csp.constants import NONCE, NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.deprecation import MiddlewareMixin

from assistant.accounts.addresses import client_address

# The console's toolkit compiles its attributes in the browser (Alpine) and colours with style
# attributes. Inline scripts stay forbidden there as everywhere, and nobody may frame it.
CONSOLE_DIRECTIVES = {
    "default-src": [NONE],
    "script-src": [SELF, NONCE, UNSAFE_EVAL],
    "style-src": [SELF, UNSAFE_INLINE],
    "img-src": [SELF, "data:", "blob:"],
    "font-src": [SELF, "data:"],
    "connect-src": [SELF],
    "frame-src": [SELF],
    "form-action": [SELF],
    "base-uri": [NONE],
    "frame-ancestors": [NONE],
}


class ClientAddress(MiddlewareMixin):
    """Puts the true address into REMOTE_ADDR and takes X-Forwarded-For away: libraries disagree on it."""

    def process_request(self, request: HttpRequest) -> None:
        request.META["REMOTE_ADDR"] = client_address(request.META)
        request.META.pop("HTTP_X_FORWARDED_FOR", None)


class Console(MiddlewareMixin):
    """Only staff with a second factor come in, by the ordinary sign-in; its pages get their own policy.

    The toolkit's own sign-in form asks for no second factor, so it can be neither seen nor posted to,
    not even by somebody who is signed in.
    """

    def process_view(self, request: HttpRequest, *_view: object) -> HttpResponseBase | None:
        if not _is_console(request):
            return None
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if not request.user.is_staff:
            raise PermissionDenied("The console is for staff.")
        if request.path_info == reverse("admin:login"):
            return redirect("admin:index")
        if settings.STAFF_MFA and not is_mfa_enabled(request.user):
            return redirect("mfa_activate_totp")
        return None

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if _is_console(request):
            response._csp_config = CONSOLE_DIRECTIVES  # type: ignore[attr-defined]
        return response


def _is_console(request: HttpRequest) -> bool:
    return request.path_info.startswith(reverse("admin:index"))
