#!/usr/bin/env bash
# Fails when a lock no longer answers pyproject.toml, or when it names where the packages came from.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
cp requirements.lock requirements-dev.lock "$scratch"

# Existing pins are kept where they satisfy pyproject.toml, so an unchanged answer means that the lock is fresh.
compile() {
    .venv/bin/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
        --output-file "$scratch/$1" "${@:2}" pyproject.toml >/dev/null
    diff --unified=0 "$1" "$scratch/$1" || {
        echo "$1 is not in step with pyproject.toml: run make lock" >&2
        exit 1
    }
}
compile requirements.lock
compile requirements-dev.lock --extra dev

if grep -nE '://|--index|--find-links| @ ' requirements.lock requirements-dev.lock; then
    echo "A lock must hold names, versions and hashes only" >&2
    exit 1
fi
