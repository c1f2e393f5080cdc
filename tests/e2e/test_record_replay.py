# SPDX-License-Identifier: Apache-2.0
"""A recording of a running system, with a reconnect and a re-anchor in it, replayed: feature
vectors and predictions are those that were live, byte for byte (docs/replay.md)."""
import json
import os
import struct
import time

import harness
import system
from harness import wait_until

# What a clock measured is not the market's: everything else of a prediction must be equal.
MEASURED = {"symbol", "latency_ms", "latency_us", "features_age_ms"}
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

    def replay(self):
        features = os.path.join(self.folder, "features.csv")
        predictions = os.path.join(self.folder, "predictions.csv")
        status, out, err = harness.run("replay", self.file, "--features", features,
                                       "--predictions", predictions, "--json")
        assert status == 0, err
        self.summary = json.loads(out)
        self.feature_rows = {int(row["slot"]): row for row in system.read_csv(features)}
        self.prediction_rows = {int(row["slot"]): row for row in system.read_csv(predictions)}


def compare(live):
    """Live and replayed: (vectors, predictions) compared; any difference fails."""
    assert live.summary["slots_unplaced"] == 0 and live.summary["damaged"] == 0
    system.check_every_slot(live.predictions)
    replayed, compared_vectors = [], 0
    for slot, fields in live.predictions:
        if int(fields["seq"]) == 0:
            continue  # made without features: Redis was slow or away; counted below
        row = live.prediction_rows.get(slot)
        assert row is not None, f"slot {slot} was published and is not replayed: {fields}"
        for name, value in row.items():
            assert name in fields, name
            assert fields[name] == value, f"slot {slot} {name}: {fields[name]} != {value}"
        assert set(fields) - set(row) == MEASURED, set(fields) - set(row)
        replayed.append(slot)
        seen = live.vectors.get((int(fields["ingest_epoch"]), int(fields["seq"])))
        if seen is None:
            continue
        as_of_us, vec = seen
        columns = live.feature_rows[slot]
        names = list(columns)[5:]
        assert len(vec) == 8 + 4 * len(names)
        # %.9g of a float32 gives it back exactly.
        again = vec[:8] + struct.pack(f"<{len(names)}f", *[float(columns[n]) for n in names])
        assert again == vec, f"slot {slot}: another vector"
        assert int(columns["as_of_us"]) == as_of_us
        compared_vectors += 1
    first, last = live.predictions[0][0], live.predictions[-1][0]
    extra = [s for s in live.prediction_rows if first <= s <= last and s not in replayed]
    assert not extra, f"replayed and never published: {extra}"
    return compared_vectors, len(replayed), len(live.predictions)


def disturb_both(up):
    """A reconnect and a forced re-anchor."""
    time.sleep(4)
    status, text = harness.post_json(up.port("exchange-sim"), "/control/faults",
                                     {"fault": "cut"})
    assert status == 200, text
    wait_until(lambda: harness.get_json(up.port("exchange-sim"), "/control/state")["counters"]
               ["clients"] >= 2, "the ingestor came back")
    time.sleep(3)
    status, out, err = harness.run("reanchor", system.SYMBOL, "--port-offset", up.offset)
    assert status == 0, out + err


def test_a_recording_replays_to_the_very_vectors_and_predictions_that_were_live():
    live = Recorded(disturb_both, SECONDS)
    live.replay()
    assert live.summary["anchors"] >= 2, live.summary
    assert live.log.count("event=client_connected") >= 2
    assert 'cause="forced by an operator"' in live.log
    vectors, predictions, published = compare(live)
    print(f"{vectors} vectors and {predictions} of {published} published predictions equal; "
          f"{live.summary}")
    assert predictions >= (published + 1) // 2 and vectors >= predictions // 2


if __name__ == "__main__":
    harness.run_tests(globals())
