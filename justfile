# What there is to do here. Logic lives in tests and in Rust, not in recipes.

wasm := "wasm32-wasip2"

# List the recipes.
default:
    @just --list

# What a fresh machine lacks: the wasm target.
setup:
    @rustup target list --installed | grep -q '^{{wasm}}$' || rustup target add {{wasm}}

# Build the interpreters for JavaScript and Python, which become part of the program. Needs python3; gets compilers itself.
interpreters: setup
    plugins/build-interpreters.sh

# Build everything, built-in plugins included.
build: interpreters
    cargo build --locked

# Call real tools through the host: fetch a page, search files, tell the time, see a denial and the audit.
demo: build
    python3 examples/demo/demo.py target/debug/bailiwick

# All tests: format, lints, core, host, guests, real MCP clients.
test: interpreters
    cargo fmt --all --check
    cargo clippy --locked --workspace --exclude bailiwick-guests --all-targets -- -D warnings
    tests/install.sh clients models
    tests/install.sh servers auditor
    tests/install.sh services fastapi
    cargo test --locked --workspace --exclude bailiwick-guests --exclude bailiwick-benches

# Tests that take longer or need heavy components.
slow: interpreters
    tests/install.sh clients models
    tests/install.sh servers auditor
    tests/install.sh services fastapi
    RUN_SLOW_TESTS=1 cargo test --locked --workspace --exclude bailiwick-guests --exclude bailiwick-benches --test bailiwick

# Switch controls off, one at a time, and see that a test fails each time.
teeth *names: interpreters
    python3 tests/teeth/run.py {{names}}

# Fuzz the core, so many seconds for each target.
fuzz seconds *targets:
    tests/fuzz/run.sh {{seconds}} {{targets}}

# Format and lint.
check: setup
    cargo fmt --all --check
    cargo clippy --locked --workspace --exclude bailiwick-guests --all-targets -- -D warnings

# Supply chain: licences, bans, sources (advisories need a copy of the advisory database).
deny:
    cargo deny --offline check bans licenses sources

# Measure; see BENCH.md.
bench *args: interpreters
    cargo bench --locked -p bailiwick-benches -- {{args}}

# Rewrite golden files after looking at what changed.
golden:
    UPDATE=1 cargo test --locked -p bailiwick-core -p bailiwick-tests

# One program, optimised for shipping.
release: interpreters
    cargo build --locked --profile dist -p bailiwick
