# SPDX-License-Identifier: Apache-2.0
"""The command line: help, version, config check, and what `up` does before and around its
services. The supervised processes are stand-ins where a fault has to be shown."""
import json
import os
import pty
import select
import signal
import socket
import stat
import time

import harness as h


def write(path, text, mode=0o644):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)
    return path


def names():
    _, out, _ = h.run("help")
    return [line.split()[0] for line in out.splitlines() if line.startswith("  ")]


def test_help_lists_every_command_and_explains_each():
    status, out, err = h.run("help")
    assert status == 0 and err == ""
    assert {"up", "status", "watch", "config", "version", "help"} <= set(names())
    for name in names():
        status, text, err = h.run("help", name)
        assert status == 0 and err == "" and f"btcast {name}" in text, (name, text, err)
        status, same, err = h.run(name, "--help")
        assert (status, err) == (0, "") and same == text, (name, same, err)


def test_no_command_shows_the_list_with_status_2():
    status, out, _ = h.run()
    assert status == 2 and "usage: btcast COMMAND" in out


def test_a_mistyped_command_gets_a_suggestion():
    status, out, err = h.run("hepl")
    assert (status, out) == (2, "")
    assert err == "btcast: unknown command hepl; did you mean help? (`btcast help` lists them)\n"
    status, _, err = h.run("zzzzzzzzzz")
    assert status == 2 and "did you mean" not in err
    status, _, err = h.run("help", "statsu")
    assert status == 2 and "did you mean status?" in err


def test_version_is_for_people_and_for_programs():
    status, out, _ = h.run("version")
    assert status == 0 and out.startswith("btcast ") and out.count("\n") == 1
    status, line, _ = h.run("version", "--json")
    assert status == 0 and "btcast " + json.loads(line)["version"] + "\n" == out
    assert h.run("--version")[1] == out
    assert h.run("version", "--jsno")[0] == 2


def test_config_check_names_file_line_column_and_key():
    folder = h.temp_dir()
    good = write(folder + "/good.yaml", "service: up\nreplicas: 3\nredis:\n  maxmemory_mb: 64\n")
    bad = write(folder + "/bad.yaml", "service: up\nreplicas: 80x\n")
    status, out, err = h.run("config", "check", good)
    assert (status, out, err) == (0, f"{good}: ok (up)\n", "")
    status, out, err = h.run("config", "check", good, bad)
    assert status == 2 and out == f"{good}: ok (up)\n"
    assert err == (f"btcast config: {bad}:2:11: replicas: expected an integer 1..4, "
                   "found \"80x\"\n"), err
    none = write(folder + "/none.yaml", "replicas: 1\n")
    status, _, err = h.run("config", "check", none)
    assert status == 2 and "service: expected the name of a service, found nothing" in err
    other = write(folder + "/other.yaml", "service: inferense\n")
    status, _, err = h.run("config", "check", other)
    assert status == 2 and "found inferense" in err
    assert h.run("config", "check", folder + "/missing")[0] == 2
    assert h.run("config", "check")[0] == 2
    assert h.run("config")[0] == 2


def test_every_configuration_in_the_tree_is_right():
    files = []
    for service in os.listdir(h.ROOT + "/services"):
        for name in ("local", "dev", "prod"):
            path = f"{h.ROOT}/services/{service}/config/{name}.yaml"
            if os.path.exists(path) and service in names():
                files.append(path)
    for path in files:
        status, _, err = h.run("config", "check", path)
        assert status == 0, err


def test_up_refuses_wrong_options_with_status_2():
    for words, message in [
            (["--exchnage", "sim"], "unknown option --exchnage; did you mean --exchange?"),
            (["--exchange"], "--exchange: expected a value, found nothing"),
            (["--exchange", "kraken"], "expected sim, binance, binance-public or replay:FILE, "
                                       "found \"kraken\""),
            (["--exchange", "replay:/nonexistent"], "cannot read the capture /nonexistent"),
            (["--for", "soon"], "--for: expected a time like 90s, 10m or 2h, found \"soon\""),
            (["--for", "0"], "--for: expected a time"),
            (["--replicas", "9"], "--set replicas: expected an integer 1..4, found \"9\""),
            (["--aggregators", "0"], "--set aggregators: expected an integer 1..4, found \"0\""),
            (["--port-offset", "-1"], "--port-offset: expected an integer 0..50000"),
            (["--set", "redis.sever=x"], "did you mean redis.server?"),
            (["--config", "/nonexistent.yaml"], "cannot read /nonexistent.yaml"),
            (["extra"], "unknown option extra")]:
        status, out, err = h.run("up", *words)
        assert status == 2 and out == "" and message in err, (words, err)
        assert err.count("\n") == 1 and err.startswith("btcast up: "), err


