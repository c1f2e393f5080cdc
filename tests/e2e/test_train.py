#!/usr/bin/env python3
"""`btcast train`: simulated hours -> a model; the same bytes each time, after any kill, with any
number of threads; what it serves is what it evaluated. SPDX-License-Identifier: Apache-2.0"""
import csv
import json
import os
import random
import signal
import struct
import subprocess

import harness
import system

HOURS = "0.8"
SETTINGS = ["--trials", "3", "--folds", "1", "--epochs", "12", "--seed", "7"]


def make_market(folder):
    market, oracle = os.path.join(folder, "m.btc"), os.path.join(folder, "m.csv")
    status, _, err = harness.run("exchange-sim", "--hours", HOURS, "--seed", "3", "--out", market,
                                 "--oracle", oracle)
    assert status == 0, err
    return market, oracle


def train(out, *words):
    status, text, err = harness.run("train", "--out", out, *SETTINGS, *words, timeout_s=300)
    assert status == 0, err
    return text, err


def read(folder, name):
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


def same(one, other):
    for name in ("model.onnx", "report.json", "report.html"):
        assert read(one, name) == read(other, name), name


def test_a_training_gives_the_same_bytes_with_any_number_of_threads():
    folder = harness.temp_dir()
    market, oracle = make_market(folder)
    first, second, third = (os.path.join(folder, name) for name in ("a", "b", "c"))
    rows = os.path.join(folder, "rows")
    text, err = train(first, "--capture", market, "--oracle", oracle, "--save-rows", rows,
                      "--threads", "2")
    assert " rows in " in err and "R2 against no change" in text, (text, err)
    printed, _ = train(second, "--rows", rows, "--oracle", oracle, "--threads", "1", "--json")
    report = json.loads(read(first, "report.json"))
    again = json.loads(printed)
    assert report["data"]["hash"] == again["data"]["hash"]
    assert read(first, "model.onnx") == read(second, "model.onnx")
    train(third, "--capture", market, "--oracle", oracle, "--threads", "1", "--quiet")
    same(first, third)
    assert not os.path.exists(os.path.join(first, "state"))
    # 0.8 h are 1,440 slots; 30 warm up, five have no outcome.
    assert report["data"]["rows"] == int(float(HOURS) * 1800) - 36, report["data"]
    assert len(report["training"]["trials"]) == 3 and len(report["walk_forward"]) == 1
    assert report["indicative"] and report["refuse_promotion"]
    page = read(first, "report.html").decode()
    assert page.count("<svg") == 4 and "http" not in page and "<script" not in page
    assert "Indicative." in page
    check_served(folder, market, os.path.join(first, "model.onnx"), rows)
    check_kills(folder, rows, oracle, second)


def check_served(folder, market, model, rows):
    """The replay, with each kernel, predicts from the model what model-run says, bit for bit."""
    features, predictions = os.path.join(folder, "f.csv"), os.path.join(folder, "p.csv")
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        flags = file.read()
    made = []
    for kernel, flag in (("plain", None), ("avx2", "avx2"), ("avx512", "avx512vl")):
        if flag is not None and flag not in flags:
            print(f"SKIPPED: kernel {kernel}, the processor has no {flag}")
            continue
        status, _, err = harness.run("replay", market, "--features", features, "--predictions",
                                     predictions, "--model", model, "--kernel", kernel)
        assert status == 0, err
        made.append(open(predictions, "rb").read())
    assert all(one == made[0] for one in made)
    with open(predictions, newline="", encoding="utf-8") as file:
        versions = {row["model_version"] for row in csv.DictReader(file)}
    assert versions == {json.loads(read(os.path.dirname(model), "report.json"))["version"]}
    # A features CSV of the replay is the same data, but for the gaps it cannot tell.
    of_csv = os.path.join(folder, "csv")
    train(of_csv, "--features", features, "--quiet")
    count = json.loads(read(of_csv, "report.json"))["data"]["rows"]
    assert count == struct.unpack_from("<Q", open(rows, "rb").read(), 16)[0]


def check_kills(folder, rows, oracle, expected):
    """Killed at random moments, the same command goes on and ends as if nothing had been."""
    rng = random.Random(5)
    kills = 100 if os.environ.get("BTCAST_LONG") else 6
    words = [harness.BTCAST, "train", "--rows", rows, "--oracle", oracle, "--threads", "2",
             *SETTINGS]
    hit = 0
    while hit < kills:
        out = os.path.join(folder, "killed")
        for _ in range(rng.randrange(1, 4)):
            process = subprocess.Popen(words + ["--out", out], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            try:
                process.wait(timeout=rng.uniform(0.01, 0.25))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                hit += 1
            process.wait()
        train(out, "--rows", rows, "--oracle", oracle)
        same(out, expected)


def test_mistakes_are_named():
    folder = harness.temp_dir()
    for words, status, message in (
            (["--out", folder], 2, "expected one of --capture, --features, --rows"),
            (["--rows", "x"], 2, "expected --out DIR"),
            (["--rows", "x", "--out", folder, "--trials", "0"], 2, "--trials"),
            (["--rowz", "x"], 2, "did you mean --rows"),
            (["--rows", "/nowhere", "--out", folder], 1, "cannot read /nowhere"),
            (["--capture", __file__, "--out", folder], 1, "test_train.py")):
        got, _, err = harness.run("train", *words)
        assert got == status and message in err, (words, got, err)
    assert not os.path.exists(os.path.join(folder, "model.onnx"))


def test_a_few_minutes_of_real_data_are_indicative_and_never_promoted():
    system.need_capture()
    folder = harness.temp_dir()
    text, _ = train(os.path.join(folder, "real"), "--capture", system.CAPTURE)
    report = json.loads(read(os.path.join(folder, "real"), "report.json"))
    print(report["data"])
    assert report["indicative"] and report["refuse_promotion"]
    assert "INDICATIVE ONLY" in text and "promotion                    refused: " in text
    assert report["data"]["embargo_short"] and report["test"]["independent"] < 33
    assert "Indicative only" in report["refusal"] and "No profit" in report["test"]["profit"][
        "sentence"]


if __name__ == "__main__":
    harness.run_tests(globals())
