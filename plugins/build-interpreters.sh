#!/bin/sh
# Builds the interpreters that run code: `plugins/built/LANGUAGE.wasm`, one component each. `build-interpreters.sh [LANGUAGE…]`
# builds those that are named, or all there are.
#
# They are not built with the host, because they need more than Rust (see each `plugins/LANGUAGE/build.sh`, which does the
# work). What is already there is kept while nothing it was made of has changed. Tools are kept under $BAILIWICK_TOOLS
# (default: `target/tools` of the repository).
set -eu

plugins=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$plugins")
built=$plugins/built

# A hash over all that an interpreter is made of.
inputs() {
    cd "$root"
    find "plugins/$1" plugins/prepare wit sdk/rust Cargo.lock -type f ! -path '*/target/*' ! -path '*/__pycache__/*' -print0 |
        LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d ' ' -f 1
}

# Builds one, unless it is there. Its script leaves the component where it is told, or fails.
interpreter() {
    made=$(inputs "$1")
    if [ -f "$built/$1.wasm" ] && [ "$(cat "$built/$1.inputs" 2>/dev/null)" = "$made" ]; then
        echo "$1: up to date"
        return
    fi
    mkdir -p "$built"
    rm -f "$built/$1.inputs"
    "$plugins/$1/build.sh" "$built/$1.wasm"
    echo "$made" >"$built/$1.inputs"
}

javascript() {
    interpreter javascript
}

python() {
    interpreter python
}

for language in ${*:-javascript python}; do
    case $language in
    javascript | python)
        if [ -x "$plugins/$language/build.sh" ]; then
            "$language"
        fi
        ;;
    *)
        echo "build-interpreters.sh: there is no interpreter for \`$language\`: there are javascript and python" >&2
        exit 1
        ;;
    esac
done
