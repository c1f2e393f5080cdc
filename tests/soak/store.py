#!/usr/bin/env python3
"""The whole system at a rate, with PostgreSQL away for a while or data-connector killed again and again
(SIGKILL, at random moments), and what came of it: every slot predicted, each once in the predictions log
with what was published, each vector once in the feature store and equal to the one that was served, every
record of the streams once in bronze.

usage: tests/soak/store.py [--rate 5000] [--seconds 720] [--away 600] [--kills 0] [--json]

SPDX-License-Identifier: Apache-2.0"""
import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import archive  # noqa: E402
import harness  # noqa: E402
import system  # noqa: E402
import test_bronze  # noqa: E402

# Frames a second of the simulated market at its own pace, about.
MARKET_FRAMES = archive.MARKET_FRAMES
LOADED_S = 600 # the ETL waits for blocks to settle, and has ten minutes to take
PG_BIN = "/usr/lib/postgresql/{}/bin"


class Postgres:
    """A server of its own on a unix socket, run by the user postgres when this is root."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="btcast-soak-pg-", dir="/var/tmp")
        harness._folders.append(self.folder) # pylint: disable=protected-access
        version = max(os.listdir("/usr/lib/postgresql"), key=int)
        self.bin = PG_BIN.format(version)
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self.url = f"host={self.folder} user=postgres dbname=postgres"
        self.process = None
        self._run("initdb", "-D", f"{self.folder}/data", "-U", "postgres", "-A", "trust", "-E", "UTF8")
        self.start()

    def _as(self, program, *words):
        user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        return [*user, f"{self.bin}/{program}", *words]

    def _run(self, program, *words):
        done = subprocess.run(self._as(program, *words), capture_output=True, text=True, check=False,
                              cwd=self.folder)
        assert done.returncode == 0, done.stderr

    def start(self):
        self.process = harness.Process(self._as(
            "postgres", "-D", f"{self.folder}/data", "-k", self.folder, "-c", "listen_addresses=",
            "-c", "shared_buffers=32MB"), name="postgres")
        harness.wait_until(lambda: self.ask("SELECT 1") == "1", "PostgreSQL answers", 60, 0.2)

    def kill(self):
        """As a power cut would: the postmaster and its children see SIGKILL and its consequences."""
        with open(f"{self.folder}/data/postmaster.pid", encoding="ascii") as f:
            os.kill(int(f.readline()), signal.SIGKILL)
        self.process.wait()
        harness.wait_until(lambda: self.ask("SELECT 1") is None, "PostgreSQL is away", 30, 0.1)

    def ask(self, sql):
        done = subprocess.run(["psql", "-XAtq", self.url, "-c", sql], capture_output=True, text=True,
                              check=False)
        return done.stdout.strip() if done.returncode == 0 else None


class System(system.Up):
    """`btcast up` that can be started again in its folder."""

    def __init__(self, config, env):
        self.words, self.env = ("--set", f"config.exchange_sim={config}"), env
        super().__init__(*self.words, env=env, postgres="auto")
        self.wait_live(60)

    def again(self):
        self.process = harness.start("up", "--data", os.path.join(self.folder, "data"), "--port-offset",
                                     self.offset, "--postgres", "auto", *self.words, env=self.env)
        self.wait_live(60)


def start_system(postgres, rate):
    config = os.path.join(harness.temp_dir(), "sim.yaml")
    pathlib.Path(config).write_text(f"service: exchange-sim\nmarket:\n  rate: {rate / MARKET_FRAMES}\n"
                                    "  history_s: 60\n", encoding="ascii")
    return System(config, {"DATABASE_URL": postgres.url})


def tops(up):
    """{epoch: highest seq} in the streams."""
    client, found = up.redis(), {}
    for name in archive.STREAMS:
        for entry, _ in client("XREVRANGE", f"market-sbe-{name}:{system.SYMBOL}", "+", "-", "COUNT", "1"):
            epoch, seq = map(int, entry.split("-"))
            found[epoch] = max(seq, found.get(epoch, 0))
    client.close()
    return found


class Course:
    """What is done to the system, second by second, and what is seen of it."""

    def __init__(self, up, postgres, options):
        self.up, self.postgres, self.options = up, postgres, options
        self.prng = random.Random(5)
        self.killed, self.spool_most, self.rate_from = 0, 0, None
        self.kill_at = 0.0
        self.away = False

    def look(self, second):
        options = self.options
        begin = options.seconds * 0.1
        if options.away and not self.away and begin <= second < begin + options.away:
            self.postgres.kill()
            self.away = True
        elif self.away and second >= begin + options.away:
            self.postgres.start()
            self.away = False
        if self.killed < options.kills and second >= self.kill_at:
            for pid in self.up.pids("data-connector"):
                os.kill(pid, signal.SIGKILL)
                self.killed += 1
                self.kill_at = second + self.prng.uniform(0.2, 2 * options.seconds / options.kills)
        health = harness.get_json(self.up.port("data-connector"), "/health")
        if health:
            self.spool_most = max(self.spool_most, health["components"]["lake"]["spool_bytes"])

    def run(self):
        frames = harness.metric(self.up.port("sbe-ingestor"), "ingestor_sbe_messages_total")
        begin = time.monotonic()
        while (second := time.monotonic() - begin) < self.options.seconds:
            self.look(second)
            time.sleep(0.1 if self.options.kills else 1)
        if self.away:
            self.postgres.start()
        now = harness.metric(self.up.port("sbe-ingestor"), "ingestor_sbe_messages_total")
        return (now - frames) / (time.monotonic() - begin)


def published(up):
    client = up.redis()
    found = system.predictions(client)
    client.close()
    return {slot: fields for slot, fields in found}, len(found)


def wait_loaded(up, postgres):
    """Until the store has what was predicted and computed up to now."""
    slot = max(published(up)[0])

    def loaded(table, where=""):
        return int(postgres.ask(f"SELECT coalesce(max(slot), 0) FROM {table} {where}") or 0) >= slot
    harness.wait_until(lambda: loaded("predictions_log", "WHERE role = 'live'"), "predictions are loaded",
                       LOADED_S, 1)
    harness.wait_until(lambda: loaded("feature_store"), "feature vectors are loaded", LOADED_S, 1)
    return slot


def check_log(slots, postgres, until):
    """Each published prediction stands once in the log, as it was published."""
    rows = [line.split("|") for line in postgres.ask(
        "SELECT slot, model_version, predicted_price FROM predictions_log WHERE role = 'live' ORDER BY "
        "slot").splitlines()]
    logged = {int(row[0]): (row[1], float(row[2])) for row in rows if row[2]}
    wrong = 0
    for slot, fields in slots.items():
        want = (fields["model_version"], float(fields["predicted_price_10s"]))
        wrong += slot <= until and logged.get(slot, want if not want[1] else None) != want
    return {"logged": len(rows), "logged_double": len(rows) - len({row[0] for row in rows}),
            "logged_wrong": wrong}


def check_features(postgres):
    first, last, count, distinct = map(int, postgres.ask(
        "SELECT min(slot), max(slot), count(*), count(DISTINCT slot) FROM feature_store").split("|"))
    return {"vectors": count, "vectors_missing": last - first + 1 - distinct,
            "vectors_double": count - distinct,
            "vectors_served": int(postgres.ask("SELECT count(*) FROM served_vector")),
            "vectors_other_than_served": int(postgres.ask("SELECT count(*) FROM feature_skew"))}


def tell_skew(postgres):
    """What differs, for people."""
    print(postgres.ask("""SELECT 'slots ' || min(slot) || ' to ' || max(slot) || ', features ' || string_agg(
        DISTINCT at::text, ' ') FROM (SELECT slot, at FROM feature_skew, generate_series(1, cardinality(features))
        AS at WHERE features[at] IS DISTINCT FROM served_features[at]) AS different"""), file=sys.stderr)


def stop(up):
    """Until all is durable: what a stop has no time for, the next start has in its journal."""
    for _ in range(5):
        up.stop()
        if "event=archive_closed durable=1" in up.process.log():
            return
        up.again()
    raise AssertionError("the archive does not close")


def check_bronze(up, seen):
    """After the end: every number of each epoch up to what was seen in the streams, once."""
    lake = os.path.join(up.folder, "data", "lake")
    modules = test_bronze.node_modules()
    if modules is None:
        return {}
    found = archive.bronze_epochs(modules, lake)
    return {"records": sum(count for count, _, _ in found.values()),
            "records_double": sum(count - distinct for count, distinct, _ in found.values()),
            "records_missing": sum(top - distinct for _, distinct, top in found.values()) +
            sum(top > found.get(epoch, (0, 0, 0))[2] for epoch, top in seen.items())}


def measure(options):
    postgres = Postgres()
    status, _, err = harness.run("db", "migrate", env={"DATABASE_URL": postgres.url})
    assert status == 0, err
    up = start_system(postgres, options.rate)
    course = Course(up, postgres, options)
    rate = course.run()
    until = wait_loaded(up, postgres)
    slots, entries = published(up)
    seen = tops(up)
    stop(up)
    result = {"frames_per_second": round(rate), "kills": course.killed,
              "spool_max_mb": round(course.spool_most / 1e6, 1), "slots": len(slots),
              "slots_missing": max(slots) - min(slots) + 1 - len(slots),
              "slots_double": entries - len(slots)}
    result.update(check_log(slots, postgres, until))
    result.update(check_features(postgres))
    if result["vectors_other_than_served"]:
        tell_skew(postgres)
    result.update(check_bronze(up, seen))
    result["load"] = round(os.getloadavg()[0], 1)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=5000)
    parser.add_argument("--seconds", type=float, default=720)
    parser.add_argument("--away", type=float, default=600)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = measure(options)
    print(json.dumps(result) if options.json else "\n".join(f"{k}: {v}" for k, v in result.items()))
    wrong = [name for name, value in result.items()
             if value and name.endswith(("_missing", "_double", "_wrong", "_other_than_served"))]
    print("wrong: " + ", ".join(wrong) if wrong else "nothing lost, nothing doubled, no slot missed")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
