#!/bin/sh
# Builds the interpreters that run programs, `plugins/built/LANGUAGE.wasm`: those that are named, or all.
#
# Each `plugins/LANGUAGE/build.sh` builds one, and does nothing where nothing has changed. They are not built with the host,
# because they need more than Rust; what they need is kept below `$BAILIWICK_TOOLS` (else `target/tools`).
#
#     build-interpreters.sh [--force] [javascript] [python]
set -eu

plugins=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
force=
if [ "${1:-}" = --force ]; then
    force=--force
    shift
fi

javascript() {
    "$plugins/javascript/build.sh" $force
}

python() {
    "$plugins/python/build.sh" $force
}

for language in ${*:-javascript python}; do
    case $language in
    javascript | python) "$language" ;;
    *)
        echo "plugins/build-interpreters.sh: there is no interpreter \`$language\`: there are javascript and python" >&2
        exit 1
        ;;
    esac
done
