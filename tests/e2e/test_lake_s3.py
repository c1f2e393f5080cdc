# SPDX-License-Identifier: Apache-2.0
"""S3 as the lake: the archive and the import put there what they put into a folder, under the same
keys, also when the store fails now and then."""
import json
import os
import sys

import harness
import test_bronze
import test_import
import test_replay
from harness import wait_until

KEY_ID, SECRET = "AKIDEXAMPLE", "secret/with+signs"


class Store:
    """tests/lib/strict_s3.py: checks every signature; its address and keys in the environment."""

    def __init__(self):
        script = os.path.join(harness.ROOT, "tests", "lib", "strict_s3.py")
        self.process = harness.Process([sys.executable, script, "lake-1", KEY_ID, SECRET])
        wait_until(lambda: self.process.log().endswith("\n"), "the store listens")
        self.port = int(self.process.log())
        os.environ.update(AWS_ACCESS_KEY_ID=KEY_ID, AWS_SECRET_ACCESS_KEY=SECRET,
                          AWS_REGION="eu-west-1",
                          AWS_ENDPOINT_URL=f"http://127.0.0.1:{self.port}")

    def fail(self, *faults):
        status, _ = harness.http_ask(self.port, "/_faults", "POST", json.dumps(faults))[:2]
        assert status == 200

    def put(self):
        """Keys that were put, and how many bytes at last."""
        lines = harness.http_ask(self.port, "/_log")[1].splitlines()
        return {words[1].replace("%3D", "="): int(words[2]) for words in map(str.split, lines)
                if words and words[0] == "PUT"}


def objects_below(folder):
    return {os.path.relpath(os.path.join(at, name), folder)
            for at, _, names in os.walk(folder) for name in names if not name.startswith(".")}


def test_an_import_makes_the_same_objects_in_s3_as_in_a_folder():
    store, plain, remote = Store(), harness.temp_dir(), harness.temp_dir()
    path = test_import.write_zip(plain, "BTCUSDT-trades-2025-01-01",
                                 test_import.text_of(test_import.trades(70000)))
    test_import.do_import(plain, path)
    store.fail(503, "close", "lost")
    report = test_import.do_import(remote, path, "--lake", "s3://lake-1/deep")
    names = objects_below(os.path.join(plain, "lake"))
    assert len(names) == report["objects"] == 2, names
    put = store.put()
    assert set(put) == {f"/lake-1/deep/{name}" for name in names}, put
    assert all(size > 0 for size in put.values())
    assert not os.listdir(os.path.join(remote, "import", "spool"))


def test_the_etl_by_hand_makes_the_same_silver_in_s3_as_in_a_folder_and_so_does_replay():
    store, plain, remote = Store(), harness.temp_dir(), harness.temp_dir()
    made = os.path.join(plain, "made.btc")
    assert harness.run("exchange-sim", "--hours", 0.03, "--out", made)[0] == 0
    for folder, words in ((plain, ()), (remote, ("--lake", "s3://lake-1/deep"))):
        test_import.do_import(folder, made, *words)
        status, out, err = harness.run("etl", "--data", folder, "--store", "none", "--json", *words,
                                       timeout_s=300)
        assert status == 0, err
        done = json.loads(out)
        assert done["rows"] > 40 and done["holes"] == 0, done
        assert (done["objects_fetched"] > 0) == bool(words), done
    wanted = {f"/lake-1/deep/silver/{name}": os.path.getsize(os.path.join(plain, "lake", "silver", name))
              for name in objects_below(os.path.join(plain, "lake", "silver"))}
    assert len(wanted) >= 2 and wanted.items() <= store.put().items(), (wanted, store.put())
    read = [test_replay.replay(plain, lake, name) for name, lake in
            (("folder", os.path.join(plain, "lake")), ("s3", "s3://lake-1/deep"))]
    assert read[0][0]["rows"] > 40 and read[0][1:] == read[1][1:], read[0][0]
    status, _, err = harness.run("etl", "--data", remote, "--store", "none", "--lake", "s3://lake-1/deep",
                                 "--cache-mb", "0")
    assert status == 2 and "--cache-mb" in err, err
    store.fail(*[503] * 40)
    status, _, err = harness.run("etl", "--data", remote, "--store", "none", "--lake", "s3://lake-1/deep")
    assert status == 1 and "bronze/sbe" in err, (status, err)


def test_the_archive_puts_its_blocks_into_s3():
    store = Store()
    run = test_bronze.Connector("--set", "lake=s3://lake-1", "--set", "etl.enabled=false")
    wait_until(lambda: run.component("redis_cluster").get("status") == "healthy",
               "the connector is up")
    store.fail(500, "pass", "close")
    assert run.feed(0.01, 0).wait(120) == 0
    run.finish()
    kinds = {key.rsplit("/", 1)[1].split("_")[0] for key in store.put()}
    assert {"trades", "depth", "bba"} <= kinds, store.put()


def test_the_connector_reads_again_what_it_has_put_into_s3():
    Store()
    run = test_bronze.Connector("--set", "lake=s3://lake-1", "--set", "etl.settle_s=0", "--set",
                                "etl.patience_s=0", "--set", "etl.every_s=1")
    wait_until(lambda: run.component("redis_cluster").get("status") == "healthy",
               "the connector is up")
    # More than a block of 65,536.
    assert run.feed(0.15, 0).wait(120) == 0
    wait_until(lambda: run.component("etl").get("records", 0) >= 60000, "the ETL has read the block", 120,
               0.5)
    port = harness.PORTS["data-connector"] + run.offset
    assert harness.metric(port, "data_connector_etl_fetched_bytes_total") > 1e6
    assert run.component("etl")["status"] == "healthy", run.health()
    run.finish()


if __name__ == "__main__":
    harness.run_tests(globals())
