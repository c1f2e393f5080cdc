#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An hour of polls, view and backfill at their usual pace against an exchange with a limit of
1,200 a minute, half of it used by others, and REST faults all the time: it never bans us, and
every minute's depth, aggTrades and klines lie in bronze.

usage: tests/soak/rest_limits.py [--minutes 60] [--seed 1]"""
import argparse
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import harness as h  # noqa: E402
import test_rest_ingestor as scene  # noqa: E402

FAULTS = [("http_status", {"status": 500, "count": 2}), ("http_status", {"status": 503, "count": 4}),
          ("http_status", {"status": 429, "retry_after": 5, "count": 1}),
          ("http_partial", {"count": 2}), ("http_slow", {"ms": 2000, "count": 3}),
          ("refuse", {"ms": 3000}), ("stale_snapshot", {"ids": 50, "count": 1})]


def lost_trades(system, redis, dice, seq):
    """A hole as an aggregator tells it: trades of just now."""
    trades = system.exchange.ask("GET", "/control/trades?limit=200")[1]
    ids = [t["id"] for t in (trades["trades"] if isinstance(trades, dict) else trades)]
    if len(ids) > 20:
        first = min(ids)
        scene.gap_event(redis, first, first + dice.randrange(1, 20), seq)


def main():
    words = argparse.ArgumentParser()
    words.add_argument("--minutes", type=int, default=60)
    words.add_argument("--seed", type=int, default=1)
    options = words.parse_args()
    dice = random.Random(options.seed)
    system = scene.System(redis=True, rest=("poll.period_s=60",))
    redis = system.redis.client()
    limits = {"limit": 1200, "used_by_others": 600}
    assert system.exchange.ask("POST", "/control/limits", limits)[0] == 200
    begin = time.time()
    end, faults, gaps = begin + 60 * options.minutes, 0, 0
    while time.time() < end:
        time.sleep(dice.uniform(10, 25))  # a minute has some twenty requests
        name, members = dice.choice(FAULTS)
        system.exchange.fault(name, **members)
        faults += 1
        if dice.random() < 0.3:
            gaps += 1
            lost_trades(system, redis, dice, gaps)
    system.exchange.fault("clear")
    before = system.health()["polls"]
    h.wait_until(lambda: all(system.health()["polls"][k] > before[k] for k in
                             ("depth_us", "agg_trades_us", "klines_us")), "a last whole round", 150)
    state = system.exchange.state()["limits"]
    views = system.metric("ingestor_rest_views_total")
    throttled = system.metric('ingestor_rest_throttled_total{status="429"}')
    done = system.metric("ingestor_backfill_gaps_total")
    system.stop()
    lake = system.lake()
    trades, klines = scene.check_chain(lake)
    minutes = {int(t) // 60000000 for t in lake.column(f"{scene.BRONZE}/depth/**/*.parquet",
                                                       "collection_ts", "reason = 'poll'")}
    wanted = set(range(int(begin) // 60 + 1, int(end) // 60))
    print(f"{options.minutes} min, {faults} faults, {state['requests']} requests, "
          f"{state['refused']} refused, {state['bans']} bans, {throttled:.0f} times 429; "
          f"{trades} aggregates and {klines} klines once each, depth in {len(wanted & minutes)} of "
          f"{len(wanted)} minutes, {done:.0f} of {gaps} gaps backfilled, {views:.0f} views")
    assert state["bans"] == 0
    assert wanted <= minutes, f"minutes without depth: {sorted(wanted - minutes)}"
    assert klines >= options.minutes - 1
    assert done == gaps


if __name__ == "__main__":
    main()