def test_up_says_which_port_is_taken_before_anything_starts():
    offset = h.free_port_offset()
    folder = h.temp_dir()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 8085 + offset))
        taken.listen()
        status, _, err = h.run("up", "--data", folder, "--port-offset", offset)
    assert status == 1
    assert err == (f"btcast up: port {8085 + offset} (inference) is in use; --port-offset N moves "
                   "all ports\n"), err
    assert not os.path.exists(folder + "/run/redis.sock")


def stand_in(folder, body):
    """A program that takes the place of redis-server: a listening socket, then `body`."""
    return write(folder + "/server", f"""#!/usr/bin/python3
import os, signal, socket, sys, time
path = sys.argv[sys.argv.index("--unixsocket") + 1]
{body}
""", 0o755)


def test_up_stops_with_2_when_a_service_finds_its_configuration_wrong():
    folder = h.temp_dir()
    bad = write(folder + "/bad.yaml", "service: inference\nreplica: many\n")
    status, _, err = h.run("up", "--data", folder, "--port-offset", h.free_port_offset(),
                           "--set", "config.inference=" + bad, "--for", "30s")
    assert status == 2, err
    assert "event=not_restarted process=inference" in err, err
    assert not os.path.exists(folder + "/run/redis.sock"), "Redis was left behind"


def test_up_explains_a_program_that_is_not_there():
    folder = h.temp_dir()
    status, _, err = h.run("up", "--data", folder, "--port-offset", h.free_port_offset(),
                           "--set", "redis.server=/nonexistent/redis-server")
    assert status == 1
    assert "cannot start /nonexistent/redis-server: No such file or directory" in err
    assert "/nonexistent/redis-server cannot be started" in err


def test_up_runs_once_for_each_folder():
    folder = h.temp_dir()
    program = stand_in(folder, "time.sleep(60)")
    first = h.start("up", "--data", folder, "--port-offset", h.free_port_offset(), "--set",
                    "redis.server=" + program)
    h.wait_until(lambda: os.path.exists(folder + "/run/up.lock"), "the first holds the lock")
    h.wait_until(lambda: "stop  " in first.log(), "the first runs")
    status, _, err = h.run("up", "--data", folder, "--port-offset", h.free_port_offset())
    assert status == 1 and "another btcast up runs on" in err, err
    assert first.stop() == 0, first.log()


def test_up_restarts_what_fails_kills_what_does_not_stop_and_keeps_the_logs():
    folder = h.temp_dir()
    counter = folder + "/starts"
    program = stand_in(folder, f"""
with open("{counter}", "a") as f:
    f.write("%d\\n" % os.getpid())
count = len(open("{counter}").read().split())
print("start", count, "x" * 20000, flush=True)
if count < 4:
    os.kill(os.getpid(), signal.SIGKILL) if count == 2 else sys.exit(1)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(600)
""")
    up = h.start("up", "--data", folder, "--port-offset", h.free_port_offset(), "--set",
                 "redis.server=" + program, "--set", "restart.backoff_max_ms=50", "--set",
                 "stop_timeout_ms=300")
    starts = lambda: open(counter, encoding="ascii").read().split() if os.path.exists(
        counter) else []
    # Only Redis starts until it answers, so its stand-in is restarted by the phase's clock.
    h.wait_until(lambda: len(starts()) >= 4 or not up.alive(), "four starts", 30)
    h.wait_until(lambda: "start 4" in up.log(), "the fourth start shows")
    assert up.stop() == 1, up.log()
    log = up.log()
    assert "process=redis exit_status=1" in log and "process=redis signal=9" in log, log
    assert "event=killed process=redis" in log, log
    kept = open(folder + "/logs/redis.log", encoding="ascii").read()
    assert "start 1" in kept and "start 4" in kept
    assert max(len(line) for line in kept.splitlines()) <= 8192
    pid = int(starts()[-1])
    assert not os.path.exists(f"/proc/{pid}"), "the stand-in was left behind"


