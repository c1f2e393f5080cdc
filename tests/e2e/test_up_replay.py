# SPDX-License-Identifier: Apache-2.0
"""`btcast up` on real market data at its own pace: a prediction every 2 s, no gap, no crossed
book, and the accuracy so far where people look."""
import json
import time
from decimal import Decimal

import harness
import system

SECONDS = 330 if system.LONG else 40


def accuracy(health):
    """The first object in the health reply that holds outcomes."""
    stack = [health]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            if "outcomes" in value:
                return value
            stack.extend(value.values())
    return None


def check_book(client):
    book = client.hash(system.KEYS[0])
    if "best_bid" in book and book.get("book_live") == "1":
        assert Decimal(book["best_bid"]) < Decimal(book["best_ask"]), "a crossed book"


def test_the_system_predicts_on_real_data_every_two_seconds():
    system.need_capture()
    up = system.Up("--exchange", f"replay:{system.CAPTURE}", "--for", f"{SECONDS}s")
    up.wait_live()
    client = up.redis()
    watch = system.Watch(lambda: check_book(client), 0.05)
    time.sleep(SECONDS - 12)
    watch.stop()
    published = system.predictions(up.redis())
    losses = {name: harness.metric(up.port("aggregator"), "aggregator_" + name)
              for name in ("book_gaps", "book_crossed", "book_diverged", "trades_missing",
                           "stream_holes", "stream_records_missing", "records_refused")}
    health = harness.get_json(up.port("inference"), "/health")
    status = up.process.wait(60)
    assert status == 0, up.process.log()
    slots = system.check_every_slot(published)
    modes = [fields["mode"] for _, fields in published]
    so_far = accuracy(health)
    print(f"{slots} slots, modes {sorted(set(modes))}, {losses}")
    print(json.dumps(so_far))
    assert slots >= (SECONDS - 16) // 2
    assert modes.count("live") >= slots * 3 // 4, modes
    assert all(value == 0 for value in losses.values()), losses
    assert so_far is not None and so_far["outcomes"] > 0
    mids = [fields["current_price"] for _, fields in published]
    assert len(set(mids)) > 1


if __name__ == "__main__":
    harness.run_tests(globals())
