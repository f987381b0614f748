"""What can be wrong with knowledge that people bring: the value seen, the reason, the remedy."""

from __future__ import annotations


class KnowledgeError(Exception):
    """A source, a file or a page that cannot become knowledge."""


class UnreadableFile(KnowledgeError):
    """This one file is broken, too large, or not what its name says. The others go on."""


class RefusedSource(KnowledgeError):
    """The path or address as a whole is refused: nothing was read."""
