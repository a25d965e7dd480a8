#!/bin/sh
# Installs the real MCP clients that the tests run, by pinned versions, next to this script. Does nothing when they are
# there already. Needs python3 (3.10 or later), node and npm of any age: the Inspector runs on a Node of its own.
set -eu
cd "$(dirname "$0")"

# Whether what is in folder $1 was installed from file $2 as it is now.
fresh() {
    [ -e "$1/.installed" ] && cmp -s "$1/.installed" "$2"
}

if ! fresh .venv requirements.txt; then
    rm -rf .venv
    python3 -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
    cp requirements.txt .venv/.installed
fi

if ! fresh node_modules package-lock.json; then
    npm ci --loglevel error
    cp package-lock.json node_modules/.installed
fi
