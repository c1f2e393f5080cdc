# SPDX-License-Identifier: Apache-2.0
"""`btcast import`: every row of a public archive and every record of a capture is in bronze once,
exactly; what is wrong is named with its line; a killed import goes on where it was."""
import gzip
import json
import os
import random
import signal
import zipfile

import harness
import system
import test_bronze
from harness import wait_until

SYMBOL = system.SYMBOL
FIRST = 4359000000
T2025_US = 1735689600000000


def trades(count, first=FIRST, unit_us=1, seed=3):
    prng, rows, at = random.Random(seed), [], T2025_US
    for i in range(count):
        at += prng.randrange(1, 400000)
        price, quantity = prng.randrange(9400000, 9500000), prng.randrange(1, 99999999)
        rows.append([first + i, f"{price / 100:.8f}", f"{quantity / 1e8:.8f}",
                     f"{price * quantity / 1e10:.8f}", at // unit_us,
                     prng.choice(("True", "False")), "True"])
    return rows


def text_of(rows):
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


def write_zip(folder, name, *texts):
    path = os.path.join(folder, name + ".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for i, text in enumerate(texts):
            archive.writestr(f"{name}{i or ''}.csv", text)
    return path


def do_import(folder, *words):
    status, out, err = harness.run("import", "--data", folder, "--json", *words, timeout_s=300)
    assert status == 0, err
    return json.loads(out)


def found_trades(modules, folder, kind="historicalTrades", columns=None):
    columns = columns or ("trade_id, price_mantissa, quantity_mantissa, timestamp, is_buyer_maker, "
                          "source, reason")
    return test_bronze.foreign(modules, f"""SELECT {columns} FROM read_parquet(
        '{folder}/lake/bronze/rest/{SYMBOL}/{kind}/*/*/*/*.parquet') ORDER BY 1""")


def exact(text):
    return round(float(text) * 1e8)


def test_rows_of_a_zip_are_in_bronze_once_with_holes_repeats_and_bad_rows_named():
    modules, folder = test_bronze.node_modules(), harness.temp_dir()
    rows = trades(66000)
    lines = text_of(rows).splitlines()
    del lines[50000:50003]       # a hole of three
    lines.insert(20000, lines[19999])  # a repeat: line 20001
    lines[100] = lines[100].replace(",", ";")  # line 101
    lines.append("1,2,3")        # the last line
    path = write_zip(folder, f"{SYMBOL}-trades-2025-01-01", "\n".join(lines) + "\n")
    report = do_import(folder, path)
    check = report["checks"]["trades"]
    assert report["refused"] == 3 and check["repeats"] == 1, report
    assert check["holes"] == 2 and check["missing"] == 4, report
    assert check["list"] == [{"first": FIRST + 100, "last": FIRST + 100, "count": 1},
                             {"first": FIRST + 50000, "last": FIRST + 50002, "count": 3}], report
    kept = system.read_bytes(os.path.join(
        folder, "import", "quarantine", os.path.basename(path) + ".rows")).decode().splitlines()
    assert [line.split(":")[0] for line in kept] == ["101", "20001", "65999"], kept
    assert kept[2].endswith(": 1,2,3")
    again = do_import(folder, path)
    assert again["objects"] == 0 and again["objects_skipped"] == report["objects"] > 1
    if modules is None:
        return
    good = rows[:100] + rows[101:50000] + rows[50003:]
    found = found_trades(modules, folder)
    assert len(found) == len(good) == report["rows"]
    assert [(int(f[0]), int(f[1]), int(f[2]), int(f[3]), f[4]) for f in found] == [
        (r[0], exact(r[1]), exact(r[2]), r[4], r[5] == "True") for r in good]
    assert {(f[5], f[6]) for f in found} == {("archive", os.path.basename(path))}


def test_heads_units_and_plain_and_gzip_files_of_all_types_are_read_and_checked_across_files():
    modules, folder = test_bronze.node_modules(), harness.temp_dir()
    first = os.path.join(folder, f"{SYMBOL}-trades-2024-12-31.csv")
    with open(first, "w", encoding="ascii") as f:
        f.write("id,price,qty,quote_qty,time,is_buyer_maker,is_best_match\r\n")
        f.write(text_of(trades(100, unit_us=1000)).replace("\n", "\r\n"))
    second = os.path.join(folder, f"{SYMBOL}-trades-2025-01-01.csv.gz")
    with gzip.open(second, "wt") as f:
        f.write(text_of(trades(100, FIRST + 102)))
    report = do_import(folder, first, second)
    assert report["rows"] == 200 and report["checks"]["trades"]["missing"] == 2, report
    minute = 60000
    klines = [[T2025_US // 1000 + i * minute, "1.5", "3", "1", "2", "10", T2025_US // 1000 +
               i * minute + minute - 1, "20", 5, "6", "12", 0] for i in range(1440) if i != 700]
    aggregates = [[i, "94000.1", "0.5", 10 * i, 10 * i + 9, T2025_US + i, "true", "true"]
                  for i in range(1, 50)]
    report = do_import(folder, write_zip(folder, f"{SYMBOL}-1m-2025-01-01", text_of(klines)),
                       write_zip(folder, f"{SYMBOL}-aggTrades-2025-01-01", text_of(aggregates)))
    assert report["checks"]["klines"]["missing"] == 1 and report["refused"] == 0, report
    assert report["checks"]["aggTrades"] == {"rows": 49, "repeats": 0, "holes": 0, "missing": 0,
                                             "list": []}, report
    if modules is None:
        return
    assert len(found_trades(modules, folder)) == 200
    found = found_trades(modules, folder, "klines", "open_time, close_price, volume_mantissa")
    assert [int(f[0]) for f in found] == [k[0] for k in klines]
    assert {(float(f[1]), int(f[2])) for f in found} == {(2.0, 10 * 10 ** 8)}
    found = found_trades(modules, folder, "aggTrades", "agg_trade_id, first_trade_id, last_trade_id")
    assert [tuple(map(int, f)) for f in found] == [(a[0], a[3], a[4]) for a in aggregates]


def test_a_killed_import_goes_on_where_it_was():
    modules, folder = test_bronze.node_modules(), harness.temp_dir()
    rows = trades(140000)
    path = write_zip(folder, f"{SYMBOL}-trades-2025-01-02", text_of(rows))
    objects = os.path.join(folder, "lake", "bronze", "rest", SYMBOL, "historicalTrades")

    def made():
        return sum(not name.startswith(".") for _, _, names in os.walk(objects) for name in names)
    kills = 0
    for wanted in (1, 2):
        process = harness.start("import", "--data", folder, path)
        wait_until(lambda: made() >= wanted or not process.alive(), f"{wanted} objects", 60, 0.005)
        kills += process.alive()
        process.signal(signal.SIGKILL)
        process.wait()
    report = do_import(folder, path)
    assert kills > 0 and report["objects_skipped"] > 0, report
    assert report["objects"] + report["objects_skipped"] == made() == 3, report
    if modules is not None:
        found = found_trades(modules, folder, columns="trade_id")
        assert [int(f[0]) for f in found] == [r[0] for r in rows]


def test_captures_become_the_blocks_of_the_live_archive():
    modules, folder = test_bronze.node_modules(), harness.temp_dir()
    made = os.path.join(folder, "made.btc")
    status, _, err = harness.run("exchange-sim", "--hours", "0.05", "--out", made)
    assert status == 0, err
    report = do_import(folder, made)
    lake = os.path.join(folder, "lake")
    records = [r for r in test_bronze.capture_records(made)[0] if r[0] in (1, 2)]
    assert report["records"] >= len(records) > 10000, report
    assert do_import(folder, made)["objects"] == 0
    if modules is not None:
        test_bronze.check_found(modules, lake, records)
    out = [os.path.join(folder, name) for name in ("capture.csv", "lake.csv")]
    for source, csv in ((made, out[0]), (lake, out[1])):
        test_bronze.replay(source, csv)
    assert system.read_bytes(out[0]) == system.read_bytes(out[1])


def test_a_damaged_archive_and_a_wrong_symbol_are_named():
    folder = harness.temp_dir()
    path = write_zip(folder, f"{SYMBOL}-trades-2025-01-01", text_of(trades(20000)))
    with open(path, "r+b") as f:
        f.seek(os.path.getsize(path) // 2)
        f.write(b"\0" * 64)
    status, _, err = harness.run("import", "--data", folder, path)
    assert status == 1 and "damaged" in err and path in err, err
    assert not os.path.exists(os.path.join(folder, "lake"))
    status, _, err = harness.run("import", "--data", folder, "--symbol", "ETHUSDT", path)
    assert status == 2 and "is of BTCUSDT by its name" in err, err
    status, _, err = harness.run("import")
    assert status == 2 and "no FILE" in err, err


if __name__ == "__main__":
    harness.run_tests(globals())
