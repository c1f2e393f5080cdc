#!/usr/bin/env python3
"""Writes docs/metrics.md from what the running services say of themselves.

usage: tools/metrics_doc.py [--check]   (--check: compare only, status 1 when it differs)

SPDX-License-Identifier: Apache-2.0"""
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
os.environ.setdefault("BTCAST", str(ROOT / "build" / "btcast"))
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
import harness  # noqa: E402

SERVICES = [("rest-ingestor", 8080), ("sbe-ingestor", 8081), ("aggregator", 8082),
            ("data-connector", 8083), ("re-anchor-service", 8084), ("gap-detector", 8087),
            ("inference", 8085), ("trainer", 8086), ("exchange-sim", 8089)]
HEAD = """# Metrics

Every service answers `/metrics` in the Prometheus text format on its port. This page is made by
`tools/metrics_doc.py` from the services' own help texts. Histograms are in seconds, four buckets to
the octave, with edges at exactly 0.03 and 0.1.
"""


def table(port):
    text = harness.http_ask(port, "/metrics")[1]
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    rows = sorted(re.findall(r"^# HELP (\S+) (.*)$", text, re.M))
    return [f"| `{name}` | {kinds.get(name, '')} | {words} |" for name, words in rows]


def page():
    offset = harness.free_port_offset()
    up = harness.start("up", "--data", harness.temp_dir(), "--port-offset", str(offset),
                       "--learn", "on", "--set", "learn_delay_s=86400")
    harness.wait_until(lambda: harness.http_ask(8085 + offset, "/prediction")[0] == 200,
                       "the first prediction", 30)
    for name, port in SERVICES:
        harness.wait_until(lambda at=port + offset: harness.http_ask(at, "/metrics")[0] == 200,
                           f"{name} answers", 30)
    lines = [HEAD]
    for name, port in SERVICES:
        harness.wait_until(lambda at=port: harness.http_ask(at + offset, "/metrics")[0] == 200,
                           f"{name} answers", 60)
        lines += [f"## {name} ({port})", "", "| metric | kind | meaning |", "|---|---|---|"]
        lines += table(port + offset) + [""]
    up.stop()
    return "\n".join(lines)


def main():
    target = ROOT / "docs" / "metrics.md"
    text = page()
    if "--check" not in sys.argv:
        target.write_text(text)
        return 0
    same = target.exists() and target.read_text() == text
    print("docs/metrics.md is up to date" if same else "docs/metrics.md differs: run tools/metrics_doc.py")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
