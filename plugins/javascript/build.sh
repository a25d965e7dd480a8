#!/bin/sh
# Builds the interpreter for JavaScript and TypeScript, `plugins/built/javascript.wasm`: QuickJS and oxc as a component.
#
# It needs rustup's cargo, and python3 with venv: the C compiler is that of the package `ziglang`, which is installed once,
# with its cache, below `$BAILIWICK_TOOLS` (else `target/tools`). Does nothing when neither the sources nor the contracts
# have changed.
#
#     build.sh [--force]
set -eu

target=wasm32-wasip2
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
tools=${BAILIWICK_TOOLS:-$root/target/tools}/javascript
folder=${CARGO_TARGET_DIR:-$root/target}
output=$root/plugins/built/javascript.wasm
python=$tools/bin/python

fail() {
    echo "plugins/javascript/build.sh: $1" >&2
    exit 1
}

say() {
    echo "javascript: $1"
}

# One hash over all that the component is made of.
inputs() {
    cd "$root"
    find plugins/javascript plugins/prepare wit Cargo.toml Cargo.lock rust-toolchain.toml -type f | LC_ALL=C sort |
        xargs sha256sum | sha256sum | cut -d ' ' -f 1
}

# The C compiler, in a Python of its own.
compiler() {
    cmp -s "$here/requirements.txt" "$tools/.installed" && return
    command -v python3 >/dev/null || fail "there is no python3; install it (Debian: apt-get install python3-venv)"
    say "installing the C compiler in $tools"
    rm -rf "$tools"
    mkdir -p "$(dirname -- "$tools")"
    python3 -m venv "$tools" || fail "python3 cannot make a venv; install it (Debian: apt-get install python3-venv)"
    "$python" -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes \
        --requirement "$here/requirements.txt" || fail "the C compiler could not be installed; see above"
    cp "$here/requirements.txt" "$tools/.installed"
}

# Cargo calls a C compiler by one name; these are the names.
wrappers() {
    cat >"$tools/bin/zig-cc" <<END
#!/bin/sh
# Compiles for $target. Rust's name for the target is not zig's, and linking is Rust's.
for argument; do
    shift
    case \$argument in
    --target=*) ;;
    *) set -- "\$@" "\$argument" ;;
    esac
done
exec "$python" -m ziglang cc -target wasm32-wasi "\$@"
END
    cat >"$tools/bin/zig-ar" <<END
#!/bin/sh
exec "$python" -m ziglang ar "\$@"
END
    chmod +x "$tools/bin/zig-cc" "$tools/bin/zig-ar"
}

component() {
    say "compiling the component"
    home=${CARGO_HOME:-$HOME/.cargo}
    cflags="-O3 -include $here/c/stack.h -DNDEBUG -fno-sanitize=all -fwrapv -ffile-prefix-map=$home=cargo -ffile-prefix-map=$folder=target -ffile-prefix-map=$tools=tools"
    separator=$(printf '\037')
    (
        cd "$root"
        export RQUICKJS_SYS_NO_WASI_SDK=1 ZIG_GLOBAL_CACHE_DIR="$tools/cache" ZIG_LOCAL_CACHE_DIR="$tools/cache"
        export CC_wasm32_wasip2="$tools/bin/zig-cc" AR_wasm32_wasip2="$tools/bin/zig-ar" CFLAGS_wasm32_wasip2="$cflags"
        unset RUSTFLAGS RUSTC_WORKSPACE_WRAPPER CARGO_BUILD_TARGET || true
        export CARGO_ENCODED_RUSTFLAGS="--remap-path-prefix=$home=cargo${separator}--remap-path-prefix=$root=."
        cargo build --locked --profile guest --target $target --target-dir "$folder/plugins" -p bailiwick-plugin-javascript
    ) || fail "the interpreter does not compile; see above"
    built=$folder/plugins/$target/guest/bailiwick_plugin_javascript.wasm
}

# Runs the component's set-up once and keeps what it left in memory.
prepare() {
    say "preparing it"
    # Chosen out of the whole workspace, so that the engine is compiled with the features that everything else needs too.
    (cd "$root" && cargo build --locked --quiet --workspace --exclude bailiwick-guests --exclude bailiwick-benches \
        --target-dir "$folder" --bin bailiwick-prepare && "$folder/debug/bailiwick-prepare" "$built" "$output") ||
        fail "the component cannot be prepared; the reason stands above"
}

hash=$(inputs)
if [ "${1:-}" != --force ] && [ -e "$output" ] && [ "$(cat "$output.inputs" 2>/dev/null)" = "$hash" ]; then
    say "$output is up to date"
    exit 0
fi
command -v cargo >/dev/null || fail "there is no cargo; install rustup"
[ -d "$(cd "$root" && rustc --print target-libdir --target $target)" ] || fail "the target $target is missing: run \`rustup target add $target\`"
compiler
wrappers
component
mkdir -p "$root/plugins/built"
rm -f "$output.inputs"
prepare
echo "$hash" >"$output.inputs"
say "$output, $(wc -c <"$output") bytes"
