#!/usr/bin/env bash
# Puts the Node packages of a folder in place, of this one when none is named: node_modules/ in step with
# package-lock.json, whatever was there before. Prints the path of the `node` to run them with. Quick when all is there.
#
# A Node of 18 or newer with npm on PATH is used; without one, the pinned Node wheel is installed from PyPI into .venv.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../../.." && pwd)"
cd "${1:-$here}"

say() { printf '%s\n' "$*" >&2; }

is_new_enough() { [ "$("$1" -p 'Number(process.versions.node.split(".")[0]) >= 18' 2>/dev/null)" = true ]; }

find_node() {
    local node
    if node="$(type -P node)" && type -P npm >/dev/null && is_new_enough "$node"; then
        echo "$node"
        return
    fi
    local python="${PYTHON:-$root/.venv/bin/python}" bin
    bin="$(dirname "$python")"
    if ! { [ -x "$bin/node" ] && is_new_enough "$bin/node"; }; then
        say "Node was not found; installing it from PyPI beside $python"
        if [ -x "$bin/uv" ]; then
            "$bin/uv" pip install --quiet --python "$python" --require-hashes -r "$here/requirements.lock" >&2
        else
            "$python" -m pip install --quiet --require-hashes -r "$here/requirements.lock" >&2
        fi
    fi
    echo "$bin/node"
}

exec 9<package.json
if type -P flock >/dev/null; then flock 9; fi
node="$(find_node)"
PATH="$(dirname "$node"):$PATH"
wanted="$(cat package.json package-lock.json | sha256sum | cut -d ' ' -f 1)"
if [ "$(cat node_modules/.heliograph 2>/dev/null || true)" != "$wanted" ]; then
    say "Installing the Node packages of $PWD"
    npm ci --no-audit --no-fund >&2
    echo "$wanted" >node_modules/.heliograph
fi
echo "$node"
