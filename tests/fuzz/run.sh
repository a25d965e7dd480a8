#!/usr/bin/env bash
# Fuzzes the core: run.sh SECONDS [TARGET…], each target that long, by default all of them.
#
# Coverage-guided on stable Rust: LLVM's own pass counts what runs, libFuzzer looks for inputs that run more. What it
# finds goes to target/corpus; KEEP=1 adds what is new, made small, to corpus/, which is part of the repository and which
# the property tests of the core replay. A crash ends with the input's path and the command that shows it again.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:?usage: run.sh SECONDS [TARGET…]}
shift
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
    for file in targets/*.rs; do targets+=("$(basename "$file" .rs)"); done
fi

# The compiler's host. Naming it keeps the flags away from build scripts, which have no fuzzer to count for.
host=$(rustc -vV | sed -n 's/^host: //p')
passes="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
passes+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
passes+=" -Cllvm-args=-sanitizer-coverage-trace-compares"
export RUSTFLAGS="$passes -Ccodegen-units=1 --cfg fuzzing"
export CARGO_TARGET_DIR=$PWD/target
cargo build --locked --release --target "$host"

failed=0
[ "$seconds" = 0 ] && exit 0
for target in "${targets[@]}"; do
    program=target/$host/release/$target
    found=target/corpus/$target
    crashes=target/crashes/$target
    mkdir -p "$found" "$crashes"
    echo "== $target, $seconds s"
    if ! "$program" "$found" "corpus/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=4096 \
        -use_value_profile=1 -print_final_stats=1 -verbosity=1 -artifact_prefix="$crashes/" >"target/$target.log" 2>&1
    then
        failed=1
        input=$(sed -n 's/^.*Test unit written to //p' "target/$target.log" | tail -1)
        grep -m1 -A3 -E "panicked at|ERROR: libFuzzer" "target/$target.log" || tail -5 "target/$target.log"
        echo "FAILED: $target on $PWD/$input"
        echo "  again:    $PWD/$program $PWD/$input"
        echo "  to keep:  cp $PWD/$input $PWD/corpus/$target/"
    fi
    grep -E "^#[0-9]+.*DONE|stat::(number_of_executed_units|average_exec_per_sec|peak_rss_mb)" "target/$target.log" || true
    if [ "${KEEP:-}" = 1 ]; then
        "$program" -merge=1 -max_len=2048 "corpus/$target" "$found" >/dev/null 2>&1
    fi
done
exit $failed
