# SPDX-License-Identifier: Apache-2.0
"""An aggregator that is stopped inside a flush: the standby holds the lease within two
seconds, and what the stopped one had half written is refused when it comes."""
import signal
import time

import harness
import system
from harness import wait_until
from test_aggregator_kill import ByHand, writer
from valve import Valve, stop_inside_flush

# The flush replaces the hash of the book; nothing else of ours names it together with a level.
FLUSH = "bid10_q"


def test_a_flush_stopped_in_its_middle_is_refused_when_it_comes():
    hand = ByHand()
    valve = Valve(hand.redis.path)
    first = hand.start("aggregator", f"redis.target={valve.target}")
    wait_until(hand.live, "a live book")
    port = harness.PORTS["aggregator"] + hand.offset
    second = hand.start("aggregator", "consumer=standby", shift=1)
    wait_until(lambda: harness.http_ask(port + 1, "/ready")[0] == 200, "the standby is ready")
    old = writer(hand.client)
    assert old is not None and "event=active" not in second.log()

    stop_inside_flush(valve, first, FLUSH)
    begin = time.monotonic()
    wait_until(lambda: hand.client("HGET", system.KEYS[3], "writer") not in (None, old),
               "the standby writes", 20, 0.005)
    took_s = time.monotonic() - begin
    new = writer(hand.client)
    assert int(new) > int(old)

    # The rest of the flush arrives, and its sender wakes up.
    seen = set()
    watcher = hand.redis.client()
    watch = system.Watch(lambda: seen.add(writer(watcher)), 0)
    valve.release()
    first.signal(signal.SIGCONT)
    wait_until(lambda: "event=fenced" in first.log(), "a refusal in its log")
    wait_until(lambda: (harness.metric(port, "aggregator_writes_fenced_total") or 0) >= 1,
               "a refusal counted")
    place = hand.client("HGET", system.KEYS[0], "seq")
    wait_until(lambda: hand.client("HGET", system.KEYS[0], "seq") != place, "it goes on")
    watch.stop()
    assert seen == {new}, f"written by {seen} after {new} took over from {old}"
    assert "what=flush" in first.log(), first.log()
    assert hand.live()
    refused = harness.metric(port, "aggregator_writes_fenced_total")
    print(f"taken over {took_s:.3f} s after SIGSTOP inside a flush; {refused:.0f} writes refused")
    assert second.stop() == 0
    assert first.stop() == 0
    valve.close()


if __name__ == "__main__":
    harness.run_tests(globals())
