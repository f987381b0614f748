"""The model named by MODEL, made ready by the serving side, in a process of its own.

Conversion imports torch; the supervisor must stay small, so it only reads where the result stands.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from django.conf import settings

from chatbot.env import SettingError


def prepare() -> Path | None:
    """The converted folder of MODEL and the embedder's weights, fetched and converted when missing.

    None when ENGINE_URL names an upstream. Raises SettingError with the reason and the remedy.
    """
    argv = [sys.executable, "-m", "inference.serving.prepare", "--models-dir", str(settings.MODELS_DIR)]
    argv += ["--quantization", settings.ENV["QUANTIZATION"], "--json"]
    argv += ["--embedder-only"] if settings.ENGINE_URL else [settings.MODEL]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, cwd=settings.BASE_DIR)
    if done.returncode != 0:
        raise SettingError(_reason(done.stdout) or f"MODEL={settings.MODEL} could not be made ready.")
    folder = json.loads(done.stdout.splitlines()[-1]).get("path")
    return Path(folder) if folder else None


def _reason(output: str) -> str:
    try:
        return str(json.loads(output.splitlines()[-1])["error"])
    except (IndexError, KeyError, ValueError):
        return ""
