#!/usr/bin/env bash
# Every benchmark beside what it beats, medians of several runs, as one table.
# usage: tools/bench.sh [--write]   (--write puts the table into BENCHMARKS.md)
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${BENCH_RUNS:-5}
results=$(mktemp)
trap 'rm -f "$results"' EXIT

# Peers that no distribution package has; without them their rows are missing.
tools/npm_peers.sh >/dev/null || echo "bench: no peers from npm" >&2

for bench in build/bench/bench_*; do
    [ -x "$bench" ] || continue
    for run in $(seq "$runs"); do
        echo "bench: $(basename "$bench") $run/$runs" >&2
        "$bench" >>"$results" || echo "bench: $(basename "$bench") failed" >&2
    done
done
python3 tools/bench_table.py "$results" "$@"
