# SPDX-License-Identifier: Apache-2.0
"""Faults from a seeded schedule against a whole running system (`btcast up`, a real redis-server,
the simulated exchange): processes killed and stopped, also at each step of a re-anchor, sockets
cut, frames spoiled and withheld, REST errors, Redis killed and stopped. Two aggregators run. Every
fault has to prove that it hit; after each the book has to be the exchange's again; at the end no
slot may be missing or double, and bronze has every trade id from its first to its last.
BTCAST_KEEP names a folder for the system's data when something was wrong.

Never both replicas in one slot: one that was killed or stopped is waited for until it publishes or
serves again before the other one may be taken."""
import collections
import os
import random
import shutil
import signal
import time

import harness as h
from chaos_system import RECOVERY_S, SERVICES, GroupRedis, PrivateRedis, System, state_of

STEP_S, STEP_TRIES = 2, 4
BACKFILL_S = 90
AT_STEPS = ["aggregator", "aggregator-2", "re-anchor-service"]
Fault = collections.namedtuple("Fault", "kind detail hits book seconds")


class Progress:
    """How far a re-anchor has come, as Redis shows it."""

    STEPS = ("asked", "claimed", "fetching", "handed over", "staged", "swapped", "verified")

    def __init__(self, redis, symbol):
        def exists(key):
            return lambda: redis("EXISTS", f"{key}:{symbol}")

        def token():
            return redis("HGET", f"gap:{symbol}", "anchor_token")

        def controls():
            return redis("XLEN", f"market-control:{symbol}")
        before = token(), controls()
        # It fetches between the claim and the document (slow replies make that long); the swap
        # leaves its token, the control record follows the validation.
        self.looks = {"asked": exists("reanchor:ask"), "claimed": exists("reanchor"),
                      "fetching": exists("reanchor"), "handed over": exists("reanchor:doc"),
                      "staged": exists("ob:new"), "swapped": lambda: token() != before[0],
                      "verified": lambda: controls() != before[1]}

    def reach(self, step, seconds):
        """Looks without a pause, since some last less than a millisecond; was it seen?"""
        look, end = self.looks[step], time.monotonic() + seconds
        while time.monotonic() < end:
            if look():
                return True
        return False


