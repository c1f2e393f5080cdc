# SPDX-License-Identifier: Apache-2.0
"""A recording of a running system, with a reconnect and a re-anchor in it, replayed: feature
vectors and predictions are those that were live, byte for byte (docs/replay.md)."""
import os
import signal
import time

import harness
import system
from harness import wait_until

SECONDS = 120 if system.LONG else 24


class Recorded:
    """A system that was recorded, disturbed and stopped; what it showed meanwhile."""

    def __init__(self, disturb, seconds):
        self.folder = harness.temp_dir()
        self.file = os.path.join(self.folder, "live.btc")
        up = system.Up("--record", self.file)
        vectors = system.Vectors(up)
        up.wait_live()
        begin = time.monotonic()
        disturb(up)
        time.sleep(max(0.0, seconds - (time.monotonic() - begin)))
        self.vectors = vectors.stop()
        self.predictions = system.predictions(up.redis())
        up.stop()
        self.log = up.process.log()


def disturb_both(up):
    """A reconnect, a forced re-anchor, and one that brings lost trades back."""
    time.sleep(4)
    status, text = harness.post_json(up.port("exchange-sim"), "/control/faults",
                                     {"fault": "cut"})
    assert status == 200, text
    wait_until(lambda: harness.get_json(up.port("exchange-sim"), "/control/state")["counters"]
               ["clients"] >= 2, "the ingestor came back")
    time.sleep(3)
    status, out, err = harness.run("reanchor", system.SYMBOL, "--port-offset", up.offset)
    assert status == 0, out + err
    for stream, metric in (("trade", "aggregator_trades_missing"),
                           ("depth", "aggregator_trades_refilled")):
        before = harness.metric(up.port("aggregator"), metric)
        status, text = harness.post_json(up.port("exchange-sim"), "/control/faults",
                                         {"fault": "drop", "stream": stream, "count": 1})
        assert status == 200, text
        wait_until(lambda m=metric, b=before: harness.metric(up.port("aggregator"), m) > b, metric)


def test_a_recording_replays_to_the_very_vectors_and_predictions_that_were_live():
    live = Recorded(disturb_both, SECONDS)
    replayed = system.Replayed(live.file)
    compared = replayed.check(live.predictions, live.vectors)
    system.check_every_slot(live.predictions)
    print(f"{compared}; {replayed.summary}")
    assert replayed.summary["anchors"] >= 3, replayed.summary
    assert live.log.count("event=client_connected") >= 2
    assert 'cause="forced by an operator"' in live.log
    assert compared.predictions >= len(live.predictions) * 3 // 4
    assert compared.vectors >= compared.predictions * 3 // 4


def disturb_all(up):
    """Each process of the hot path is killed once, the recorder too."""
    for words in (["sbe-ingestor"], ["record"], ["aggregator"], ["re-anchor-service"],
                  ["inference", "replica=1"], ["inference", "replica=2"], ["sbe-ingestor"]):
        time.sleep(2.3)
        pid, = up.pids(*words)
        os.kill(pid, signal.SIGKILL)


def test_a_recording_replays_also_when_every_process_was_killed_meanwhile():
    live = Recorded(disturb_all, SECONDS)
    replayed = system.Replayed(live.file)
    compared = replayed.check(live.predictions, live.vectors)
    system.check_every_slot(live.predictions)
    print(f"{compared}; {replayed.summary}")
    assert live.log.count("event=restarting") >= 7
    assert compared.predictions >= len(live.predictions) * 3 // 4


if __name__ == "__main__":
    harness.run_tests(globals())
