#!/usr/bin/env python3
"""Medians of `name<TAB>value<TAB>unit` lines as a table: ours, the peer, the ratio, the goal.

SPDX-License-Identifier: Apache-2.0"""
import collections
import os
import pathlib
import platform
import statistics
import sys

# ours, its peer or None, goal text, True when smaller is better
ROWS = [
    ("sbe_decode_diff_20_20", None, "17 ns (generated C codec 21-22 ns)", True),
    ("sbe_decode_quote", None, "", True),
    ("sbe_decode_trade", None, "", True),
    ("book.apply_level", "book.map_level", "3 ns a level", True),
    ("window.add_trade", None, "20 ns", True),
    ("vector.tick", None, "", True),
    ("mlp.forward_32_64_32_1", "mlp.onnxruntime_c", "50 ns", True),
    ("mlp.forward_32_64_32_1_tanh", "mlp.onnxruntime_c_tanh", "", True),
    ("predict.p50", None, "53 us (C + ONNX Runtime 58 us)", True),
    ("predict.p99", None, "75 us", True),
    ("predict_paced.p50", None, "150 us", True),
    ("predict_paced.p99", None, "500 us", True),
    ("swap.p50", None, "", True),
    ("swap.p99", None, "1 ms", True),
    ("replay.frames", None, "", False),
    ("replay.frames_from_capture", None, "5 M frames/s", False),
    ("train.step_batch_64", "train.torch_batch_64", "20 x PyTorch", False),
    ("train.step_batch_256", "train.torch_batch_256", "8 x PyTorch", False),
    ("train.step_batch_1024", "train.torch_batch_1024", "4 x PyTorch", False),
    ("stream_put_single", "redis_benchmark_xadd_p256", "250,000 records/s", False),
    ("stream_put_packed_32", None, "", False),
    ("stream_read", None, "", False),
    ("bronze.write", "bronze.duckdb_copy", "0.7 of DuckDB's own COPY", False),
    ("bronze.feed", None, "100,000 frames/s", False),
]

LONG_RUNS = "## Long runs\n"


def read(path):
    values = collections.defaultdict(list)
    units = {}
    for line in open(path, encoding="utf-8"):
        parts = line.rstrip("\n").split("\t")
        if len(parts) == 3:
            values[parts[0]].append(float(parts[1]))
            units[parts[0]] = parts[2]
    return {name: statistics.median(list_) for name, list_ in values.items()}, units


def number(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def machine():
    model = "unknown"
    for line in open("/proc/cpuinfo", encoding="utf-8"):
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"


def table(medians, units):
    lines = ["| what | ours | peer | ratio | goal |", "|---|---|---|---|---|"]
    shown = set()
    for name, peer, goal, smaller in ROWS:
        if name not in medians:
            continue
        shown.update([name, peer])
        ours = medians[name]
        other = medians.get(peer)
        ratio = "" if other is None else f"{other / ours if smaller else ours / other:.1f} x"
        beside = "" if other is None else f"{number(other)} {units[peer]} ({peer})"
        lines.append(f"| {name} | {number(ours)} {units[name]} | {beside} | {ratio} | {goal} |")
    for name in sorted(set(medians) - shown):
        lines.append(f"| {name} | {number(medians[name])} {units[name]} | | | |")
    return lines


def main():
    medians, units = read(sys.argv[1])
    lines = table(medians, units)
    print("\n".join(lines))
    if "--write" in sys.argv:
        text = ["# Benchmarks", "",
                "Made by `make bench` (`tools/bench.sh --write`): medians of five runs; read the ratios,",
                "not the absolutes.", "", f"Machine: {machine()}.", ""] + lines + [""]
        path = pathlib.Path("BENCHMARKS.md")
        # What long runs have shown stands behind the table, and stays.
        _, mark, rest = path.read_text(encoding="utf-8").partition(LONG_RUNS)
        path.write_text("\n".join(text) + ("\n" + mark + rest if mark else ""), encoding="utf-8")


if __name__ == "__main__":
    main()
