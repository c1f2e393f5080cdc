#!/usr/bin/env bash
# clang-tidy and clang-format over the sources, and the layer check.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset dev >/dev/null
tools/check_layers.py
find src services tests bench tools -name '*.[ch]' -print0 | xargs -0 clang-format --dry-run --Werror
# The analyzer's findings are shown, not fatal: it cannot know that err_set never returns ERR_OK.
find src services -name '*.c' -print0 |
    xargs -0 -n 4 -P "$(nproc)" clang-tidy -p build-dev --quiet \
        --warnings-as-errors='bugprone-*,cert-*,concurrency-*,misc-*,performance-*,portability-*,readability-*'
