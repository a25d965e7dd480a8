#!/bin/sh
# Builds one plugin with each standard generator of bindings, from the contract in wit/: build.sh FOLDER. What is needed
# is installed by pinned versions next to this script; needs python3, node with npm, and cargo.
set -eu
folder=$1
cd "$(dirname "$0")"
wit=$PWD/../../wit

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
    # Not `npm ci`: it refuses a lock without an optional package of jco's that was never published. The lock holds all the same.
    npm install --loglevel error
    cp package-lock.json node_modules/.installed
fi
if [ ! -x .cargo/bin/wit-bindgen ]; then
    cargo install --quiet --locked --root .cargo --version 0.63.0 --no-default-features --features c wit-bindgen-cli
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$folder"

mkdir "$work/python"
cp python/app.py "$work/python"
(cd "$work/python" && "$OLDPWD/.venv/bin/componentize-py" -d "$wit" -w plugin componentize app -o python.wasm)
mv "$work/python/python.wasm" "$folder"

npx --no-install jco componentize "$PWD/javascript/tool.js" --backend qjs --backend-qjs-disable-async \
    --wit "$wit" -n plugin -o "$folder/javascript.wasm"

.cargo/bin/wit-bindgen c --world plugin --out-dir "$work/c" "$wit"
.venv/bin/python -m ziglang cc -target wasm32-wasi -mexec-model=reactor -Os -I"$work/c" -o "$work/c/core.wasm" \
    "$work/c/plugin.c" c/tool.c "$work/c/plugin_component_type.o"
.venv/bin/wasm-tools component new "$work/c/core.wasm" -o "$folder/c.wasm"
