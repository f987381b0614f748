#!/usr/bin/env bash
# The whole suite: what it needs, lint, types, tests. `make test` ends here.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin

# Browser tests need Chromium, and fonts that have Chinese.
if ! command -v chromium >/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Chromium for the browser tests …"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium fonts-noto-cjk; } >/dev/null ||
      echo "Chromium could not be installed: the browser tests are left out."
  else
    echo "Chromium is missing: the browser tests are left out. On Debian: sudo apt-get install chromium fonts-noto-cjk"
  fi
fi

$bin/ruff check .
$bin/ruff format --check .
$bin/mypy

# The real model, once; later runs find it converted.
$bin/python -m inference.serving.prepare --models-dir "${MODELS_DIR:-var/models}" ||
  { echo "The model could not be fetched: see the line above."; exit 1; }

exec $bin/python -m pytest -q "$@"
