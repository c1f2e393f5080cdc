# SPDX-License-Identifier: Apache-2.0
"""`btcast replay`: real market data through the live code path, the same bytes each time and
with each kernel; also what `btcast exchange-sim --out` and `btcast record` wrote."""
import json
import os
import time

import harness
import system

KERNELS = {"plain": None, "avx2": "avx2", "avx512": "avx512f"}


def cpu_flags():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("flags"):
                return line.split()
    return []


def replay(folder, file, name, *words):
    """(summary, features, predictions) of one replay."""
    features = os.path.join(folder, f"{name}.features.csv")
    predictions = os.path.join(folder, f"{name}.predictions.csv")
    status, out, err = harness.run("replay", file, "--features", features, "--predictions",
                                   predictions, "--json", *words)
    assert status == 0, err
    return json.loads(out), system.read_bytes(features), system.read_bytes(predictions)


def check_same_bytes(folder, file):
    """Twice, and with every kernel the processor has: the same files. The summary."""
    summary, features, predictions = replay(folder, file, "first")
    assert summary["rows"] > 0 and features.count(b"\n") == summary["rows"] + 1
    assert predictions.count(b"\n") >= 2
    again, features_again, predictions_again = replay(folder, file, "again")
    for figures in (summary, again):
        for measured in ("elapsed_ms", "frames_per_second"):
            figures.pop(measured)
    assert again == summary
    assert features_again == features and predictions_again == predictions
    flags = cpu_flags()
    for kernel, flag in KERNELS.items():
        if flag is not None and flag not in flags:
            print(f"SKIPPED: kernel {kernel}, the processor has no {flag}")
            continue
        _, of_kernel, made = replay(folder, file, kernel, "--kernel", kernel)
        assert of_kernel == features, kernel
        assert made == predictions, kernel
    return summary


def test_the_real_capture_is_applied_whole_and_gives_the_same_bytes_each_time():
    system.need_capture()
    summary = check_same_bytes(harness.temp_dir(), system.CAPTURE)
    print(summary)
    expected = {"diffs_applied": 3449, "diffs_stale": 2, "quotes": 28040, "trades": 9757,
                "gaps": 0, "crossed_events": 0, "trade_holes": 0, "snapshots_diverged": 0,
                "refused": 0, "damaged": 0, "holes": 0, "anchors": 1}
    assert {name: summary[name] for name in expected} == expected
    assert summary["rows"] >= 346 // 2 - 1


def test_a_market_written_at_full_speed_replays_without_a_gap():
    folder = harness.temp_dir()
    file = os.path.join(folder, "market.btc")
    status, _, err = harness.run("exchange-sim", "--hours", "0.05", "--out", file)
    assert status == 0, err
    summary = check_same_bytes(folder, file)
    print(summary)
    assert summary["gaps"] == 0 and summary["trade_holes"] == 0 and summary["anchors"] == 1
    assert summary["refused"] == 0 and summary["damaged"] == 0
    assert summary["diffs_applied"] > 1000 and summary["trades"] > 1000
    assert summary["snapshots_verified"] > 0 and summary["snapshots_diverged"] == 0


def test_what_record_collected_replays_with_all_its_records():
    folder = harness.temp_dir()
    file = os.path.join(folder, "collected.btc")
    offset = harness.free_port_offset()
    port = harness.PORTS["exchange-sim"] + offset
    exchange = harness.start("exchange-sim", "--port-offset", offset, "--data", folder)
    harness.wait_until(lambda: harness.get_json(port, "/health"), "the exchange answers")
    record = harness.start("record", "--exchange", "sim", "--out", file, "--for-s", "8",
                           "--port-offset", offset)
    harness.wait_until(lambda: "event=anchored" in record.log(), "the recorder has a book")
    time.sleep(2)
    assert harness.post_json(port, "/control/faults", {"fault": "cut"})[0] == 200
    status, log = record.wait(), record.log()
    assert exchange.stop() == 0
    assert status == 0, log
    recorded = int(log.split("event=recorded records=")[1].split()[0])
    summary = check_same_bytes(folder, file)
    print(summary)
    assert summary["records"] == recorded
    assert summary["quotes"] > 100 and summary["trades"] > 0
    assert summary["anchors"] == summary["gaps"] + 1, "not each loss of the book was mended"
    assert summary["snapshots_verified"] > 0 and summary["snapshots_diverged"] == 0
    assert summary["refused"] == 0 and summary["damaged"] == 0


if __name__ == "__main__":
    harness.run_tests(globals())
