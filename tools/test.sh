#!/usr/bin/env bash
# Every test that needs no network: a short run of each fuzz target, unit and integration tests
# under ASan and UBSan, then the end-to-end tests over the release binary.
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=$(nproc)

cmake --preset dev >/dev/null
cmake --build --preset dev
cmake --preset release >/dev/null
cmake --build --preset release --target e2e_programs

status=0
FUZZ_SECONDS_MAX=12 tools/fuzz.sh 100000 || status=1
ctest --test-dir build-dev --output-on-failure -j "$jobs" -L 'unit|integration|tidy' || status=1
# As many seeds as 45 s have room for.
build/btcast-sim --seeds 1..500 --for 45 --jobs "$jobs" || status=1
# End-to-end tests mostly wait; each has a folder, sockets and ports of its own.
ctest --test-dir build --output-on-failure -j $((jobs + 1)) -L 'e2e|hours' || status=1
exit "$status"
