#!/usr/bin/env bash
# The long runs that CI has no time for: load at 5,000 and 100,000 frames/s, ten minutes of memory,
# a thousand re-anchors, the end-to-end tests in their long form, five million executions of each fuzz target.
set -uo pipefail
cd "$(dirname "$0")/.."
export BTCAST=$PWD/build/btcast BTCAST_LONG=1
status=0
echo "soak: 120 s at about 5,000 frames/s"
python3 tests/soak/load.py --rate 32 --seconds 120 || status=1
echo "soak: 30 s at about 100,000 frames/s"
python3 tests/soak/load.py --rate 700 --seconds 30 || status=1
echo "soak: memory over ten minutes at about 5,000 frames/s"
python3 tests/soak/load.py --rate 32 --seconds 600 || status=1
echo "soak: the lake away for ten minutes at about 5,000 records/s"
python3 tests/soak/archive.py --rate 5000 --seconds 720 --away 600 || status=1
echo "soak: the archive of 700,000 records at once, and at about 100,000 a second for ten minutes"
python3 tests/soak/archive.py --frames 700000 || status=1
python3 tests/soak/archive.py --rate 100000 --seconds 600 || status=1
echo "soak: data-connector killed a hundred times, alone and in the whole system"
python3 tests/soak/kills.py || status=1
python3 tests/soak/store.py --seconds 600 --away 0 --kills 100 || status=1
echo "soak: PostgreSQL away for ten minutes at about 5,000 frames/s"
python3 tests/soak/store.py || status=1
echo "soak: a tenth of a day, archived, rebuilt and loaded"
python3 tests/soak/tenth_day.py --hours 1.2 || status=1
python3 tests/soak/tenth_day.py --hours 2.4 || status=1
echo "soak: live vectors against bronze at 1,000 slots, about 35 minutes"
python3 tests/soak/bronze_replay.py || status=1
echo "soak: the trainer against the oracle"
python3 tests/soak/train.py || status=1
echo "soak: a bad model leaves the running system by itself; a good one stays for a day"
python3 tests/soak/rollback.py || status=1
build/tests/test_judged_day || status=1
echo "soak: a training killed a hundred times"
python3 tests/soak/learn.py || status=1
echo "soak: no anchor in 24 hours without loss, four times"
BTCAST_FALSE_POSITIVES_HOURS=24 build/tests/test_false_positives || status=1
echo "soak: an hour of REST polls at half of 1,200 with faults"
python3 tests/soak/rest_limits.py --minutes 60 || status=1
echo "soak: half an hour of chaos on a single Redis, Sentinel and Cluster in turn"
python3 tests/soak/chaos.py 600 || status=1
echo "soak: 1,000 re-anchors under 5,000 frames/s, with a reader that never pauses"
build/tests/test_swap_storm || status=1
echo "soak: the ETL killed a hundred times"
build/tests/test_etl || status=1
ctest --test-dir build --output-on-failure -L e2e --timeout 3600 || status=1
tools/fuzz.sh 5000000 || status=1
echo "soak: 10,000 seeds of the simulation"
tools/sim_sweep.py --seeds 1..10000 --jobs "$(nproc)" || status=1
echo "soak: its mutants"
tools/sim_mutants.py --seeds 500 --jobs "$(nproc)" || status=1
exit "$status"
