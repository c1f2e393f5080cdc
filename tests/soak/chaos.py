#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Chaos for longer, on a single Redis, behind Sentinel and on a Cluster in turn, ten minutes each.

usage: tests/soak/chaos.py [SECONDS each [SEED [single|sentinels|cluster …]]]"""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
import chaos  # noqa: E402
import chaos_system  # noqa: E402


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 600
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    wrong = []
    backends = {"single": chaos_system.PrivateRedis, "sentinels": chaos_system.sentinels,
                "cluster": chaos_system.cluster}
    for name in sys.argv[3:] or backends:
        wrong += [f"{name}: {what}" for what in chaos.run(seed, seconds, backends[name])]
    print("\n".join(wrong) or "nothing wrong")
    return 1 if wrong else 0


sys.exit(main())
