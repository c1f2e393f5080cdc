# SPDX-License-Identifier: Apache-2.0
"""The REST ingestor over exchange-sim: polls that lie in bronze once each over kill -9, REST
faults and a limit that others use up, backfill of what a gap lost, the REST view.

The hour at the usual pace with half of 1,200 used by others: tests/soak/rest_limits.py."""
import os
import random
import signal
import time

import harness as h
from parquet import Lake
from scene import Exchange

SYMBOL = "BTCUSDT"
BRONZE = f"bronze/rest/{SYMBOL}"


class System:
    """exchange-sim and a rest-ingestor with short periods, Redis only when asked for."""

    def __init__(self, redis=False, sim=(), rest=()):
        self.offset = h.free_port_offset()
        self.folder = h.temp_dir()
        self.redis = h.RedisServer() if redis else None
        self.port = h.PORTS["rest-ingestor"] + self.offset
        sim_port = h.PORTS["exchange-sim"] + self.offset
        self.sim = h.start("exchange-sim", "--port-offset", self.offset, "--data",
                           os.path.join(self.folder, "sim"), *sim)
        self.exchange = Exchange(sim_port)
        h.wait_until(self.exchange.alive, "the exchange answers")
        target = self.redis.target if redis else f"unix:{self.folder}/none.sock"
        self.words = ["rest-ingestor", "--port-offset", self.offset, "--data", self.data(),
                      "--set", f"rest_url=http://127.0.0.1:{sim_port}", "--set",
                      f"redis.target={target}"]
        for word in ("poll.period_s=1",) + tuple(rest):
            self.words += ["--set", word]
        self.start()

    def data(self):
        return os.path.join(self.folder, "data")

    def start(self):
        self.rest = h.start(*self.words)

    def kill(self):
        self.rest.signal(signal.SIGKILL)
        self.rest.wait()

    def metric(self, name):
        return h.metric(self.port, name) or 0

    def archived(self, kind):
        return self.metric(f'ingestor_rest_archived_total{{type="{kind}"}}')

    def health(self):
        return (h.get_json(self.port, "/health") or {}).get("components", {})

    def next_agg_id(self):
        return self.health().get("polls", {}).get("next_agg_id", 0)

    def caught_up(self):
        polls = self.health().get("polls", {})
        return polls.get("agg_trades_us", 0) > 0 and polls.get("klines_us", 0) > 0

    def stop(self):
        assert self.rest.stop() == 0, self.rest.log()
        self.sim.stop()
        if self.redis:
            self.redis.stop()

    def lake(self):
        return Lake(os.path.join(self.data(), "lake"))


def check_chain(lake):
    """Every aggregate of the polls once, in one chain; klines once and closed; their count."""
    ids = [int(i) for i in lake.column(f"{BRONZE}/aggTrades/**/*.parquet", "agg_trade_id",
                                       "reason = 'poll'")]
    assert ids == list(range(ids[0], ids[0] + len(ids))), "a hole or a double in aggTrades"
    opens = [int(i) for i in lake.column(f"{BRONZE}/klines/**/*.parquet", "open_time")]
    steps = {b - a for a, b in zip(opens, opens[1:])}
    assert steps <= {60000}, f"klines {opens}"
    late = lake.query("SELECT count(*) FROM read_parquet('" +
                      os.path.join(lake.folder, f"{BRONZE}/klines/**/*.parquet") +
                      "') WHERE close_time * 1000 >= requested_ts")
    assert late[0][0] == "0", "an open kline"
    return len(ids), len(opens)


def test_each_aggregate_and_kline_lies_in_bronze_once_over_kill_9():
    dice = random.Random(3)
    system = System(rest=("poll.page_limit=40", "view.enabled=false"))
    for _ in range(8):
        before = system.next_agg_id()
        h.wait_until(lambda: system.next_agg_id() > before, "the chain goes on")
        time.sleep(dice.random() * 0.2)  # any moment
        system.kill()
        system.start()
    h.wait_until(system.caught_up, "caught up after the restarts")
    h.wait_until(lambda: system.archived("depth") > 0, "a depth snapshot")
    system.stop()
    trades, klines = check_chain(system.lake())
    assert trades > 1000 and klines >= 4, (trades, klines)
    print(f"        {trades} aggregates, {klines} klines over 8 kills")


