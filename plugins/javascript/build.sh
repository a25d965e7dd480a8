#!/bin/sh
# Builds the interpreter for JavaScript and TypeScript: `build.sh OUTPUT` writes the component to OUTPUT.
#
# It needs rustup's cargo with the target wasm32-wasip2, and python3 with venv: the C compiler is that of the package
# `ziglang`, which is kept with its cache under $BAILIWICK_TOOLS (default: `target/tools` of the repository).
set -eu

zig=0.17.0
target=wasm32-wasip2
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
tools=${BAILIWICK_TOOLS:-$root/target/tools}
folder=${CARGO_TARGET_DIR:-$root/target}
output=${1:?usage: build.sh OUTPUT}

fail() {
    echo "build.sh: $1" >&2
    exit 1
}

say() {
    echo "javascript: $1"
}

# The C compiler, in an environment of its own that is made once.
compiler() {
    python=$tools/zig-$zig/bin/python
    if ! "$python" -c 'import ziglang' 2>/dev/null; then
        say "fetching the C compiler (ziglang $zig)"
        command -v python3 >/dev/null || fail "python3 is missing: install it, with venv (Debian: apt-get install python3-venv)"
        mkdir -p "$tools"
        rm -rf "$tools/zig-$zig"
        python3 -m venv "$tools/zig-$zig" || fail "python3 cannot make an environment: install its venv (Debian: apt-get install python3-venv)"
        "$tools/zig-$zig/bin/pip" install --quiet --disable-pip-version-check "ziglang==$zig" ||
            fail "the package ziglang $zig cannot be installed; pip's own message stands above"
    fi
}

# Cargo calls a C compiler by one name; these are the names.
wrappers() {
    mkdir -p "$tools/bin"
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
    cflags="-O3 -include $root/plugins/javascript/c/stack.h -DNDEBUG -fno-sanitize=all -fwrapv -ffile-prefix-map=$home=cargo -ffile-prefix-map=$folder=target"
    separator=$(printf '\037')
    (
        cd "$root"
        export RQUICKJS_SYS_NO_WASI_SDK=1 ZIG_GLOBAL_CACHE_DIR="$tools/zig-cache" ZIG_LOCAL_CACHE_DIR="$tools/zig-cache"
        export CC_wasm32_wasip2="$tools/bin/zig-cc" AR_wasm32_wasip2="$tools/bin/zig-ar" CFLAGS_wasm32_wasip2="$cflags"
        unset RUSTFLAGS RUSTC_WORKSPACE_WRAPPER CARGO_BUILD_TARGET || true
        export CARGO_ENCODED_RUSTFLAGS="--remap-path-prefix=$home=cargo${separator}--remap-path-prefix=$root=."
        cargo build --locked --profile guest --target $target --target-dir "$folder/plugins" -p bailiwick-plugin-javascript
    ) || fail "the interpreter does not compile; cargo's own messages stand above"
    built=$folder/plugins/$target/guest/bailiwick_plugin_javascript.wasm
}

# Runs the component's set-up once and keeps what it left in memory.
prepare() {
    say "preparing it"
    (cd "$root" && cargo run --locked --quiet -p bailiwick-prepare -- "$built" "$output") ||
        fail "the component cannot be prepared; the reason stands above"
}

rustup target list --installed 2>/dev/null | grep -q "^$target\$" || fail "the wasm target is missing: run \`rustup target add $target\`"
compiler
wrappers
component
mkdir -p "$(dirname -- "$output")"
prepare
say "$(wc -c <"$output") bytes in $output"
