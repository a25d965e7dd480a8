#!/bin/sh
# Installs what the tests need of others, by pinned versions, in a folder beside this script: what its requirements.txt
# names, in a Python of its own, likewise for each further folder below it, what its package-lock.json names, and the
# documents in packages that its documents.json names. Does nothing for what is there already. Needs python3 (3.10 or
# later), node 20 or later and npm.
#
#     install.sh FOLDER [FOLDER-BELOW ...]
set -eu
cd "$(dirname "$0")/$1"
shift

# Whether what is in folder $1 was installed from file $2 as it is now.
fresh() {
    [ -e "$1/.installed" ] && cmp -s "$1/.installed" "$2"
}

for python in . "$@"; do
    fresh "$python/.venv" "$python/requirements.txt" && continue
    rm -rf "$python/.venv"
    python3 -m venv "$python/.venv"
    "$python/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$python/requirements.txt"
    cp "$python/requirements.txt" "$python/.venv/.installed"
done

if ! fresh node_modules package-lock.json; then
    npm ci --loglevel error
    cp package-lock.json node_modules/.installed
fi

if [ -e documents.json ]; then
    .venv/bin/python documents.py
fi
