# SPDX-License-Identifier: Apache-2.0
"""The ETL behind a running system: the vectors that were served live are the ones that the archive
gives, byte for byte; outcomes that nobody wrote down come back; done twice it changes nothing."""
import json
import os
import subprocess

import harness as h
import system
import test_bronze

SLOTS = 110 if system.LONG else 8
STATE = ("SELECT md5(string_agg(t, ';' ORDER BY t)) FROM (SELECT f::text AS t FROM (SELECT slot, "
         "price, features, ingest_epoch, seq, target_valid, target_price_10s FROM feature_store) f "
         "UNION ALL SELECT m::text FROM slot_mid m UNION ALL SELECT p::text FROM (SELECT slot, "
         "outcome_valid, actual_price, actual_return FROM predictions_log) p) x")


def psql(url, sql):
    done = subprocess.run(["psql", "-XAtq", url, "-c", sql], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def start_system():
    """A system with a store, its data folder and the store's address."""
    up = system.Up("--postgres", "private", env={"DATABASE_URL": ""})
    up.wait_live(60)
    data = os.path.join(up.folder, "data")
    url = h.run("db", "url", "--data", data, env={"DATABASE_URL": ""})[1].strip()
    h.wait_until(lambda: "event=ended process=db-migrate" in up.process.log(), "the tables", 60)
    return up, data, url


def wait_served(url, slots):
    h.wait_until(lambda: int(psql(url, "SELECT count(*) FROM served_vector")) >= slots,
                 f"{slots} served vectors are in the store", 60 + 3 * slots, 0.5)


def compared(url):
    """How many served vectors the ETL has found again so far, minutes behind the present."""
    return int(psql(url, "SELECT coalesce(sum((details->>'compared')::int), 0) FROM "
                         "data_quality_metrics WHERE dataset = 'served_vector'"))


def stop_system(up):
    def healthy():
        found = h.get_json(up.port("data-connector"), "/health")
        return found if found and found["components"]["etl"]["status"] == "healthy" else None
    # A pass that came before the database is made again soon.
    health = h.wait_until(healthy, "the ETL is healthy", 60, 0.5)
    if system.LONG:
        etl_done = health["components"]["etl"]
        assert etl_done["rows"] > 0 and etl_done["late"] == 0, health
    up.stop()
    log = up.process.log()
    closed = [line for line in log.splitlines() if "event=archive_closed" in line]
    assert closed and "durable=1" in closed[-1] and "streams_not_read" not in log, log[-3000:]


def etl(data, *words, good=True):
    status, out, err = h.run("etl", "--data", data, "--json", *words, env={"DATABASE_URL": ""},
                             timeout_s=120)
    assert (status == 0) == good, (status, out, err)
    return json.loads(out) if good else err


def test_served_and_recomputed_vectors_are_the_same_bytes():
    up, data, url = start_system()
    wait_served(url, SLOTS)
    stop_system(up)
    check(data, url, SLOTS)


def check(data, url, slots):
    """The store behind a system that was stopped, against what its bronze gives."""
    server = h.start("db", "serve", "--data", data, env={"DATABASE_URL": ""})
    try:
        h.wait_until(lambda: subprocess.run(["psql", "-XAtq", url, "-c", "SELECT 1"], check=False,
                                            capture_output=True).returncode == 0,
                     "the server answers", 60)
        return check_store(data, url, slots)
    finally:
        server.stop()


def check_snapshots(data):
    """Silver's books, one a minute, are the exchange's replies to the last digit."""
    modules = test_bronze.node_modules()
    if modules is None:
        return
    wanted = {}
    for received_us, body in test_bronze.foreign(modules, f"""SELECT collection_ts, decode(body) FROM
            read_parquet('{data}/lake/bronze/rest/{system.SYMBOL}/depth/*/*/*/*.parquet')
            ORDER BY 1 DESC"""):
        wanted[int(received_us) // 60000000] = json.loads(body) # the first of the minute stays
    found = test_bronze.foreign(modules, f"""SELECT snapshot_ts, last_update_id,
        to_json(list_transform(bid_levels, x -> [x.price, x.quantity])),
        to_json(list_transform(ask_levels, x -> [x.price, x.quantity])) FROM
        read_parquet('{data}/lake/silver/snapshots/{system.SYMBOL}/*/*/*/*.parquet')""")
    assert found
    for taken_ms, update_id, bids, asks in found:
        book = wanted[int(taken_ms) // 60000]
        assert int(update_id) == book["lastUpdateId"]
        for side, levels in (("bids", bids), ("asks", asks)):
            assert json.loads(levels) == [[float(p), float(q)] for p, q in book[side]], side


def check_store(data, url, slots):
    known = psql(url, "SELECT slot, actual_price, actual_return, directional_correct FROM "
                      "predictions_log WHERE outcome_valid ORDER BY slot")
    # As after a long absence: outcomes are not in Redis any more.
    psql(url, "DELETE FROM slot_mid")
    psql(url, "UPDATE predictions_log SET outcome_valid = NULL, actual_price = NULL, "
              "actual_return = NULL, directional_correct = NULL")
    place = os.path.join(data, "etl", f"place-{system.SYMBOL}")
    if os.path.exists(place):  # the agent has begun with it: from the very beginning
        os.unlink(place)
    done = etl(data)
    assert done["rows"] >= slots and done["rows_refused"] == 0 and done["corrupt"] == 0, done
    assert done["holes"] == 0, f"bronze is not whole: {done}"
    skew = json.loads(psql(url, "SELECT json_build_object('compared', "
                                "sum((details->>'compared')::int), 'different', "
                                "sum((details->>'different')::int)) FROM data_quality_metrics "
                                "WHERE dataset = 'served_vector'"))
    print(f"{skew}; {done}")
    # On a machine that is short of time a slot may be served from the tick before.
    assert skew["different"] == 0 and skew["compared"] >= slots // 2, skew
    assert psql(url, "SELECT count(*) FROM feature_skew") == "0"
    # What was served is what the prediction says it was made from.
    same = psql(url, "SELECT count(*) FILTER (WHERE (p.ingest_epoch, p.seq) = (s.ingest_epoch, "
                     "s.seq)), count(*) FROM served_vector s JOIN predictions_log p USING (symbol, "
                     "slot) WHERE p.mode = 'live'").split("|")
    assert int(same[0]) > 0, same
    again = psql(url, "SELECT slot, actual_price, actual_return, directional_correct FROM "
                      "predictions_log WHERE outcome_valid ORDER BY slot").splitlines()
    assert known and set(known.splitlines()) <= set(again), (known, again)
    if system.LONG:
        bars = psql(url, "SELECT count(*) FROM data_quality_metrics WHERE dataset = 'bars_1m' AND "
                         "completeness = 1 AND accuracy = 1")
        wrong = psql(url, "SELECT count(*) FROM data_quality_metrics WHERE dataset = 'bars_1m' AND "
                          "completeness = 1 AND accuracy = 0")
        assert int(bars) > 0 and wrong == "0", (bars, wrong)
    check_snapshots(data)
    # Once more, and from the very beginning: nothing changes.
    before = psql(url, STATE)
    assert etl(data)["rows"] == 0
    os.unlink(place)
    assert etl(data)["rows"] == done["rows"]
    assert psql(url, STATE) == before
    assert "expected" in etl(data, "--from", "2026-13-01", "--to", "2026-12-01", good=False)
    return skew["compared"]


if __name__ == "__main__":
    h.run_tests(globals())
