#!/usr/bin/env bash
# Makes sure that DuckDB's shared library and C header are there. Debian has no package, npm
# carries both halves: the library in the Node binding, the header in the sources of the
# older one. No script of either is run. Quick when they are there.
set -euo pipefail
version=1.4.4
cache=${XDG_CACHE_HOME:-$HOME/.cache}/btcast
case $(uname -m) in
    x86_64) cpu=x64 ;;
    aarch64) cpu=arm64 ;;
    *) echo "duckdb: no library for $(uname -m)" >&2; exit 1 ;;
esac

header=$cache/duckdb/include/duckdb.h
if [ ! -s "$header" ] && [ ! -e /usr/include/duckdb.h ] && [ ! -e /usr/local/include/duckdb.h ]; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    (cd "$folder" && npm pack --silent "duckdb@$version" >/dev/null)
    tar xzf "$folder/duckdb-$version.tgz" -C "$folder" package/src/duckdb/src/include/duckdb.h
    mkdir -p "$(dirname "$header")"
    mv "$folder/package/src/duckdb/src/include/duckdb.h" "$header"
fi
library=$cache/npm/node_modules/@duckdb/node-bindings-linux-$cpu/libduckdb.so
if [ ! -s "$library" ] && ! ldconfig -p | grep -q 'libduckdb\.so'; then
    "$(dirname "$0")/npm_peers.sh" "@duckdb/node-bindings-linux-$cpu@$version-r.1" >/dev/null
fi
