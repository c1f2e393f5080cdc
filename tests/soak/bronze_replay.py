"""Live vectors against bronze at 1,000 slots or more: a system with a store runs for about 35 minutes, with a
re-anchor that an operator forces and a depth frame that never comes. Then, byte for byte: the vector of every
tick that a reader saw, against a replay of bronze; and the vectors that were served at the slots, against the
feature store that the ETL makes of bronze.

usage: tests/soak/bronze_replay.py [--slots 1000]

SPDX-License-Identifier: Apache-2.0"""
import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import bronze_vectors  # noqa: E402
import harness  # noqa: E402
import system  # noqa: E402
import test_etl  # noqa: E402


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--slots", type=int, default=1000)
    options = parser.parse_args()
    up, data, url = test_etl.start_system()
    vectors = system.Vectors(up)
    test_etl.wait_served(url, options.slots // 3)
    bronze_vectors.force(up)
    test_etl.wait_served(url, 2 * options.slots // 3)
    bronze_vectors.withhold(up)
    # A slot that was served from the tick before is not compared: so many have to be.
    harness.wait_until(lambda: test_etl.compared(url) >= options.slots,
                       f"{options.slots} vectors at slots are found again", 600 + 6 * options.slots, 5)
    seen = vectors.stop()
    test_etl.stop_system(up)
    ticks, summary = bronze_vectors.compare(data, seen)
    print(f"{ticks} vectors at ticks are bronze's, byte for byte; {summary['anchors']} anchors, "
          f"{summary['gaps']} gaps, {summary['records']} records", flush=True)
    slots = test_etl.check(data, url, options.slots)
    print(f"{slots} vectors at slots are the feature store's, byte for byte")
    assert summary["anchors"] >= 3 and summary["gaps"] >= 1, summary
    assert slots >= options.slots and ticks >= 2 * options.slots, (ticks, slots)


if __name__ == "__main__":
    main()
