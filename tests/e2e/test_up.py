# SPDX-License-Identifier: Apache-2.0
"""`btcast up` with all its real services: predictions in every slot, while each process is
killed in turn; status, watch and the recording beside it."""
import json
import os
import re
import signal
import time

import harness as h

SERVICES = ("exchange-sim", "re-anchor-service", "gap-detector", "rest-ingestor", "aggregator",
            "data-connector", "recorder", "sbe-ingestor", "inference", "inference-2")


def pids_of(parent):
    """Name -> pid of the processes below `up`, from their command lines."""
    found = {}
    for pid, words in h.children(parent).items():
        if len(words) < 2:
            continue  # not the program yet
        if words[1:3] == ["db", "migrate"]:
            continue  # ends by itself
        name = "redis" if "redis-server" in words[0] else words[1]
        name = "postgres" if words[0].endswith("/postgres") or words[1] == "db" else name
        name = "recorder" if name == "record" else name
        found[name + "-2" if "replica=2" in words else name] = pid
    return found


def slots(log):
    """Slots (as seconds of the day) of the prediction lines."""
    times = re.findall(r"^(\d\d):(\d\d):(\d\d)  [\d.]+ -> ", log, re.M)
    return [int(hh) * 3600 + int(mm) * 60 + int(ss) for hh, mm, ss in times]


def check_slots(log):
    """Two seconds apart, none missing, none twice."""
    seen = slots(log)
    for before, after in zip(seen, seen[1:]):
        assert (after - before) % 86400 == 2, (before, after, log)
    return len(seen)


def test_up_predicts_in_every_slot_while_each_service_is_killed():
    offset = h.free_port_offset()
    folder = h.temp_dir()
    up = h.start("up", "--data", folder, "--port-offset", offset, "--record", folder + "/rec.capture")
    h.wait_until(lambda: len(slots(up.log())) >= 2, "two predictions", 30)
    h.wait_until(lambda: re.search(r"redis, live$", up.log(), re.M), "a live one", 20)
    known = pids_of(up.pid)
    assert set(known) == {"redis", "postgres", *SERVICES}, known
    for name in SERVICES:
        before = pids_of(up.pid)[name]
        os.kill(before, signal.SIGKILL)
        h.wait_until(lambda: pids_of(up.pid).get(name, before) != before, f"{name} is back", 10)
        count = len(slots(up.log()))
        h.wait_until(lambda: len(slots(up.log())) > count, f"predictions after {name} died", 10)
    h.wait_until(lambda: json.loads(h.run("status", "--port-offset", offset)[1])["status"] ==
                 "healthy", "all are healthy again", 30, 0.5)
    status, out, _ = h.run("status", "--port-offset", offset)
    whole = json.loads(out)
    assert status == 0 and {"inference", "inference-2", "aggregator"} <= set(whole["services"])
    watch = h.start("watch", "--port-offset", offset)
    h.wait_until(lambda: len(slots(watch.log())) >= 2, "watch shows predictions", 20)
    assert watch.stop() == 0
    check_slots(watch.log())
    pids = pids_of(up.pid).values()
    assert up.stop() == 0, up.log()
    assert check_slots(up.log()) >= 2 + len(SERVICES), up.log()
    assert up.log().count("event=exited") == len(SERVICES), up.log()
    for pid in pids:
        assert not os.path.exists(f"/proc/{pid}"), "a process was left behind"
    assert os.path.getsize(folder + "/rec.capture") > 10000


def test_up_ends_by_itself_with_status_0():
    begin = time.monotonic()
    status, out, err = h.run("up", "--for", "6s", "--data", h.temp_dir(), "--port-offset",
                             h.free_port_offset(), timeout_s=40)
    assert status == 0, err
    assert time.monotonic() - begin >= 6
    assert check_slots(out) >= 1, err


def test_up_without_the_exchange_key_is_a_configuration_error():
    env = {"BINANCE_API_KEY": ""}
    status, _, err = h.run("up", "--exchange", "binance", "--data", h.temp_dir(), "--port-offset",
                           h.free_port_offset(), "--for", "20s", env=env, timeout_s=40)
    assert status == 2, err
    assert "BINANCE_API_KEY" in err and "event=not_restarted process=sbe-ingestor" in err, err


h.run_tests(globals())