def test_children_die_with_a_killed_up():
    folder = h.temp_dir()
    program = stand_in(folder, f"""
open("{folder}/pid", "w").write(str(os.getpid()))
signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(600)
""")
    up = h.start("up", "--data", folder, "--port-offset", h.free_port_offset(), "--set",
                 "redis.server=" + program)
    pid = h.wait_until(lambda: os.path.exists(folder + "/pid") and
                       open(folder + "/pid", encoding="ascii").read(), "the stand-in runs")
    up.signal(signal.SIGKILL)
    def gone():
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as f:
                return f.read().split()[2] == "Z"
        except FileNotFoundError:
            return True
    h.wait_until(gone, "the stand-in is gone")


def test_up_keeps_its_folders_to_itself():
    folder = h.temp_dir() + "/a/b"
    program = stand_in(os.path.dirname(os.path.dirname(folder)), "time.sleep(60)")
    up = h.start("up", "--data", folder, "--port-offset", h.free_port_offset(), "--postgres",
                 "none", "--set", "redis.server=" + program)
    h.wait_until(lambda: os.path.exists(folder + "/run/up.lock"), "the folders are there")
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(folder + "/run").st_mode) == 0o700
    assert os.readlink(folder + "/run").startswith("/var/tmp/btcast-")
    assert up.stop() == 0


def test_status_reports_what_is_down():
    status, out, err = h.run("status", "--port-offset", h.free_port_offset())
    assert status == 1 and err == ""
    whole = json.loads(out)
    assert whole["status"] == "unhealthy"
    assert whole["services"]["inference"]["status"] == "down"
    assert "connect" in whole["services"]["inference"]["reason"].lower()
    assert "trainer" not in whole["services"]
    assert h.run("status", "--prot-offset", "1")[0] == 2


def on_a_terminal(*words, until="\n\n", timeout_s=20):
    """What `btcast WORDS…` shows on a terminal up to `until`, its exit status after Ctrl-C; with
    None up to its own end."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(h.BTCAST, [h.BTCAST, *map(str, words)])
    shown, end = b"", time.monotonic() + timeout_s
    while (until is None or until.encode() not in shown) and time.monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                shown += os.read(terminal, 65536)
            except OSError:  # it has ended
                break
    try:
        os.write(terminal, b"\x03")
        while os.read(terminal, 65536):
            pass
    except OSError:
        pass
    status = os.waitpid(pid, 0)[1]
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown.decode()


def test_status_is_a_table_on_a_terminal_and_an_object_elsewhere():
    offset = h.free_port_offset()
    status, shown = on_a_terminal("status", "--port-offset", offset, until=None)
    assert status == 1 and "unhealthy" in shown and "\033[31m" in shown, shown
    for service in ("sbe-ingestor", "gap-detector", "rest-ingestor", "data-connector"):
        assert f"  {service}" in shown, shown
    assert "trainer" not in shown
    assert "Nothing answers: `btcast up` starts the system." in shown
    status, shown = on_a_terminal("status", "--json", "--port-offset", offset, until=None)
    assert status == 1 and json.loads(shown)["status"] == "unhealthy"


def test_watch_shows_every_expected_service():
    status, shown = on_a_terminal("watch", "--port-offset", h.free_port_offset(), until="\033[J")
    for service in ("aggregator", "inference", "gap-detector", "rest-ingestor", "data-connector"):
        assert f"  {service}" in shown, shown
    assert "dashboard" not in shown and status == 0, (status, shown)


def test_up_shows_on_a_terminal_what_is_worth_reading():
    offset, data = h.free_port_offset(), h.temp_dir()
    words = ["up", "--data", data, "--port-offset", offset, "--postgres", "none"]
    status, shown = on_a_terminal(*words, until="confidence", timeout_s=60)
    assert status == 0, shown
    assert "btcast status --port-offset" in shown
    assert "level=info" not in shown.split("event=stopping")[0], shown
    with open(os.path.join(data, "logs", "aggregator.log")) as f:
        assert "event=anchored" in f.read()
    status, shown = on_a_terminal(*words, "--verbose", until="event=anchored", timeout_s=60)
    assert status == 0 and "level=info service=aggregator event=anchored" in shown, shown


def test_watch_ends_cleanly_when_told():
    watch = h.start("watch", "--port-offset", h.free_port_offset())
    time.sleep(0.3)
    assert watch.alive(), watch.log()
    assert watch.stop() == 0
    assert h.run("watch", "--sim")[0] == 2


h.run_tests(globals())