def test_faults_and_a_limit_half_used_by_others_bring_no_ban():
    system = System(rest=("poll.page_limit=200",))
    limits = {"limit": 12000, "used_by_others": 6000}  # polls come 60 times as often as usual
    assert system.exchange.ask("POST", "/control/limits", limits)[0] == 200
    h.wait_until(lambda: system.archived("aggTrades") > 0, "the first page")
    faults = [("http_status", {"status": 500, "count": 3}), ("http_partial", {"count": 2}),
              ("http_slow", {"ms": 300, "count": 2}),
              ("http_status", {"status": 429, "retry_after": 1, "count": 1})]
    for name, members in faults:
        hits = system.exchange.hits(name)
        system.exchange.fault(name, **members)
        h.wait_until(lambda: system.exchange.hits(name) >= hits + members["count"],
                     f"{name} has hit")
    before = system.health()["polls"]
    h.wait_until(lambda: system.health()["polls"]["agg_trades_us"] > before["agg_trades_us"] and
                 system.health()["polls"]["klines_us"] > before["klines_us"],
                 "whole rounds after the faults", 60)
    assert system.metric('ingestor_rest_throttled_total{status="429"}') >= 1
    assert system.metric('ingestor_rest_throttled_total{status="418"}') == 0
    assert system.health()["rest_api"]["weight_used"] > 6000
    state = system.exchange.state()
    assert state["limits"]["bans"] == 0, state["limits"]
    system.stop()
    check_chain(system.lake())


def test_a_silence_is_shared_through_redis():
    system = System(redis=True)
    redis = system.redis.client()
    h.wait_until(lambda: system.archived("aggTrades") > 0, "the first page")
    until_ms = int(time.time() * 1000) + 600000
    redis("SET", "rest:blocked", until_ms, "PX", 600000)
    h.wait_until(lambda: system.health()["rest_api"]["blocked_until_us"] == until_ms * 1000,
                 "it has heard")
    calls = system.exchange.state()["limits"]["requests"]
    time.sleep(2)
    assert system.exchange.state()["limits"]["requests"] == calls, "it asked all the same"
    system.stop()

    system = System(redis=True)
    redis = system.redis.client()
    h.wait_until(lambda: system.archived("aggTrades") > 0, "the first page")
    system.exchange.fault("http_status", status=418, retry_after=500, count=1)
    told = h.wait_until(lambda: redis("GET", "rest:blocked"), "it tells the others")
    assert int(told) / 1000 - time.time() > 400, told
    assert 0 < redis("PTTL", "rest:blocked") <= 520000
    system.stop()


def gap_event(redis, first, last, seq):
    now_us = int(time.time() * 1e6)
    redis("XADD", f"gap-events:{SYMBOL}", "*", "symbol", SYMBOL, "kind", "trade_hole", "cause",
          "trade id hole", "epoch", 7, "seq", seq, "recv_us", now_us, "writer", 1,
          "last_update_id", 5, "book_live", 1, "first_missing_trade_id", first,
          "last_missing_trade_id", last)


def test_trades_lost_in_a_gap_come_into_bronze_with_the_reason():
    system = System(redis=True, rest=("poll.enabled=false", "view.enabled=false"))
    redis = system.redis.client()
    trades = system.exchange.ask("GET", "/control/trades?limit=1000")[1]
    ids = [t["id"] for t in (trades["trades"] if isinstance(trades, dict) else trades)]
    first, last = min(ids), min(ids) + 500
    gap_event(redis, first, last, 41)
    h.wait_until(lambda: system.metric("ingestor_backfill_gaps_total") == 1, "backfilled")
    system.kill()
    gap_event(redis, last + 10, last + 20, 42)
    system.start()
    h.wait_until(lambda: system.metric("ingestor_backfill_gaps_total") == 1, "the next one")
    assert system.metric("ingestor_backfill_trades_total") == 11
    system.stop()
    lake = system.lake()
    found = [int(i) for i in lake.column(f"{BRONZE}/historicalTrades/**/*.parquet", "trade_id")]
    assert found == list(range(first, last + 1)) + list(range(last + 10, last + 21))
    reasons = set(lake.column(f"{BRONZE}/historicalTrades/**/*.parquet", "reason"))
    assert reasons == {"trade id hole at 7-41", "trade id hole at 7-42"}, reasons
    assert lake.files(f"{BRONZE}/depth/**/*.parquet"), "no snapshot"


