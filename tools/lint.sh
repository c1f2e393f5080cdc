#!/usr/bin/env bash
# clang's own warnings, clang-tidy and clang-format over the sources, and the layer check.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset dev >/dev/null
tools/check_layers.py
find src services sim tests bench tools -name '*.[ch]' -print0 | xargs -0 clang-format --dry-run --Werror
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz
# The analyzer's findings are shown, not fatal: it cannot know that err_set never returns ERR_OK.
find src services sim -name '*.c' -print0 |
    xargs -0 -n 4 -P "$(nproc)" clang-tidy -p build-dev --quiet \
        --warnings-as-errors='bugprone-*,cert-*,concurrency-*,misc-*,performance-*,portability-*,readability-*'
