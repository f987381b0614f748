"""The folders under DATA_DIR, and the key that outlives updates."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import tempfile
from pathlib import Path

from chatbot.env import SettingError

# A unix socket's address holds 108 bytes on Linux; the longest name below is `embeddings.sock`.
MAX_SOCKET_PATH = 100


def run_dir(data_dir: Path) -> Path:
    """Where sockets and process ids live: short enough for a unix socket's address."""
    inside = data_dir / "run"
    if len(str(inside / "embeddings.sock")) <= MAX_SOCKET_PATH:
        return inside
    name = hashlib.sha256(str(data_dir).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"parley-{os.getuid()}-{name}"


def kept_secret(data_dir: Path) -> str:
    """The secret key: made at the first start (mode 0600), read ever after."""
    path = data_dir / "secret_key"
    try:
        if path.exists():
            return path.read_text().strip()
        data_dir.mkdir(parents=True, exist_ok=True)
        key = secrets.token_urlsafe(50)
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.touch(mode=0o600)
        temporary.write_text(key)
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)  # the first of several starters wins
        temporary.unlink()
        return path.read_text().strip()
    except OSError as error:
        raise SettingError(
            f"DATA_DIR={data_dir} cannot be written: {error.strerror}. Name a folder of your own in DATA_DIR."
        ) from None
