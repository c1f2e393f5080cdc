# SPDX-License-Identifier: Apache-2.0
"""Bronze, silver and the store read back by foreign tools (DuckDB's Node binding, psql): every trade
id, mantissa and frame hash is what was sent. What was sent is read from the frames by
sbe_reader.py."""
import hashlib
import json
import os
import struct
import subprocess

import harness as h
import sbe_reader
import system
import test_bronze

SYMBOL = system.SYMBOL
HOURS = 0.5 if system.LONG else 0.05
MINUTE_MS = 60000
BOUND = 10 ** 8


class Sent:
    """The frames of a made market, and everything in them."""

    def __init__(self, path):
        records, _ = test_bronze.capture_records(path)
        self.frames, self.trades, self.quotes, self.levels = {}, {}, {}, {}
        for kind, epoch, seq, _recv_us, _flags, payload in records:
            if kind != 1:
                continue
            place, name = (epoch, seq), sbe_reader.template(payload)
            self.frames[place] = hashlib.md5(payload).hexdigest()
            if name == 10000:
                self.trades[place] = sbe_reader.trades(payload)
            elif name == 10001:
                self.quotes[place] = sbe_reader.quote(payload)
            else:
                self.levels[place] = sbe_reader.levels(payload)

    def minutes(self):
        """Of each minute of transaction: trades in order."""
        found = {}
        for place in sorted(self.trades):
            for trade in self.trades[place]:
                found.setdefault(trade.transact_us // 1000 // MINUTE_MS * MINUTE_MS, []).append(trade)
        return found


def make():
    """(folder, what was sent, rows of its replay): a market in a lake of its own."""
    folder = h.temp_dir()
    capture = os.path.join(folder, "made.btc")
    assert h.run("exchange-sim", "--hours", HOURS, "--out", capture)[0] == 0
    status, out, err = h.run("import", "--data", folder, "--json", capture)
    assert status == 0 and json.loads(out)["refused"] == 0, err
    rows = os.path.join(folder, "rows.csv")
    system.replay(capture, "--features", rows)
    return folder, Sent(capture), {int(row["slot"]): row for row in system.read_csv(rows)}


def mantissas(side):
    """An SQL text of a side's levels."""
    return (f"coalesce(array_to_string(list_transform({side}, x -> x.price_mantissa || ':' || "
            f"x.quantity_mantissa), ' '), CASE WHEN len({side}) = 0 THEN '' END)")


def text_of(side):
    return " ".join(f"{price}:{quantity}" for price, quantity in side)


def check_bronze(modules, folder, sent):
    def rows(kind, columns, where="true"):
        return test_bronze.foreign(modules, f"""SELECT epoch, seq, {columns} FROM read_parquet(
            '{folder}/lake/bronze/sbe/{SYMBOL}/*/*/*/*/{kind}_*.parquet') WHERE {where}""")

    frames = {}
    for kind, where in (("trades", "trade_index = 0"), ("depth", "frame IS NOT NULL"), ("bba", "true")):
        for epoch, seq, digest in rows(kind, "md5(frame)", where):
            assert frames.setdefault((int(epoch), int(seq)), digest) is digest, (kind, seq)
    assert frames == sent.frames
    found = sorted((int(e), int(s), int(k), int(i), int(p), int(q), m, int(t), int(pe), int(qe))
                   for e, s, k, i, p, q, m, t, pe, qe in rows(
                       "trades", "trade_index, trade_id, price_mantissa, quantity_mantissa, "
                       "is_buyer_maker, transact_ts, price_exponent, quantity_exponent"))
    assert found == [(*place, k, t.id, t.price, t.quantity, bool(t.buyer_maker), t.transact_us,
                      *t.exponents)
                     for place in sorted(sent.trades) for k, t in enumerate(sent.trades[place])]
    found = {(int(e), int(s)): tuple(map(int, values)) for e, s, *values in rows(
        "bba", "bid_price_mantissa, bid_quantity_mantissa, ask_price_mantissa, "
        "ask_quantity_mantissa, book_update_id")}
    assert found == {place: tuple(quote) for place, quote in sent.quotes.items()}
    found = {(int(e), int(s)): (first and int(first), int(last), bids, asks) for
             e, s, first, last, bids, asks in rows(
                 "depth", f"first_update_id, final_update_id, {mantissas('bids')}, {mantissas('asks')}",
                 "frame IS NOT NULL")}
    assert found == {place: (levels.first_id, levels.last_id, text_of(levels.bids), text_of(levels.asks))
                     for place, levels in sent.levels.items()}
    return len(frames), sum(map(len, sent.trades.values()))


def bars(sent):
    """What a minute's bar has to say, as integers: the quantities' and prices' mantissas at 10^-8."""
    found = {}
    for open_ms, trades in sent.minutes().items():
        assert {t.exponents for t in trades} == {(-8, -8)}
        prices = [t.price for t in trades]
        bought = [t for t in trades if not t.buyer_maker]
        found[open_ms] = (prices[0], max(prices), min(prices), prices[-1],
                          sum(t.quantity for t in trades), len(trades), len(bought),
                          sum(t.quantity for t in bought))
    return found


def exact(text):
    """A decimal's text as an integer at 10^-8."""
    whole, _, digits = str(text).partition(".")
    assert len(digits.rstrip("0")) <= 8, text
    return int(whole) * BOUND + int(digits[:8].ljust(8, "0") or 0)


BAR_COLUMNS = "open_price, high_price, low_price, close_price, volume, trade_count, buy_trade_count, buy_volume"


def bar_of(values):
    """A row of BAR_COLUMNS as bars() has it."""
    return tuple(int(v) if i in (5, 6) else exact(v) for i, v in enumerate(values))


def vector(row):
    """A replay's features as float32 bits."""
    return [struct.pack("<f", float(value)).hex() for value in list(row.values())[5:]]


def bits_of(text):
    """'{1.5,2}' or '[1.5, 2]' of a foreign tool as float32 bits."""
    return [struct.pack("<f", float(value)).hex() for value in text.strip("{}[]").split(",")]


def check_silver(modules, folder, sent, rows):
    def ask(columns, name):
        return test_bronze.foreign(modules, f"""SELECT {columns} FROM read_parquet(
            '{folder}/lake/silver/{name}/{SYMBOL}/*/*/*/*.parquet')""")

    columns = ", ".join(f"{name}::VARCHAR" for name in BAR_COLUMNS.split(", "))
    found = {int(row[0]): bar_of(row[1:]) for row in ask(f"open_time, {columns}", "bars_1m")}
    wanted = bars(sent)
    assert found and found == {minute: wanted[minute] for minute in found}
    assert len(found) >= len(wanted) - 1, (sorted(found), sorted(wanted))
    vectors = {int(slot): (int(epoch), int(seq), int(as_of), float(price), bits_of(features)) for
               slot, epoch, seq, as_of, price, features in ask(
                   "slot, ingest_epoch, seq, as_of_us, price::VARCHAR, features::VARCHAR", "db_ready")}
    return len(found), check_vectors(vectors, rows)


def check_vectors(found, rows):
    """Each slot's vector by place, time, mid and the bits of its features."""
    assert len(found) >= len(rows) - 1
    for slot, (epoch, seq, as_of_us, price, features) in found.items():
        row = rows[slot]
        assert (epoch, seq, as_of_us) == (int(row["epoch"]), int(row["seq"]), int(row["as_of_us"]))
        assert price == float(row["mid"]) and features == vector(row), slot
    return len(found)


def psql(url, sql):
    done = subprocess.run(["psql", "-XAtq", "-F", "\t", url, "-c", sql], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def check_store(url, sent, rows):
    found = {int(row[0]): bar_of(row[1:]) for row in psql(
        url, f"SELECT open_time, {BAR_COLUMNS} FROM market_data_minute WHERE symbol = '{SYMBOL}'")}
    wanted = bars(sent)
    assert found and found == {minute: wanted[minute] for minute in found}
    assert len(found) >= len(wanted) - 1
    vectors = {int(slot): (int(epoch), int(seq), int(as_of), float(price), bits_of(features)) for
               slot, epoch, seq, as_of, price, features in psql(
                   url, "SELECT slot, ingest_epoch, seq, as_of_us, price, features FROM feature_store "
                        f"WHERE symbol = '{SYMBOL}'")}
    return len(found), check_vectors(vectors, rows)


def database():
    """A private PostgreSQL, made as `up` makes its own."""
    folder, env = h.temp_dir(), {"DATABASE_URL": ""}
    up = h.start("up", "--data", folder, "--port-offset", h.free_port_offset(), "--postgres",
                 "private", env=env)
    h.wait_until(lambda: "event=ended process=db-migrate" in up.log(), "the tables are there", 60)
    assert up.stop(30) == 0, up.log()
    url = h.run("db", "url", "--data", folder, env=env)[1].strip()
    return h.start("db", "serve", "--data", folder, env=env), url


def test_foreign_tools_find_what_was_sent_in_bronze_silver_and_the_store():
    modules = test_bronze.node_modules()
    folder, sent, rows = make()
    server, url = database()
    env = {"DATABASE_URL": url}
    status, _, err = h.run("db", "migrate", "--wait", env=env, timeout_s=90)
    assert status == 0, err
    status, out, err = h.run("etl", "--data", folder, "--json", env=env, timeout_s=120)
    assert status == 0, err
    done = json.loads(out)
    assert done["holes"] == done["corrupt"] == done["rows_refused"] == 0, done
    minutes, vectors = check_store(url, sent, rows)
    print(f"store: {minutes} minutes, {vectors} vectors")
    server.stop()
    if modules is None:
        return
    frames, trades = check_bronze(modules, folder, sent)
    minutes, vectors = check_silver(modules, folder, sent, rows)
    print(f"bronze: {frames} frames, {trades} trades; silver: {minutes} minutes, {vectors} vectors")


if __name__ == "__main__":
    h.run_tests(globals())
