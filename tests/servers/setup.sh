#!/bin/sh
# Installs other people's MCP servers, by pinned versions, next to this script: what the tests put behind Bailiwick. Does
# nothing when they are there already. Needs python3 (3.10 or later), node 20 or later and npm.
set -eu
cd "$(dirname "$0")"

# Whether what is in folder $1 was installed from file $2 as it is now.
fresh() {
    [ -e "$1/.installed" ] && cmp -s "$1/.installed" "$2"
}

# What $1/requirements.txt names, in a Python of its own.
python_in() {
    fresh "$1/.venv" "$1/requirements.txt" && return
    rm -rf "$1/.venv"
    python3 -m venv "$1/.venv"
    "$1/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$1/requirements.txt"
    cp "$1/requirements.txt" "$1/.venv/.installed"
}

# The servers in Python, and apart from them the tool that writes poisoned ones.
python_in .
python_in auditor

if ! fresh node_modules package-lock.json; then
    npm ci --loglevel error
    cp package-lock.json node_modules/.installed
fi