def test_trade_frames_dropped_on_the_way_come_back_by_id():
    offset, data = h.free_port_offset(), h.temp_dir()
    up = h.start("up", "--data", data, "--port-offset", offset)
    port = h.PORTS["rest-ingestor"] + offset
    exchange = Exchange(h.PORTS["exchange-sim"] + offset)
    ingestor = h.PORTS["sbe-ingestor"] + offset
    seen = 'ingestor_sbe_messages_total{message_type="trade"}'
    h.wait_until(lambda: (h.metric(ingestor, seen) or 0) > 20, "trades flow", 30)
    dropped = exchange.hits("drop")
    exchange.fault("drop", stream="trade", count=3)
    h.wait_until(lambda: exchange.hits("drop") >= dropped + 3, "three frames are dropped")
    h.wait_until(lambda: (h.metric(port, "ingestor_backfill_trades_total") or 0) >= 3,
                 "their trades are backfilled", 30)
    assert h.metric(port, "ingestor_backfill_trades_lost_total") == 0
    connector = h.PORTS["data-connector"] + offset
    stamped = h.metric(ingestor, "ingestor_records_total")
    h.wait_until(lambda: (h.metric(connector, "data_connector_records_total") or 0) >=
                 stamped,
                 "the archive has read what was live", 30)
    assert up.stop(30) == 0, up.log()
    lake = Lake(os.path.join(data, "lake"))
    back = [int(i) for i in lake.column(f"{BRONZE}/historicalTrades/**/*.parquet", "trade_id")]
    live = [int(i) for i in lake.column(f"bronze/sbe/{SYMBOL}/**/trades_*.parquet", "trade_id")]
    both = sorted(back + live)
    assert len(back) >= 3 and len(live) > 20, (len(back), len(live))
    assert both == list(range(both[0], both[0] + len(both))), "a hole or a double in trade ids"
    print(f"        {len(back)} of {len(both)} trades came by backfill")


def test_without_an_archive_the_view_goes_on():
    system = System(rest=("duckdb.library=/no/libduckdb.so",))
    view = os.path.join(system.data(), f"view-{SYMBOL}.bin")
    h.wait_until(lambda: system.metric("ingestor_rest_views_total") >= 2, "views")
    assert os.path.getsize(view) == 2048
    assert h.http_ask(system.port, "/ready")[0] == 200
    status, _ = h.http_ask(system.port, "/health")
    assert status == 200 and system.health()["polls"]["status"] == "degraded"
    assert "archive_off" in system.rest.log()
    system.stop()


def test_a_second_writer_of_the_view_and_bad_settings_are_refused():
    system = System()
    h.wait_until(lambda: system.metric("ingestor_rest_views_total") >= 1, "a view")
    words = [str(w) for w in system.words]
    words[words.index("--port-offset") + 1] = str(h.free_port_offset())
    status, _, err = h.run(*words)
    assert status == 1 and "written by another process" in err, (status, err)
    system.stop()
    for setting, says in (("rest_url=api.binance.com", "rest_url"), ("symbol=btc", "symbol"),
                          ("poll.period_s=0", "poll.period_s"), ("poll.page_limit=1001", "1000")):
        status, _, err = h.run("rest-ingestor", "--data", h.temp_dir(), "--set", setting)
        assert status == 2 and says in err, (setting, status, err)


if __name__ == "__main__":
    h.run_tests(globals())
