"""What goes wrong when people and programs say who they are."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied


class NotAuthenticated(PermissionDenied):
    """No credential, or one that does not hold. Answer 401, or close the socket with 4401.

    A PermissionDenied, so that a view that forgets it still answers 403 and not 500.
    """


class IdentityRefused(NotAuthenticated):
    """A site's signed word about its user does not hold."""


class ClaimRefused(PermissionDenied):
    """These conversations cannot move to this account."""
