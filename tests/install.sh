#!/bin/sh
# Installs what the tests need of others, by pinned versions, in a folder beside this script: what its requirements.txt
# names, in a Python of its own, likewise for each further folder below it, what its package-lock.json names, the
# documents in packages that its documents.json names, and the packages of Debian that its packages.txt names, which are
# unpacked there and not installed. Does nothing for what is there already. Needs python3 (3.10 or later), node 20 or
# later and npm.
#
#     install.sh FOLDER [FOLDER-BELOW ...]
set -eu
cd "$(dirname "$0")/$1"
shift

# Whether what is in folder $1 was installed from file $2 as it is now.
fresh() {
    [ -e "$1/.installed" ] && cmp -s "$1/.installed" "$2"
}

# Unpacks package $1, as NAME=VERSION, of which this is the SHA-256, $2.
unpack() {
    apt-get download -qq -o APT::Sandbox::User=root "$1" || return 1
    echo "$2  $(echo "${1%%=*}"_*.deb)" | sha256sum --check --quiet || exit 1
    dpkg-deb --extract "${1%%=*}"_*.deb .
}

for python in . "$@"; do
    fresh "$python/.venv" "$python/requirements.txt" && continue
    rm -rf "$python/.venv"
    python3 -m venv "$python/.venv"
    "$python/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$python/requirements.txt"
    cp "$python/requirements.txt" "$python/.venv/.installed"
done

if [ -e package-lock.json ] && ! fresh node_modules package-lock.json; then
    npm ci --loglevel error
    cp package-lock.json node_modules/.installed
fi

if [ -e documents.json ]; then
    .venv/bin/python documents.py
fi

if [ -e packages.txt ] && ! fresh .packages packages.txt; then
    rm -rf .packages
    mkdir .packages
    cd .packages
    while read -r package digest; do
        # A fresh machine may have no lists of packages yet.
        if ! unpack "$package" "$digest" && ! { apt-get update -qq && unpack "$package" "$digest"; }; then
            # The tests that need it say that they are left out.
            echo "$package cannot be had: it takes Debian 12 and lists of its packages (apt-get update)" >&2
            exit 0
        fi
    done <../packages.txt
    rm -f ./*.deb
    cp ../packages.txt .installed
fi
