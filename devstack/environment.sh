#!/usr/bin/env bash
# Brings .venv and gen/ in step with requirements-dev.lock, pyproject.toml and protos/. Quick when they already are.
#
# Needs Python 3.11 and nothing else. uv does the installing if it is on PATH or can be installed (the lock pins it);
# otherwise pip does, with the same hashes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-1}" PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '%s\n' "$*" >&2; }

# Every Python 3.11 that really runs: a name on PATH may be a shim of a version manager without that version.
# The system's own comes first: distributions build theirs with the compiler's profiles, which version managers leave
# out, and that is a tenth of the whole system's speed (ADR 8).
find_pythons() {
    local candidate
    {
        if [ -n "${PYTHON:-}" ]; then
            echo "$PYTHON"
        else
            echo /usr/bin/python3.11
            type -aP python3.11 python3 python || true
        fi
    } | awk '!seen[$0]++' | while read -r candidate; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
            printf '%s\n' "$candidate"
        fi
    done
}

make_venv() {
    local python pythons
    mapfile -t pythons < <(find_pythons)
    if [ ${#pythons[@]} -eq 0 ]; then
        say "Python 3.11 was not found. Install it (on Debian 12: apt-get install python3.11 python3.11-venv),"
        say "or name it: make run PYTHON=/path/to/python3.11"
        exit 2
    fi
    for python in "${pythons[@]}"; do
        say "Making .venv with $python"
        if type -P uv >/dev/null && uv venv --quiet --allow-existing --python "$python" .venv; then return; fi
        if "$python" -m venv .venv; then return; fi
        say "$python could not make a virtual environment."
        rm -rf .venv/bin .venv/lib .venv/lib64 .venv/include .venv/pyvenv.cfg
    done
    say "Its venv module may be missing (on Debian 12: apt-get install python3.11-venv), or this folder can't be written."
    rm -rf .venv
    exit 2
}

# Prints the path of a uv: the one on PATH, or the locked one, installed by pip into .venv.
find_uv() {
    if type -P uv; then return; fi
    [ -x .venv/bin/pip ] || return 1
    if [ ! -x .venv/bin/uv ]; then
        awk '/^[^ ]/ { wanted = /^uv==/ } wanted' requirements-dev.lock >.venv/uv.lock
        .venv/bin/pip install --quiet --no-deps --require-hashes -r .venv/uv.lock >&2 || return 1
    fi
    echo .venv/bin/uv
}

install_with_uv() {
    local uv
    uv="$(find_uv)" || return 1
    "$uv" pip sync --quiet --python .venv/bin/python --require-hashes requirements-dev.lock
}

install_with_pip() {
    [ -x .venv/bin/pip ] || .venv/bin/python -m ensurepip
    .venv/bin/python -m pip install --quiet --require-hashes -r requirements-dev.lock
}

install_packages() {
    say "Installing the packages of requirements-dev.lock"
    install_with_uv || {
        say "uv could not do it; pip does, which takes longer"
        install_with_pip
    } || {
        say "The packages could not be installed; the lines above say why. PyPI, or a mirror of it, must be reachable."
        exit 2
    }
}

# The project itself, in place: its folders and gen/ become importable, and the command `heliograph` appears.
# No index is asked: what builds it (setuptools) came with the lock.
install_project() {
    if [ -x .venv/bin/uv ]; then
        .venv/bin/uv pip install --quiet --python .venv/bin/python --offline --no-deps --no-build-isolation --editable .
    else
        .venv/bin/python -m pip install --quiet --no-index --no-deps --no-build-isolation --editable .
    fi
}

fingerprint() { cat "$@" | sha256sum | cut -d ' ' -f 1; }

is_current() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

if [ ! -w . ]; then
    say "$(pwd) can't be written by $(id -un): give it to that account (chown), or work in a copy of your own."
    exit 2
fi
mkdir -p .venv
# Two commands started together must not both install. (.venv/.lock is uv's own.)
if type -P flock >/dev/null; then
    exec 9>.venv/.environment.lock
    flock 9
fi

packages="$(fingerprint requirements-dev.lock)"
protos="$(find protos -type f -name '*.proto' -o -name '*.py' -path 'protos/*' | LC_ALL=C sort | xargs cat buf.yaml | sha256sum | cut -d ' ' -f 1)"
project="$(fingerprint requirements-dev.lock pyproject.toml devstack/environment.sh)-$protos"

if ! is_current .venv/.packages "$packages" || [ ! -x .venv/bin/python ]; then
    [ -x .venv/bin/python ] || make_venv
    install_packages
    echo "$packages" >.venv/.packages
fi
if ! is_current .venv/.protos "$protos" || [ ! -d gen/heliograph ]; then
    say "Generating the code of protos/"
    .venv/bin/python protos/generate.py
    echo "$protos" >.venv/.protos
fi
if ! is_current .venv/.project "$project"; then
    install_project
    echo "$project" >.venv/.project
fi
