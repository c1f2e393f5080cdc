# SPDX-License-Identifier: Apache-2.0
"""The private PostgreSQL of `btcast up`, its migrations, and the model registry, seen with psql."""
import os
import re
import signal
import subprocess

import harness as h

MODEL = os.path.join(h.ROOT, "models", "baseline.onnx")


def private_up(folder, offset):
    up = h.start("up", "--data", folder, "--port-offset", offset, "--postgres", "private",
                 env={"DATABASE_URL": ""})
    h.wait_until(lambda: "event=ended process=db-migrate" in up.log(), "the tables are there", 60)
    return up


def psql(url, sql):
    done = subprocess.run(["psql", "-XAtq", url, "-c", sql], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def model(url, *words, good=True):
    status, out, err = h.run("model", *words, env={"DATABASE_URL": url, "USER": "tester"})
    assert (status == 0) == good, (words, status, out, err)
    return out + err


def test_up_runs_a_private_postgres_that_survives_restarts():
    folder, offset = h.temp_dir(), h.free_port_offset()
    up = private_up(folder, offset)
    status, url, _ = h.run("db", "url", "--data", folder, env={"DATABASE_URL": ""})
    url = url.strip()
    assert status == 0 and url.startswith("host=/var/tmp/btcast-"), url
    assert psql(url, "SELECT count(*) FROM schema_migration") == "4"
    assert psql(url, "SHOW listen_addresses") == ""
    psql(url, "INSERT INTO load_position VALUES ('kept', '7')")
    # The predictions log follows the stream, and learns what came of each.
    h.wait_until(lambda: psql(url, "SELECT count(*) FROM predictions_log WHERE outcome_valid") != "0",
                 "an outcome is known", 60, 0.3)
    redis = h.Redis(h.os.path.join(folder, "run", "redis.sock"))
    published = {}
    for entry, flat in redis("XRANGE", "predictions:BTCUSDT", "-", "+"):
        fields = dict(zip(flat[::2], flat[1::2]))
        published[entry.split("-")[0]] = (fields["model_version"], float(fields["current_price"]))
    redis.close()
    logged = [row.split("|") for row in psql(
        url, "SELECT slot, model_version, current_price FROM predictions_log ORDER BY slot").splitlines()]
    assert len(logged) >= 6 and len({row[0] for row in logged}) == len(logged)
    for slot, version, price in logged:
        assert slot not in published or published[slot] == (version, float(price)), (slot, published)
    row = psql(url, "SELECT p.actual_price = m.mid AND abs(p.actual_return - ln(m.mid::float8 / "
                    "p.current_price::float8)) < 1e-12 FROM predictions_log p JOIN slot_mid m ON "
                    "m.slot = p.slot + 5 WHERE p.outcome_valid LIMIT 1")
    assert row == "t", row
    health = h.get_json(h.PORTS["data-connector"] + offset, "/health")
    assert health["components"]["store"]["status"] == "healthy", health
    # A killed server comes back by itself, with what it had.
    pid = int(psql(url, "SELECT pg_read_file('postmaster.pid')").splitlines()[0])
    psql(url, "CHECKPOINT")
    os.kill(pid, signal.SIGKILL)
    h.wait_until(lambda: "event=restarting process=postgres" in up.log(), "restarted", 30)

    def kept():
        done = subprocess.run(["psql", "-XAtq", url, "-c", "SELECT position FROM load_position WHERE loader = 'kept'"],
                              capture_output=True, text=True, check=False)
        return done.stdout.strip() == "7"
    h.wait_until(kept, "the database answers again", 60)
    assert up.stop() == 0, up.log()
    up = private_up(folder, offset)
    assert psql(url, "SELECT position FROM load_position WHERE loader = 'kept'") == "7"
    # A client that never leaves does not keep it from stopping.
    with subprocess.Popen(["psql", "-XAtq", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as client:
        client.stdin.write("SELECT 1;\n")
        client.stdin.flush()
        assert client.stdout.readline() == "1\n"
        assert up.stop() == 0, up.log()
        client.kill()
    status, _, err = h.run("db", "migrate", "--data", folder, env={"DATABASE_URL": ""})
    assert status == 1 and "PostgreSQL:" in err, err


def test_migrate_shows_tries_and_applies():
    folder, offset = h.temp_dir(), h.free_port_offset()
    up = private_up(folder, offset)
    url = h.run("db", "url", "--data", folder, env={"DATABASE_URL": ""})[1].strip()
    psql(url, "CREATE DATABASE other")
    env = {"DATABASE_URL": url.replace("dbname=postgres", "dbname=other")}
    status, out, _ = h.run("db", "migrate", "--status", env=env)
    assert status == 0 and out.count("pending") == 4, out
    status, out, _ = h.run("db", "migrate", "--dry-run", env=env)
    assert status == 0 and out.count("would apply") == 4, out
    assert psql(env["DATABASE_URL"], "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "0"
    status, out, _ = h.run("db", "migrate", env=env)
    assert status == 0 and out.count("applied now") == 4, out
    psql(env["DATABASE_URL"], "UPDATE schema_migration SET sha256 = repeat('0', 64) WHERE version = 2")
    status, _, err = h.run("db", "migrate", env=env)
    assert status == 1 and "002_feature_store.sql" in err and "changed" in err, err
    # The registry, over the same server.
    version = re.search(r"btcast (\S+) is registered", model(url, "add", MODEL)).group(1)
    assert "is registered" in model(url, "add", MODEL)  # once more changes nothing
    assert psql(url, "SELECT count(*) FROM model_registry") == "1"
    assert "does not have the move" in model(url, "promote", version, good=False)
    model(url, "shadow", version)
    assert "is in production" in model(url, "promote", version)
    psql(url, "INSERT INTO model_registry (model_name, version, stage, artifact_sha256, "
              "artifact_path, feature_schema) VALUES ('btcast', 'next', 'shadow', repeat('a', 64), "
              "'x', '{}')")
    assert "too early" in model(url, "promote", "next", good=False)
    model(url, "promote", "next", "--force", "--reason", "wanted")
    assert psql(url, "SELECT stage, stage_reason FROM model_registry ORDER BY model_id") == \
        "archived|replaced\nproduction|"
    assert version in model(url, "rollback")
    assert "none" in model(url, "rollback")
    assert "no model btcast is in production" in model(url, "rollback", good=False)
    moves = psql(url, "SELECT deployment_type, version, to_stage, previous_version, actor FROM "
                      "model_deployment_log ORDER BY deployment_id").splitlines()
    assert [m.split("|")[0] for m in moves] == ["register", "shadow", "promote", "replace", "promote",
                                                "rollback", "rollback", "rollback"], moves
    assert moves[4] == f"promote|next|production|{version}|tester", moves
    assert "wanted" in model(url, "show", "next")
    assert "next" in model(url, "list") and "outcomes on the same slots: 0" in \
        model(url, "compare", version, "next")
    # Rows of the audit log are not changed.
    done = subprocess.run(["psql", "-XAtq", url, "-c", "DELETE FROM model_deployment_log"],
                          capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "not changed" in done.stderr
    check_backup(folder, url)
    assert up.stop() == 0


def check_backup(folder, url):
    """A dump lies in gold and can be restored; older ones go, what is no dump stays."""
    gold = os.path.join(folder, "lake", "gold", "rdbms_backups")
    for name in ("2020-01-01/btcast_20200101_030000.sql", "notes.txt"):
        os.makedirs(os.path.dirname(os.path.join(gold, name)), exist_ok=True)
        open(os.path.join(gold, name), "w", encoding="ascii").close()
    words = ("db", "backup", "--data", folder, "--daily", "--keep-days", "7")
    status, out, err = h.run(*words, env={"DATABASE_URL": ""})
    assert status == 0 and "1 older removed" in out, out + err
    made = re.search(r"rdbms_backups/(\S+\.sql): \d+ bytes", out).group(1)
    dumps = [os.path.relpath(os.path.join(at, name), gold)
             for at, _, names in os.walk(gold) for name in names]
    assert sorted(dumps) == sorted([made, "notes.txt"]), dumps
    status, out, _ = h.run(*words, env={"DATABASE_URL": ""})
    assert status == 0 and "today has one already" in out, out
    psql(url, "CREATE DATABASE restored")
    restored = url.replace("dbname=postgres", "dbname=restored")
    subprocess.run(["psql", "-XAtq", restored, "-v", "ON_ERROR_STOP=1", "-f",
                    os.path.join(gold, made)], check=True, capture_output=True)
    for table in ("model_registry", "model_deployment_log", "schema_migration"):
        ask = f"SELECT * FROM {table} ORDER BY 1"
        assert psql(restored, ask) == psql(url, ask) != "", table
    status, _, err = h.run("db", "backup", "--data", folder, env={"DATABASE_URL": "", "PATH": "/"})
    assert status == 1 and "pg_dump is not there" in err, err


def test_wrong_choices_are_configuration_errors():
    for words, env, said in (
            (("up", "--postgres", "postgresql://u:geheim@h/d"), {}, "DATABASE_URL"),
            (("up", "--postgres", "mysql"), {}, "postgresql://"),
            (("db", "migrate", "--data", "/nowhere"), {"DATABASE_URL": ""}, "DATABASE_URL is not set"),
            (("db", "migrate"), {"DATABASE_URL": "postgresql://u:geheim@[::"}, "DATABASE_URL"),
            (("db", "migrat"), {}, "migrat"), (("db", "--dry-ru"), {}, "--dry-run"),
            (("model", "promote"), {}, "help model")):
        if words[0] == "up":
            words += ("--data", h.temp_dir(), "--port-offset", h.free_port_offset())
        status, _, err = h.run(*words, env=env)
        assert status == 2 and said in err and "geheim" not in err, (words, status, err)


h.run_tests(globals())
