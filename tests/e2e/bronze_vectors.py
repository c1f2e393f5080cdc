# SPDX-License-Identifier: Apache-2.0
"""Every feature vector that a running system showed, against the one that its bronze gives for the
same tick, byte for byte. A reader of the hot state takes down each tick's vector (ten a second);
`btcast replay LAKE --every-tick` gives them again."""
import os
import struct

import harness
import system
from harness import wait_until


def withhold(up):
    """A depth frame that never comes: the id of the next one proves it, and the book is anchored."""
    client, key = up.redis(), f"gap:{system.SYMBOL}"
    before = int(client("HGET", key, "anchor_ms") or 0)
    status, text = harness.post_json(up.port("exchange-sim"), "/control/faults",
                                     {"fault": "drop", "stream": "depth", "count": 1})
    assert status == 200, text
    wait_until(lambda: int(client("HGET", key, "anchor_ms") or 0) > before, "the book is anchored", 60)
    client.close()


def force(up):
    """A re-anchor that an operator asks for."""
    status, out, err = harness.run("reanchor", system.SYMBOL, "--port-offset", up.offset)
    assert status == 0, out + err


def check(vectors, rows):
    """Every vector of the reader has its row, byte for byte; how many there were."""
    by_place = {(int(row["epoch"]), int(row["seq"])): row for row in rows}
    for place, (as_of_us, vec) in vectors.items():
        row = by_place.get(place)
        assert row is not None, f"bronze has no vector at {place}"
        names = list(row)[5:]
        assert len(vec) == 8 + 4 * len(names) and int(row["as_of_us"]) == as_of_us, row
        # %.9g of a float32 gives it back exactly.
        again = struct.pack(f"<{len(names)}f", *[float(row[name]) for name in names])
        assert again == vec[8:], f"another vector at {place}"
    return len(vectors)


def compare(data, vectors):
    """(vectors compared, the replay's summary) of a system that has been stopped."""
    out = os.path.join(harness.temp_dir(), "ticks.csv")
    summary = system.replay(os.path.join(data, "lake"), "--features", out, "--every-tick")
    assert summary["damaged"] == 0 and summary["trade_ids_missing"] == 0, summary
    # After a clean stop the last records of the streams are in bronze; the reader was stopped before.
    return check(vectors, system.read_csv(out)), summary
