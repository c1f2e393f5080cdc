# SPDX-License-Identifier: Apache-2.0
"""Re-anchors of the whole running system: a withheld depth frame is seen, judged and made
good without a missed slot; BTCAST_LONG=1: also a market that is silent for a while."""
import harness
import system
from harness import wait_until
from scene import Exchange, Scene

ROUNDS = 20 if system.LONG else 4


class Running(Scene):
    """`btcast up` with the simulated exchange, whose REST side takes 50 ms."""

    def __init__(self):
        self.up = system.Up()
        self.client = self.up.redis()
        exchange = Exchange(self.up.port("exchange-sim"))
        wait_until(exchange.alive, "the exchange answers")
        super().__init__(self.up.offset, self.up.redis, exchange)
        exchange.fault("http_slow", ms=50, count=1000000)
        wait_until(lambda: self.compare(0) == "equal" and self.slots.newest(),
                   "a synced book and a prediction", 30)

    def losses(self):
        """Losses of the book as they were reported: (ms of the report, event)."""
        found = []
        for entry, flat in self.client("XRANGE", f"gap-events:{system.SYMBOL}", "-", "+"):
            event = dict(zip(flat[::2], flat[1::2]))
            if event.get("cause") == "depth id gap":
                found.append((int(entry.split("-")[0]), event))
        return found

    def anchored_ms(self):
        return int(self.client("HGET", f"gap:{system.SYMBOL}", "anchor_ms") or 0)

    def audits(self):
        return [dict(zip(flat[::2], flat[1::2]))
                for _, flat in self.client("XRANGE", "reanchor-events", "-", "+")]

    def weight_limit(self):
        health = harness.get_json(self.up.port("re-anchor-service"), "/health")
        return health["components"]["exchange_rest"]["weight_limit"]

    def controls(self):
        """Control records ever written: the stream is trimmed."""
        flat = self.client("XINFO", "STREAM", f"market-control:{system.SYMBOL}")
        return dict(zip(flat[::2], flat[1::2]))["entries-added"]

    def stop(self):
        self.slots.stop()
        self.up.stop()


def withhold(running):
    """One depth frame: (ms from the frame that revealed it to the report, to the swap)."""
    losses, before = len(running.losses()), running.anchored_ms()
    running.exchange.fault("drop", stream="depth", count=1)
    wait_until(lambda: len(running.losses()) > losses, "the loss is reported")
    wait_until(lambda: running.anchored_ms() > before, "the book is anchored", 12)
    told_ms, event = running.losses()[losses]
    revealed_ms = int(event["recv_us"]) / 1000
    assert running.check_book(12) == "equal"
    return told_ms - revealed_ms, running.anchored_ms() - revealed_ms


def test_a_withheld_depth_frame_is_seen_and_made_good():
    running = Running()
    first = running.slots.newest()
    seen = [withhold(running) for _ in range(ROUNDS)]
    running.slots.wait(running.slots.newest() + 1)
    last = running.slots.newest()
    wait_until(lambda: len(running.audits()) >= ROUNDS + 1, "audit records")
    audits = running.audits()[-ROUNDS:]
    controls = running.controls()
    wrong = running.metric("aggregator", "aggregator_swaps_wrong_total")
    print("ms from the frame that reveals the loss: reported "
          f"{[round(told) for told, _ in seen]}, swapped {[round(done) for _, done in seen]}")
    assert running.slots.missing(first, last) == [] and not running.slots.conflicts
    assert controls >= ROUNDS + 1
    for audit in audits:
        assert audit["cause"] == "depth id gap" and audit["result"] == "swapped", audit
        assert int(audit["tries"]) == 1 and int(audit["agg_trades"]) > 0, audit
        assert int(audit["last_update_id"]) > 0 and int(audit["duration_ms"]) >= 50, audit
    wait_until(lambda: running.weight_limit() == 6000, "the exchange's own limit is known")
    assert wrong == 0
    running.stop()


def test_a_quiet_minute_gives_no_anchor():
    if not system.LONG:
        print("        only with BTCAST_LONG=1: it takes a minute")
        return
    running = Running()
    first, controls = running.slots.newest(), running.controls()
    assert running.exchange.ask("POST", "/control/pause", {"paused": True})[0] == 200
    running.slots.wait(first + 32, 80) # slots of 2 s
    assert running.client("HGET", system.KEYS[0], "source") == "sbe"
    assert running.exchange.ask("POST", "/control/pause", {"paused": False})[0] == 200
    running.slots.wait(running.slots.newest() + 2)
    assert running.controls() == controls, "an anchor or a hole"
    assert running.check_book(30) == "equal"
    assert running.slots.missing(first, running.slots.newest()) == []
    running.stop()


def test_cut_off_the_book_is_rests_until_the_market_is_back():
    if not system.LONG:
        print("        only with BTCAST_LONG=1: it takes a minute")
        return
    running = Running()
    first = running.slots.newest()

    def source():
        return running.client("HGET", system.KEYS[0], "source")

    running.exchange.fault("refuse_streams", ms=600000)
    running.exchange.fault("cut")
    wait_until(lambda: source() == "rest", "the book is REST's", 60)
    wait_until(lambda: running.metric("aggregator", 'aggregator_reanchor_operations_total'
                                      '{status="success"}') >= 5, "REST books go on", 30)
    running.exchange.fault("clear")
    wait_until(lambda: source() == "sbe", "the market is back", 60)
    assert running.check_book(30) == "equal"
    running.slots.wait(running.slots.newest() + 1)
    assert running.slots.missing(first, running.slots.newest()) == []
    modes = {record["mode"] for record in running.slots.seen.values()}
    assert "degraded" in modes, modes
    running.stop()


if __name__ == "__main__":
    harness.run_tests(globals())
