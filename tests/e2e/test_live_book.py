# SPDX-License-Identifier: Apache-2.0
"""The live book in Redis against the exchange's own book at the same update id, level by level;
four keys of one moment in every read; fields and TTLs as specified (CONTRACTS.md section 1)."""
import http.client
import json
import math
import os
import re
import time
from decimal import Decimal

import harness
import system
from system import KEYS

COMPARISONS = 50000 if system.LONG else 5000
LEVELS = [f"{side}{i}_{part}" for side in ("bid", "ask") for i in range(1, 11) for part in "pq"]
FIELDS = {
    KEYS[0]: ["best_bid", "best_ask", "spread", "ts_us", "last_update_id"] + LEVELS,
    KEYS[1]: ["count", "vol", "signed_vol", "vwap_minus_mid", "interarr_mean", "interarr_var",
              "last_ts_us"],
    KEYS[2]: ["count", "vol", "signed_vol", "vwap_minus_mid", "last_ts_us"],
    KEYS[3]: ["ret_1s", "ret_5s", "vol_imbalance", "spread_bp", "ob_imbalance",
              "trade_intensity", "ts"],
}
INTEGERS = {"ts_us", "last_update_id", "count", "last_ts_us", "trade_intensity"}
TTL_S = {KEYS[0]: -1, KEYS[1]: 300, KEYS[2]: 300, KEYS[3]: 120}


class Truth:
    """The exchange's own best ten at an update id."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)

    def book(self, update_id):
        self.connection.request("GET", f"/control/book?id={update_id}")
        reply = self.connection.getresponse()
        text = reply.read()
        assert reply.status == 200, f"{update_id}: {reply.status} {text}"
        return json.loads(text)


def read(client):
    client("MULTI")
    for key in KEYS:
        client("HGETALL", key)
    return [dict(zip(flat[::2], flat[1::2])) for flat in client("EXEC")]


class OneMoment:
    """Reads all four keys in a tight loop: never two places, never backwards."""

    def __init__(self, client):
        self.client = client
        self.reads, self.changes, self.last = 0, 0, (0, 0)
        self.watch = system.Watch(self._look, 0)

    def _look(self):
        hashes = read(self.client)
        places = {(h.get("epoch"), h.get("seq"), h.get("last_update_id")) for h in hashes}
        assert len(places) == 1, f"a mix of moments: {places}"
        epoch, seq, _ = places.pop()
        place = (int(epoch), int(seq))
        assert place >= self.last, f"{place} after {self.last}"
        self.changes += place != self.last
        self.reads, self.last = self.reads + 1, place


def check_fields(client):
    """Every specified field is there, a plain decimal and finite; the parts agree."""
    hashes = dict(zip(KEYS, read(client)))
    for key, names in FIELDS.items():
        for name in names:
            value = hashes[key].get(name)
            assert value is not None, f"{key} has no {name}"
            pattern = r"-?\d+" if name in INTEGERS else r"-?\d+(\.\d+)?"
            assert re.fullmatch(pattern, value), f"{key} {name} = {value!r}"
            assert math.isfinite(float(value)), f"{key} {name}"
        low, high = (-1, -1) if TTL_S[key] == -1 else (TTL_S[key] - 2, TTL_S[key])
        assert low <= client("TTL", key) <= high, f"TTL of {key}"
    book = hashes[KEYS[0]]
    assert book["best_bid"] == book["bid1_p"] and book["best_ask"] == book["ask1_p"]
    assert Decimal(book["spread"]) == Decimal(book["best_ask"]) - Decimal(book["best_bid"]) > 0
    for side, better in (("bid", 1), ("ask", -1)):
        prices = [better * Decimal(book[f"{side}{i}_p"]) for i in range(1, 11)]
        assert prices == sorted(prices, reverse=True) and len(set(prices)) == 10
        assert all(Decimal(book[f"{side}{i}_q"]) > 0 for i in range(1, 11))
    assert abs(float(hashes[KEYS[3]]["ts"]) - time.time()) < 10


def differences(book, truth):
    """The fields in which the book of Redis is not the exchange's."""
    wrong = []
    for side in ("bid", "ask"):
        levels = truth[side + "s"]
        for i in range(1, 11):
            for part, value in zip("pq", levels[i - 1]):
                name = f"{side}{i}_{part}"
                if Decimal(book.get(name, "-1")) != Decimal(value):
                    wrong.append(f"{name}: {book.get(name)} != {value}")
    return wrong


def compare_books(up, client, wanted):
    """Compares the book at so many different update ids."""
    truth = Truth(up.port("exchange-sim"))
    last_id, compared = 0, 0
    end = time.monotonic() + 60 + wanted / 50
    while compared < wanted:
        assert time.monotonic() < end, f"only {compared} comparisons in time"
        book = client.hash(KEYS[0])
        update_id = int(book["last_update_id"])
        if update_id == last_id or book["book_live"] != "1":
            time.sleep(0.001)
            continue
        assert update_id > last_id, f"{update_id} after {last_id}"
        wrong = differences(book, truth.book(update_id))
        assert not wrong, f"at {update_id}: {wrong}"
        last_id, compared = update_id, compared + 1
    return compared


def test_the_live_book_is_the_exchanges_book_at_every_update_id():
    folder = harness.temp_dir()
    config = os.path.join(folder, "exchange.yaml")
    with open(config, "w") as f:
        f.write("market:\n  rate: 4\n  diff_interval_ms: 10\n")
    up = system.Up("--set", f"config.exchange_sim={config}")
    up.wait_live()
    client = up.redis()
    moment = OneMoment(up.redis())
    begin = time.monotonic()
    for _ in range(10):
        check_fields(client)
    compared = compare_books(up, client, COMPARISONS)
    moment.watch.stop()
    took_s = time.monotonic() - begin
    up.stop()
    print(f"{compared} books of 40 fields compared in {took_s:.0f} s, 0 differences; "
          f"{moment.reads} reads of all keys saw {moment.changes} moments, never two at once")
    assert compared >= COMPARISONS and moment.changes > COMPARISONS // 2


if __name__ == "__main__":
    harness.run_tests(globals())