class Chaos:
    """The schedule: each call of fault() draws one fault and lives through it."""

    def __init__(self, system, seed):
        self.system, self.random = system, random.Random(seed)
        self.faults, self.wrong, self.steps = [], [], collections.Counter()
        self.begin = 0
        self.failovers = [] # slots in which a server that was stopped may not know it is deposed
        self.services = [name for name, words in SERVICES.items() if system.pid(words)]
        self.kinds = [(self.frames, 6), (self.connection, 4), (self.rest, 4), (self.kill, 5),
                      (self.pause, 4), (self.kill_at_step, 6), (self.pause_at_step, 3),
                      (self.redis, 2), (self.pause_redis, 2)]

    # --- what can happen -----------------------------------------------------------------

    def _order(self, kind, name, **members):
        """An order to the exchange; its counter proves that all of it has hit. The exchange keeps
        one order of a kind, so the next one of the kind waits until then."""
        exchange = self.system.exchange
        before, wanted = exchange.hits(name), members.get("count", 1)
        exchange.fault(name, **members)
        return kind, f"{name} {members}", lambda: exchange.hits(name) - before, wanted

    def _wait_hit(self, kind, detail, hits, wanted=1):
        try:
            h.wait_until(lambda: hits() >= wanted, f"{kind} {detail} hits", 25)
        except AssertionError:
            self.system.exchange.fault("clear") # judged below: fewer hits
        self._judge(kind, detail, hits(), wanted=wanted)

    def _lose(self, stream):
        self.system.exchange.fault("drop", stream=stream, count=1)

    def frames(self):
        name = self.random.choice(["drop", "drop", "duplicate", "reorder", "truncate",
                                   "unknown_template", "wrong_schema", "longer_block",
                                   "foreign_symbol", "absurd_count", "null_sentinel"])
        stream, most = self.random.choice([("depth", 20), ("depth", 20), ("trade", 20),
                                           ("trade", 20), ("bestBidAsk", 20), ("depth20", 2)])
        count = min(most, self.random.choice([1, 1, 2, 20]))
        self._wait_hit(*self._order("frames", name, stream=stream, count=count))

    def connection(self):
        name, members = self.random.choice([
            ("cut", {}), ("stall", {"ms": 3000}), ("half_open", {"ms": 3000}),
            ("server_shutdown", {"ms": 1500})])
        if self.random.random() < 0.3: # nobody answers for a while afterwards
            self.system.exchange.fault("refuse", ms=self.random.randrange(200, 2000))
            name, members = "cut", {}
        self._wait_hit(*self._order("connection", name, **members))

    def rest(self):
        """REST fails while a re-anchor, a verdict and a backfill need it."""
        name, members = self.random.choice([
            ("http_status", {"status": 429, "retry_after": 1}),
            ("http_status", {"status": 418, "retry_after": 1}),
            ("http_status", {"status": 503}), ("http_status", {"status": 500}),
            ("http_slow", {"ms": 1500}), ("http_partial", {}), ("stale_snapshot", {"ids": 20000})])
        order = self._order("rest", name, count=self.random.choice([1, 2, 4]), **members)
        lost = self.random.choice([("depth",), ("trade",), ("depth", "trade")])
        for stream in lost:
            self._lose(stream)
            time.sleep(0.3) # drops are one kind
        self._wait_hit(*order)

    def _victim(self):
        return self.random.choice(self.services)

    def _kill(self, name, kind, detail):
        before = self.system.killed(name)
        pid = self.system.pid(SERVICES[name])
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        self._wait_hit(kind, detail, lambda: self.system.killed(name) - before)
        self._wait_back(name, pid)

    def _wait_back(self, name, pid):
        """Restarted; an inference replica also predicts again, so that the other may go."""
        def back():
            return self.system.pid(SERVICES[name]) not in (None, pid)
        try:
            h.wait_until(back, f"{name} is back", RECOVERY_S)
            if name.startswith("inference"):
                port = h.PORTS[name] + self.system.offset
                h.wait_until(lambda: h.http_ask(port, "/ready")[0] == 200,
                             f"{name} predicts again", RECOVERY_S)
        except AssertionError as error:
            self.wrong.append(str(error))

    def kill(self):
        time.sleep(self.random.random() * 2) # anywhere in a slot
        name = self._victim()
        self._kill(name, "kill -9", name)

    def _pause(self, name, kind, detail):
        pid, seconds = self.system.pid(SERVICES[name]), self.random.uniform(0.2, 6)
        if pid is None:
            self._judge(kind, detail, 0)
            return
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        stopped = state_of(pid) == "T"
        os.kill(pid, signal.SIGCONT)
        if name.startswith("inference"):
            self.system.slots.wait(self.system.slots.newest() + 2, RECOVERY_S)
        self._judge(kind, f"{detail} {seconds:.1f} s", stopped)

    def pause(self):
        name = self._victim()
        self._pause(name, "stop/cont", name)

    def _reach(self, step):
        """A re-anchor is on its way; has it been seen at this step just now?"""
        seen = False
        for _ in range(STEP_TRIES):
            redis = h.wait_until(self._client, "Redis answers", RECOVERY_S)
            progress = Progress(redis, self.system.symbol)
            slow_ms = 500 if step == "fetching" else self.random.choice([0, 0, 100, 300])
            if slow_ms:
                self.system.exchange.fault("http_slow", ms=slow_ms, count=3)
            self._lose("depth")
            seen = progress.reach(step, STEP_S)
            redis.close()
            if seen:
                break
        if step == "fetching":
            time.sleep(self.random.random() * 0.3)
        return seen

    def _client(self):
        try:
            return self.system.connect()
        except (OSError, h.RedisError, ConnectionError):
            return None

    def _at_step(self, strike, kind):
        step = self.random.choice(Progress.STEPS)
        name = self.random.choice([name for name in AT_STEPS if name in self.services])
        seen = self._reach(step)
        self.steps[kind.split()[0], name, step] += seen
        strike(name, kind, f"{name}, {step}" + ("" if seen else " (not seen)"))

    def kill_at_step(self):
        self._at_step(self._kill, "kill at a step")

    def pause_at_step(self):
        self._at_step(self._pause, "stop at a step")

    def redis(self):
        name, pid = self.random.choice(self.system.backend.victims(self.system))
        before = state_of(pid)
        os.kill(pid, signal.SIGKILL)
        h.wait_until(lambda: state_of(pid) in ("", "Z"), "the server is dead")
        time.sleep(self.random.random())
        self.system.backend.mend()
        self._judge("redis", f"kill -9 {name}", before not in ("", "Z"))

    def pause_redis(self):
        """A server that does not answer; longer than a failover takes, it wakes up deposed."""
        name, pid = self.random.choice(self.system.backend.victims(self.system))
        seconds, first = self.random.uniform(0.2, 6), int(time.time() // 2)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        stopped = state_of(pid) == "T"
        os.kill(pid, signal.SIGCONT)
        self.system.backend.settle()
        if isinstance(self.system.backend, GroupRedis):
            self.failovers += range(first, int(time.time() // 2) + 1)
        self._judge("redis", f"stop/cont {name} {seconds:.1f} s", stopped)

    # --- judging -------------------------------------------------------------------------

    def _judge(self, kind, detail, hits, wanted=1):
        try:
            book = self.system.check_book(RECOVERY_S)
        except (OSError, h.RedisError, ConnectionError) as error:
            book = f"unreadable: {error}"
        fault = Fault(kind, detail, int(hits), book, time.monotonic() - self.begin)
        self.faults.append(fault)
        print(f"{time.strftime('%H:%M:%S')} {len(self.faults):4} {kind:15} {detail:62.62} hits "
              f"{fault.hits:3}  book {book} after {fault.seconds:4.1f} s", flush=True)
        if fault.hits < wanted:
            self.wrong.append(f"fault {len(self.faults)} {kind} {detail}: {fault.hits} hits")
        if book != "equal":
            self.wrong.append(f"fault {len(self.faults)} {kind} {detail}: book {book}")

    def fault(self):
        """One fault, lived through."""
        kinds, weights = zip(*self.kinds)
        self.begin = time.monotonic()
        self.random.choices(kinds, weights)[0]()
        time.sleep(self.random.random() * 1.5)

    def finish(self):
        """Until predictions are live again and what was lost is fetched."""
        self.system.exchange.fault("clear")
        slots = self.system.slots
        try:
            h.wait_until(lambda: slots.seen[slots.newest()]["mode"] == "live",
                         "a live prediction at the end", RECOVERY_S)
            self._wait_backfill()
        except AssertionError as error:
            self.wrong.append(str(error))
        missing = slots.missing(min(slots.seen), max(slots.seen))
        if missing:
            self.wrong.append(f"slots missing: {missing}")
        # What a deposed server acknowledged is gone with it; the other replica's stands instead.
        double = [c for c in slots.conflicts if c[0] not in self.failovers]
        if double:
            self.wrong.append(f"slots published twice: {double[:3]}")
        self._check_stream()
        kinds = collections.Counter(fault.kind for fault in self.faults)
        slowest = max(self.faults, key=lambda fault: fault.seconds)
        print(f"{len(self.faults)} faults {dict(kinds)}; "
              f"{len(slots.seen)} slots, {len(missing)} missing, {len(double)} double, "
              f"{len(slots.conflicts) - len(double)} replaced in a failover; "
              f"slowest {slowest.kind} {slowest.detail}: {slowest.seconds:.1f} s")

        self._print_steps()

    def _print_steps(self):
        """What was struck at which step of a re-anchor, how often."""
        print("".ljust(24) + "".join(step.rjust(12) for step in Progress.STEPS))
        for what, name in sorted({key[:2] for key in self.steps}):
            print(f"{what} {name}".ljust(24) +
                  "".join(str(self.steps[what, name, step]).rjust(12) for step in Progress.STEPS))

    def _check_stream(self):
        """As the surviving stream has it: one record a slot without a hole, all of them seen."""
        redis = h.wait_until(self._client, "Redis answers", RECOVERY_S)
        entries = redis("XRANGE", f"predictions:{self.system.symbol}", "-", "+")
        redis.close()
        there = [int(entry.split("-")[0]) for entry, _ in entries]
        if there != list(range(there[0], there[0] + len(there))):
            self.wrong.append(f"the stream's slots: {there}")

    def _wait_backfill(self):
        """Nothing to do at ten looks in a row: losses take a moment to be told."""
        looks = []

        def idle():
            state = self.system.backfill()
            looks.append(bool(state) and state["status"] == "healthy" and not state["busy"] and
                         not state["waiting"])
            return len(looks) >= 10 and all(looks[-10:])
        h.wait_until(idle, "the backfill is done", BACKFILL_S, every_s=0.3)

    def check_bronze(self):
        """After stop: no trade id is missing between the first and the last."""
        bronze = self.system.bronze()
        print(f"bronze: {bronze['trade_ids']} trade ids, {bronze['trade_ids_backfilled']} of them "
              f"from a backfill, {bronze['trade_ids_missing']} missing, {bronze['damaged']} "
              "damaged objects", flush=True)
        if bronze["trade_ids_missing"] or bronze["trade_ids"] == 0 or bronze["damaged"]:
            self.wrong.append(f"bronze: {bronze}")


def run(seed, seconds, backend_of=PrivateRedis):
    """Chaos for so long; what was wrong, as a list of sentences."""
    system = System(backend_of)
    print(f"chaos on {system.backend.name}, seed {seed}, {seconds} s", flush=True)
    chaos = Chaos(system, seed)
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            chaos.fault()
        chaos.finish()
    finally:
        system.stop()
    chaos.check_bronze()
    if chaos.wrong and os.environ.get("BTCAST_KEEP"):
        shutil.copytree(system.data, os.environ["BTCAST_KEEP"], dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("*.sock", "run"))
    return chaos.wrong
