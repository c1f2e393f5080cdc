#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The running system with a deliberately bad model: promoted by hand against every advice, it
serves, the model before predicts beside it, and the registry takes it out by itself within 300
slots (ten minutes), with an audit row; no slot is missed meanwhile.

usage: tests/soak/rollback.py [--slots 300] [--weight -12]"""
import argparse
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import harness as h  # noqa: E402
from artifacts import feature_names, linear_model  # noqa: E402
from system import Up, check_every_slot, predictions  # noqa: E402

BAD = "deliberately-bad"


class Registry:
    """What `btcast model` and psql say of a running system."""

    def __init__(self, up):
        self.data = os.path.join(up.folder, "data")
        h.wait_until(lambda: "event=ended process=db-migrate" in up.process.log(),
                     "the tables are there", 120)
        self.url = h.run("db", "url", "--data", self.data, env={"DATABASE_URL": ""})[1].strip()

    def model(self, *words):
        status, out, err = h.run("model", *words, "--data", self.data, env={"DATABASE_URL": ""})
        assert status == 0, (words, out, err)

    def ask(self, sql):
        done = subprocess.run(["psql", "-XAtq", self.url, "-c", sql], capture_output=True,
                              text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def bad_artifact(folder, weight):
    """Shouts that what leans to one side goes to the other: the microprice's word, reversed and
    many times louder."""
    names = feature_names()
    weights = [weight if name == "touch_imbalance" else 0.0 for name in names]
    path = os.path.join(folder, "bad.onnx")
    with open(path, "wb") as file:
        file.write(linear_model(BAD, weights, 0.0))
    return path


def main():
    words = argparse.ArgumentParser()
    words.add_argument("--slots", type=int, default=300)
    words.add_argument("--weight", type=float, default=-12.0)
    options = words.parse_args()
    up = Up("--replicas", "2", "--learn", "off", postgres="private", env={"DATABASE_URL": ""})
    try:
        registry = Registry(up)
        up.wait_live(60)
        redis = up.redis()
        before = predictions(redis)[-1][1]["model_version"]
        registry.model("add", bad_artifact(up.folder, options.weight))
        registry.model("shadow", BAD)
        registry.model("promote", BAD, "--force", "--reason", "to see it go")
        live = lambda: predictions(redis)[-1][1]["model_version"]
        h.wait_until(lambda: live() == BAD, "the bad model serves", 30, 0.2)
        h.wait_until(lambda: live() != BAD, "the bad model goes", 2 * options.slots + 60, 1)
        time.sleep(4)
        published = predictions(redis)
        versions = [fields["model_version"] for _, fields in published]
        served = versions.count(BAD)
        slots = check_every_slot(published)
        audit = registry.ask(
            "SELECT json_build_object('actor', actor, 'reason', reason, 'evidence', evidence, 'at', "
            f"created_at) FROM model_deployment_log WHERE version = '{BAD}' AND deployment_type = "
            "'rollback'")
        stage = registry.ask(f"SELECT stage || '/' || stage_reason FROM model_registry WHERE "
                             f"version = '{BAD}'")
        print(f"{served} of {slots} slots were the bad model's, {before} serves again; {stage}; "
              f"audit row: {audit}")
        row = json.loads(audit)
        assert versions[-1] == before and served <= options.slots, served
        assert row["actor"] == "registry" and row["reason"] == "bad accuracy", row
        assert row["evidence"]["figures"]["outcomes"] >= 150, row
        assert stage == "archived/rolled back", stage
        redis.close()
        up.stop()
    finally:
        up.process.kill()


main()
