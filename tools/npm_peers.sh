#!/usr/bin/env bash
# Installs the npm packages that tests and benchmarks compare with into a cache outside the
# tree, without running their scripts, and prints its node_modules folder. Quick when they
# are there. usage: tools/npm_peers.sh [package@version…; default: all]
set -euo pipefail
packages=${*:-onnxruntime-node@1.30.0}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/btcast/npm
mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9
missing=""
for package in $packages; do
    name=${package%@*}
    version=${package##*@}
    [ "$(sed -nE 's/^ *"version": "([^"]*)".*/\1/p' "$cache/node_modules/$name/package.json" 2>/dev/null |
        head -1)" = "$version" ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086
    npm install --prefix "$cache" --ignore-scripts --no-audit --no-fund --loglevel=error \
        $missing >&2
fi
echo "$cache/node_modules"
