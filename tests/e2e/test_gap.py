# SPDX-License-Identifier: Apache-2.0
"""Verdicts on losses in a running system: a withheld diff, a withheld trade, silence, what an
operator says, and a single judgement for a scheduler."""
import json
import os
import time

import harness as h
from scene import Exchange, SYMBOL
from system import Up

VERDICT, ASK = f"gap:verdict:{SYMBOL}", f"reanchor:ask:{SYMBOL}"
CONFIG = """service: gap-detector
thresholds:
  silence_ms: 1000
"""


class Gap:
    """A system with a quick-eared gap detector."""

    def __init__(self):
        config = os.path.join(h.temp_dir(), "gap.yaml")
        with open(config, "w") as f:
            f.write(CONFIG)
        up = os.path.join(h.temp_dir(), "up.yaml")
        with open(up, "w") as f:
            f.write(f"service: up\nconfig:\n  gap_detector: {config}\n")
        self.up = Up("--config", up)
        self.up.wait_live()
        self.redis = self.up.redis()
        self.exchange = Exchange(self.up.port("exchange-sim"))
        self.port = self.up.port("gap-detector")
        h.wait_until(lambda: h.http_ask(self.port, "/ready")[0] == 200, "the detector is ready")

    def detection(self):
        health = h.get_json(self.port, "/health")
        return health["components"]["gap_detection"] if health else {}

    def entries(self, stream, after="-"):
        return [(entry, dict(zip(f[::2], f[1::2])))
                for entry, f in self.redis("XRANGE", stream, after, "+")]

    def anchors(self):
        return [f for _, f in self.entries("reanchor-events") if f["result"] == "swapped"]

    def audits(self, what):
        return [f for _, f in self.entries(f"gap-audit:{SYMBOL}") if f.get("what") == what]

    def book_live(self):
        return self.redis("HGET", f"ob:{SYMBOL}", "book_live") == "1"

    def gap(self, *words):
        status, out, err = h.run("gap", *words, "--redis", "unix:" + os.path.realpath(
            self.up.socket))
        assert status == 0, err
        return json.loads(out)

    def wait_anchor(self, count, what):
        h.wait_until(lambda: len(self.anchors()) >= count and self.book_live(), what, 30)


def check_withheld_diff(gap):
    before = len(gap.anchors())
    gap.exchange.fault("drop", stream="depth", count=1)
    gap.wait_anchor(before + 1, "an anchor after the withheld diff")
    audit = gap.audits("anchor")[-1]
    loss = [f for _, f in gap.entries(f"gap-events:{SYMBOL}") if f["kind"] == "loss"][-1]
    assert audit["by"] == "gap-detector" and audit["cause"] == loss["cause"] == "depth id gap"
    assert (audit["epoch"], audit["seq"]) == (loss["epoch"], loss["seq"])
    took_ms = int(audit["at_ms"]) - int(loss["recv_us"]) // 1000
    assert took_ms >= 0, (audit, loss)
    print(f"verdict {took_ms} ms after the frame that showed it")
    # The anchor was made for the detector's ask: one, not another for the aggregator's own.
    assert len(gap.anchors()) == before + 1 and gap.anchors()[-1]["cause"] == "depth id gap"
    h.wait_until(lambda: gap.redis("GET", VERDICT) is None, "the verdict is taken back")


def check_withheld_trade(gap):
    gap.exchange.fault("drop", stream="trade", count=1)
    hole = h.wait_until(lambda: [f for _, f in gap.entries(f"gap-events:{SYMBOL}")
                                 if f["kind"] == "trade_hole"], "the hole is told")[-1]
    first, last = int(hole["first_missing_trade_id"]), int(hole["last_missing_trade_id"])
    assert first <= last
    fetched = h.wait_until(lambda: gap.audits("backfill"), "REST confirms the hole")[-1]
    assert (int(fetched["first_trade_id"]), int(fetched["last_trade_id"])) == (first, last)
    h.wait_until(lambda: gap.detection().get("trade_holes_confirmed") == 1, "it is counted")
    h.wait_until(lambda: any(f["cause"] == "trade id hole" for f in gap.anchors()),
                 "the windows are filled by an anchor")
    h.wait_until(lambda: gap.detection().get("state") == "cooldown" and gap.book_live() and
                 gap.redis("GET", VERDICT) is None, "the verdict is taken back")


