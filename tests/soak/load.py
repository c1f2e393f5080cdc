"""The whole system under load: `btcast up` with the simulated exchange at a rate, and what came of
it: frames a second, frame-to-flush latency, slots, lateness, memory, completeness.

usage: tests/soak/load.py [--rate 30] [--seconds 120] [--json]

SPDX-License-Identifier: Apache-2.0"""
import argparse
import json
import os
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import harness  # noqa: E402

SERVICES = {"sbe-ingestor": 8081, "aggregator": 8082, "re-anchor-service": 8084, "inference": 8085,
            "inference-2": 8095, "exchange-sim": 8089}


def metrics_text(port):
    return harness.http_ask(port, "/metrics")[1]


def histogram(text, name):
    """[(upper edge in seconds, cumulative count)] of one histogram."""
    rows = []
    for edge, count in re.findall(rf'^{name}_bucket{{le="([^"]+)"}} (\S+)$', text, re.M):
        rows.append((float("inf") if edge == "+Inf" else float(edge), float(count)))
    return rows


def quantile(rows, base, q):
    """Upper bound of the q quantile of what was added since base, in microseconds."""
    before = dict(base)

    def seen_before(edge):
        at = [count for upper, count in before.items() if upper <= edge]
        return max(at, default=0)
    total = rows[-1][1] - seen_before(float("inf"))
    for edge, count in rows:
        if count - seen_before(edge) >= q * total:
            return edge * 1e6
    return float("inf")


def pss_kb(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1))


def children(pid):
    """{service name: pid} of a running `btcast up`."""
    found = {}
    for child, words in harness.children(pid).items():
        name = words[1] if len(words) > 1 else ""
        found["inference-2" if name == "inference" and "replica=2" in words else name] = child
    return found


def memory_kb(pids):
    """{service: Pss in kB} of the four hot processes."""
    return {name: pss_kb(pids.get(name, 0))
            for name in ("sbe-ingestor", "aggregator", "inference", "inference-2")}


def slots(redis):
    ids = [entry[0].decode() if isinstance(entry[0], bytes) else entry[0]
           for entry in redis("XRANGE", "predictions:BTCUSDT", "-", "+")]
    return [int(name.split("-")[0]) for name in ids]


def loss(port):
    """What any stage says it lost or refused; all have to be 0."""
    names = {"ingestor_missing_ids_total": "sbe-ingestor",
             "ingestor_entries_dropped_total": "sbe-ingestor",
             "ingestor_sbe_malformed_total": "sbe-ingestor",
             "ingestor_sbe_reconnections_total": "sbe-ingestor",
             "aggregator_stream_records_missing": "aggregator",
             "aggregator_trades_missing": "aggregator"}
    return {name: harness.metric(port[service], name) for name, service in names.items()}


def book_differences(exchange, redis):
    """Level fields that differ from the exchange's own book once the market stands still."""
    harness.post_json(exchange, "/control/pause", {"paused": True})
    time.sleep(1)
    ours = redis.hash("ob:BTCUSDT")
    theirs = harness.get_json(exchange, "/control/book?id=" + ours["last_update_id"])
    different = 0
    for side, name in (("bids", "bid"), ("asks", "ask")):
        for level in range(10):
            price, quantity = theirs[side][level]
            different += ours.get(f"{name}{level + 1}_p") != price
            different += ours.get(f"{name}{level + 1}_q") != quantity
    return different


def measure(options):
    folder = harness.temp_dir()
    offset = harness.free_port_offset()
    config = os.path.join(folder, "sim.yaml")
    pathlib.Path(config).write_text(
        f"service: exchange-sim\nmarket:\n  rate: {options.rate}\n  history_s: 60\n")
    up = harness.start("up", "--data", folder, "--port-offset", str(offset),
                       "--set", f"config.exchange_sim={config}")
    port = {name: number + offset for name, number in SERVICES.items()}
    harness.wait_until(lambda: harness.http_ask(port["inference"], "/prediction")[0] == 200,
                       "first prediction", 30)
    time.sleep(min(10, options.seconds / 4))
    pids = children(up.pid)
    base_flush = histogram(metrics_text(port["aggregator"]), "aggregator_frame_to_flush_seconds")
    base_frames = harness.metric(port["sbe-ingestor"], "ingestor_sbe_messages_total")
    memory = []
    started = time.monotonic()
    while time.monotonic() - started < options.seconds:
        time.sleep(5)
        memory.append((time.monotonic() - started, memory_kb(pids)))
    elapsed = time.monotonic() - started
    flush = histogram(metrics_text(port["aggregator"]), "aggregator_frame_to_flush_seconds")
    frames = harness.metric(port["sbe-ingestor"], "ingestor_sbe_messages_total")
    inference = metrics_text(port["inference"])
    socket = os.path.join(os.path.realpath(os.path.join(folder, "run")), "redis.sock")
    redis = harness.Redis(socket)
    published = slots(redis)
    late = histogram(inference, "inference_publish_lateness_seconds")
    total = histogram(inference, "inference_total_latency_seconds")
    after_two = [kb for at, kb in memory if at >= min(120, options.seconds / 2)]
    result = {
        "frames_per_second": (frames - base_frames) / elapsed,
        "frame_to_flush_us_p50": quantile(flush, base_flush, 0.5),
        "frame_to_flush_us_p99": quantile(flush, base_flush, 0.99),
        "slots": len(published),
        "slots_missing": published[-1] - published[0] + 1 - len(set(published)),
        "slots_double": len(published) - len(set(published)),
        "published_late_us_p50": quantile(late, [], 0.5),
        "published_late_us_max": quantile(late, [], 1.0),
        "prediction_us_p50": quantile(total, [], 0.5),
        "prediction_us_p99": quantile(total, [], 0.99),
        "memory_kb": sum(memory[-1][1].values()),
        "memory_growth_kb": sum(after_two[-1].values()) - sum(after_two[0].values()),
        "sequence_gaps": harness.metric(port["sbe-ingestor"], "ingestor_sbe_sequence_gaps_total"),
    }
    for name, kb in after_two[-1].items():
        result[f"memory_growth_kb {name}"] = kb - after_two[0][name]
    result.update(loss(port))
    result["book_fields_different"] = book_differences(port["exchange-sim"], redis)
    up.stop()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=30)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = measure(options)
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:34} {value:,.0f}" if value is not None else f"{name:34} -")


if __name__ == "__main__":
    main()
