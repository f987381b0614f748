#!/bin/sh
# Makes what is not in the repository: docker/env (settings) and docker/secrets (random values).
# Safe to repeat: what exists is kept.
set -eu
cd "$(dirname "$0")"
umask 077

random() { od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n'; }

# The folder is closed to others; the files in it are readable, because containers have users of their own.
secret() {
    [ -s "secrets/$1" ] || printf '%s' "$2" > "secrets/$1"
    chmod 0444 "secrets/$1"
}

[ -e env ] || cp env.example env
mkdir -p secrets
secret secret_key "$(random)"
secret metrics_token "$(random)"
secret postgres_password "$(random)"
secret database_url "postgresql://parley:$(cat secrets/postgres_password)@postgres:5432/parley"
echo "docker/env and docker/secrets are ready. Set PUBLIC_URL in docker/env, and keep docker/secrets safe."