def check_silence(gap):
    before, wanted = len(gap.anchors()), gap.detection()["anchors_wanted"]
    assert gap.exchange.ask("POST", "/control/pause", {"paused": True})[0] == 200
    hints = 'gap_hints_total{hint="silence"}'
    h.wait_until(lambda: h.metric(gap.port, hints), "silence is a hint")
    time.sleep(1)  # gives a wrong verdict the time to show
    assert gap.exchange.ask("POST", "/control/pause", {"paused": False})[0] == 200
    assert len(gap.anchors()) == before and gap.detection()["anchors_wanted"] == wanted, \
        (gap.anchors()[before:], gap.detection())
    assert gap.redis("GET", ASK) is None


def check_ignore(gap):
    said = gap.gap("ignore", SYMBOL, "--for", "1m")
    assert said["mode"] == "ignore"
    h.wait_until(lambda: gap.detection()["override"]["mode"] == "ignore", "it is obeyed")
    before = len(gap.anchors())
    gap.exchange.fault("drop", stream="depth", count=1)
    h.wait_until(lambda: not gap.book_live(), "the book is lost")
    time.sleep(3)  # longer than the aggregator waits for a verdict
    assert len(gap.anchors()) == before and not gap.book_live()
    assert json.loads(gap.redis("GET", VERDICT))["action"] == "ignore"
    assert gap.redis("GET", ASK) is None
    status, out, _ = h.run("status", "--port-offset", gap.up.offset)
    shown = json.loads(out)["services"]["gap-detector"]["components"]["gap_detection"]
    assert status == 0 and shown["override"]["mode"] == "ignore", out
    gap.gap("auto", SYMBOL)
    gap.wait_anchor(before + 1, "an anchor once it is allowed")
    modes = [f["mode"] for f in gap.audits("override")]
    assert modes == ["ignore", "auto"], modes


def check_force(gap):
    before = len(gap.anchors())
    gap.gap("force", SYMBOL, "--for", "20s")
    gap.wait_anchor(before + 1, "a forced anchor of a live book")
    assert gap.anchors()[-1]["cause"] == "forced by an operator"
    gap.gap("auto", SYMBOL)


def check_once(gap):
    """With the daemon stopped a scheduler's call finds what has come since, once."""
    pid = gap.up.pids("gap-detector")[0]
    os.kill(pid, 19)
    before = len(gap.entries(f"gap-events:{SYMBOL}"))
    gap.exchange.fault("drop", stream="trade", count=1)
    h.wait_until(lambda: len(gap.entries(f"gap-events:{SYMBOL}")) > before, "the hole is told")
    words = ("gap-detector", "--once", "--set",
             "redis.target=unix:" + os.path.realpath(gap.up.socket), "--set",
             f"rest_url=http://127.0.0.1:{gap.up.port('exchange-sim')}", "--data", h.temp_dir())
    confirmed = len(gap.audits("backfill"))
    for calls in range(2):
        status, _, err = h.run(*words)
        assert status == 0, err
        assert len(gap.audits("backfill")) == confirmed + 1, f"call {calls}\n{err}"
    os.kill(pid, 18)


def test_verdicts():
    gap = Gap()
    for check in (check_withheld_diff, check_withheld_trade, check_silence, check_ignore,
                  check_force, check_once):
        begin = time.monotonic()
        check(gap)
        print(f"  {check.__name__} ({time.monotonic() - begin:.1f} s)", flush=True)
    gap.up.stop()


def test_gap_without_redis_or_sense_is_an_error():
    for words, status in ((("gap",), 2), (("gap", "stop", SYMBOL), 2), (("gap", "force"), 2),
                          (("gap", "force", "btc usdt"), 2),
                          (("gap", "force", SYMBOL, "--for", "10"), 2),
                          (("gap", "force", SYMBOL, "--for", "8d"), 2),
                          (("gap", "auto", SYMBOL, "--redis", "unix:/nowhere/redis.sock"), 1)):
        got, _, err = h.run(*words)
        assert got == status and err.startswith("btcast gap: "), (words, got, err)


h.run_tests(globals())
