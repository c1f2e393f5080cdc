#!/usr/bin/env bash
# Runs every fuzz target and prints executions, findings and the coverage of the file it is
# for. usage: tools/fuzz.sh [executions each; default 5000000, config 1/5 of it] [target…]
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-5000000}
shift || true
cmake --preset fuzz >/dev/null
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! cmake --build --preset fuzz --target fuzz_programs >"$work/build.log"; then
    cat "$work/build.log"
    exit 1
fi
targets=${*:-$(cd build-fuzz/fuzz && ls | grep -E '^fuzz_[a-z_]+$' | sed 's/^fuzz_//')}

# The source files whose coverage counts: first line of the target, "/* covers: FILE… */".
covers() { sed -nE '1s/.*covers: (.*) \*\/.*/\1/p' "tests/fuzz/fuzz_$1.c"; }

fuzz_one() {
    local target=$1 runs=$2 corpus=$work/$1-corpus seeds=tests/fuzz/corpus/$1
    mkdir -p "$corpus"
    [ -d "$seeds" ] || seeds=$corpus
    if [ "$target" = config ]; then runs=$((runs / 5)); fi
    export LLVM_PROFILE_FILE="$work/unused.profraw"
    if ! LLVM_PROFILE_FILE="$work/$target.profraw" "build-fuzz/fuzz/fuzz_$target" -runs="$runs" \
        -max_total_time="${FUZZ_SECONDS_MAX:-1500}" -timeout=10 -rss_limit_mb=4096 \
        -artifact_prefix="$work/$target-" \
        "$corpus" "$seeds" >"$work/$target.log" 2>&1; then
        echo "$target: FINDING"
        tail -40 "$work/$target.log"
        mkdir -p build-fuzz/findings && cp "$work/$target-"[a-z]*-* build-fuzz/findings/ 2>/dev/null || true
        return 1
    fi
    local executed
    executed=$(sed -nE 's/^Done ([0-9]+) runs.*/\1/p' "$work/$target.log" | tail -1)
    llvm-profdata merge -sparse "$work/$target.profraw" -o "$work/$target.profdata"
    # shellcheck disable=SC2046
    llvm-cov report "build-fuzz/fuzz/fuzz_$target" -instr-profile="$work/$target.profdata" \
        $(covers "$target") | awk -v target="$target" -v runs="$executed" '
        /^Filename|^Files|^-|^$|^TOTAL/ {next}
        {sub(".*/", "", $1); printf "%-10s %9d executions, 0 findings, %-32s regions %7s branches %7s\n",
                target, runs, $1, $4, $13}'
}

status=0
running=0
for target in $targets; do
    fuzz_one "$target" "$runs" &
    running=$((running + 1))
    if [ "$running" -ge "$(nproc)" ]; then
        wait -n || status=1
        running=$((running - 1))
    fi
done
while [ "$running" -gt 0 ]; do
    wait -n || status=1
    running=$((running - 1))
done
exit "$status"
