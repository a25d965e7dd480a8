#!/bin/sh
# Builds the Python interpreter, `plugins/built/python.wasm`: CPython 3.14 with its standard library, as a component.
#
# What builds it is installed once, by pinned versions, in a Python of its own below `$BAILIWICK_TOOLS` (else
# `target/tools`). Does nothing when neither the sources nor the contracts have changed. Needs python3 (3.9 or later)
# with venv; no root.
#
#     build.sh [COMPONENT]
#
# COMPONENT is where it goes, if not there.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
tools=${BAILIWICK_TOOLS:-$root/target/tools}/python
component=${1:-$root/plugins/built/python.wasm}

fail() {
    echo "plugins/python/build.sh: $*" >&2
    exit 1
}

# One hash over all that the component is made of.
inputs() {
    cd "$root"
    find plugins/python wit -type f ! -name '*.pyc' ! -name README.md | LC_ALL=C sort | while read -r file; do
        printf '%s\n' "$file"
        cat "$file"
    done | sha256sum | cut -d ' ' -f 1
}

install() {
    cmp -s "$here/requirements.txt" "$tools/.installed" && return
    command -v python3 > /dev/null || fail "there is no python3; install it (Debian: apt-get install python3-venv)"
    echo "python: installing what builds it in $tools"
    rm -rf "$tools"
    mkdir -p "$(dirname "$tools")"
    python3 -m venv "$tools" || fail "python3 cannot make a venv; install it (Debian: apt-get install python3-venv)"
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes \
        --requirement "$here/requirements.txt" || fail "what builds it could not be installed; see above"
    cp "$here/requirements.txt" "$tools/.installed"
}

hash=$(inputs)
if [ -e "$component" ] && [ "$(cat "$component.inputs" 2> /dev/null)" = "$hash" ]; then
    echo "python: $component is up to date"
    exit 0
fi
install
echo "python: building $component (half a minute)"
mkdir -p "$(dirname "$component")"
component=$(cd "$(dirname "$component")" && pwd)/$(basename "$component")
site=$("$tools/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$here/app" "$work/app"
cp -r "$site/tzdata" "$work/app/tzdata"
find "$work/app" -name __pycache__ -prune -exec rm -rf {} +
cd "$root"
"$tools/bin/componentize-py" --quiet -d wit -d plugins/python/wit -w bailiwick:python/interpreter \
    componentize -p "$work/app" -o "$work/python.wasm" _bailiwick > "$work/log" 2>&1 || {
    cat "$work/log" >&2
    fail "the component could not be built; see above"
}
cat "$work/log"
# Under another name first: what is half written is nobody's component.
mv "$work/python.wasm" "$component.new"
mv "$component.new" "$component"
echo "$hash" > "$component.inputs"
echo "python: $component, $(wc -c < "$component") bytes"
