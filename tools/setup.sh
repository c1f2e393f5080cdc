#!/usr/bin/env bash
# Installs what a fresh Debian 12 or Ubuntu machine is missing; quick when nothing is.
set -euo pipefail

packages="build-essential cmake ninja-build pkg-config git ca-certificates ccache
clang clang-tidy clang-format libclang-rt-14-dev llvm
libwebsockets-dev libhiredis-dev libcurl4-openssl-dev libssl-dev libyaml-dev libjansson-dev
protobuf-c-compiler libprotobuf-c-dev libonnx-dev zlib1g-dev libminizip-dev libcmocka-dev libopenblas0
redis-server redis-sentinel redis-tools libpq-dev postgresql-15 python3-botocore
python3 python3-numpy python3-onnx npm openssl"

# shellcheck disable=SC2086
missing=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $packages 2>/dev/null |
    awk '$2 == "installed" {print $1}' | sort >/tmp/btcast-have.$$
    printf '%s\n' $packages | sort | comm -23 - /tmp/btcast-have.$$; rm -f /tmp/btcast-have.$$)
command -v node >/dev/null && command -v npm >/dev/null && missing=$(grep -vx npm <<<"$missing" || true)
if [ -z "$missing" ]; then
    exec "$(dirname "$0")/duckdb.sh"
fi

if [ "$(id -u)" -ne 0 ]; then
    echo "setup: these packages are missing, install them as root:" $missing >&2
    exit 1
fi
echo "setup: installing" $missing
# The packages' own servers are not wanted: this project starts private ones.
apt-get update -qq
RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
"$(dirname "$0")/duckdb.sh"
