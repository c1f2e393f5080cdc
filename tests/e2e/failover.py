# SPDX-License-Identifier: Apache-2.0
"""A whole system on several Redis servers, and what has to hold when one of them dies: writes go
on, every slot is published once, the book is the exchange's, nothing is lost on the way."""
import os
import time

import harness
import system
from harness import wait_until
from scene import Slots
from test_live_book import Truth, differences

# What the aggregator counts when the order of the world has a hole.
LOSSES = ["aggregator_stream_holes", "aggregator_stream_records_missing",
          "aggregator_trades_missing"]
SERVICES = ["sbe-ingestor", "aggregator", "inference", "inference-2"]


def busy_exchange():
    """A market of four times the usual pace, as configuration words of `btcast up`."""
    path = os.path.join(harness.temp_dir(), "exchange.yaml")
    with open(path, "w") as f:
        f.write("market:\n  rate: 4\n  diff_interval_ms: 20\n")
    return ["--set", f"config.exchange_sim={path}"]


class Scene:
    """btcast up on a group of servers."""

    def __init__(self, group, *words, env=None):
        self.group = group
        self.up = system.Up("--redis", group.target, *busy_exchange(), *words, env=env)
        try:
            self.up.wait_live()
        except AssertionError as error:
            raise AssertionError(f"{error}\nprimary: {self.group.primary()}") from error
        self.slots = Slots(self._connect, self.key("predictions"))
        self.lost_slots = 0

    def key(self, before, after=""):
        symbol = system.SYMBOL if self.group.style == "plain" else "{%s}" % system.SYMBOL
        return f"{before}:{symbol}{after}"

    def client(self, timeout_s=5):
        primary = self.group.primary()
        try:
            return primary.client(timeout_s) if primary is not None else None
        except OSError:
            return None

    def _connect(self):
        client = self.client(1)
        if client is None:
            raise ConnectionError("no primary")
        return client

    def predictions(self, client):
        out = []
        for entry_id, flat in client("XRANGE", self.key("predictions"), "-", "+"):
            out.append((int(entry_id.split("-")[0]), dict(zip(flat[::2], flat[1::2]))))
        return out

    def metric(self, service, name):
        return harness.metric(self.up.port(service), name) or 0

    def book(self):
        """The book's hash now, {} while there is none."""
        try:
            client = self.client(1)
            if client is None:
                return {}
            book = client.hash(self.key("ob"))
            client.close()
            return book
        except (OSError, harness.RedisError):
            return {}

    def seq(self):
        book = self.book()
        return (int(book["epoch"]), int(book["seq"])) if "seq" in book else (0, 0)

    def wait_writes(self, after, what):
        """Until the book on the primary is newer than `after`; the seconds that took."""
        begin = time.monotonic()
        wait_until(lambda: self.seq() > after, what, 30, 0.01)
        return time.monotonic() - begin

    def wait_slots(self, count):
        """`count` more slots on whoever is primary."""
        goal = self.slots.newest() + count
        wait_until(lambda: self.slots.newest() >= goal, f"{count} more slots", 30)

    def check_books(self, wanted=5):
        """So many books at different ids after now are the exchange's."""
        truth = Truth(self.up.port("exchange-sim"))
        last_id = int(self.book().get("last_update_id", "0"))
        for _ in range(wanted):
            def newer():
                book = self.book()
                return book if int(book.get("last_update_id", "0")) > last_id and \
                    book.get("book_live") == "1" else None
            book = wait_until(newer, "a newer live book", 20)
            last_id = int(book["last_update_id"])
            wrong = differences(book, truth.book(last_id))
            assert not wrong, f"at {last_id}: {wrong}"

    def check_nothing_lost(self):
        for name in LOSSES:
            assert self.metric("aggregator", name) == 0, \
                f"{name}: {self.metric('aggregator', name)}\n{self.up.process.log()}"

    def kill_primary(self, lose_tail):
        """kill -9; with lose_tail the replica has received nothing for a slot or two, so the
        newest records, predictions, leases and fences are lost. Answers with the server and the
        seconds until writes were back."""
        primary, replica = self.group.primary(), self.group.replica()
        if lose_tail:
            self.lose_tail(primary, replica)
        before = self.seq()
        primary.kill()
        begin = time.monotonic()
        wait_until(lambda: self.seq() > before, "writes on the new primary", 30, 0.01)
        took = time.monotonic() - begin
        assert self.group.primary() is not primary
        return primary, took

    def lose_tail(self, primary, replica):
        replica.cut_off(primary)
        self.wait_slots(2)
        reader = replica.client()
        if self.group.style == "hashtag": # or it sends its readers to the primary
            reader("READONLY")
        behind = {slot for slot, _ in self.predictions(reader)}
        self.lost_slots = len({slot for slot, _ in self.predictions(primary.client())} - behind)
        assert self.lost_slots >= 1

    def rejoin(self, server):
        primary = self.group.primary()
        # Sentinels would see to it, but take their time.
        server.start(*(["--replicaof", "127.0.0.1", str(primary.port)]
                       if self.group.style == "plain" else []))
        wait_until(lambda: (self.group.primary() or server).online_replicas() == 1,
                   "the killed server is an online replica", 30)

    def finish(self):
        """Every slot once, nothing doubled; the number of slots."""
        self.slots.stop()
        assert not self.slots.conflicts, self.slots.conflicts[0]
        slots = sorted(self.slots.seen)
        published = [slot for slot, _ in self.predictions(self.client())]
        try:
            assert published == list(range(published[0], published[0] + len(published))), published
            assert slots == list(range(slots[0], slots[-1] + 1)), slots
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.up.process.log()}") from error
        self.up.stop()
        return len(slots)


# Failovers that lose the newest writes; `make soak` goes round more often.
ROUNDS = 10 if system.LONG else 1


def run_failovers(group, name, extra=None):
    """One failover under load, some that lose what was written last; then extra(scene)."""
    scene = Scene(group)
    first, plain_s = scene.kill_primary(lose_tail=False)
    scene.wait_slots(2)
    scene.check_nothing_lost()
    scene.check_books()
    dead, lost_s = first, 0.0
    for _ in range(ROUNDS):
        scene.rejoin(dead)
        dead, took_s = scene.kill_primary(lose_tail=True)
        lost_s = max(lost_s, took_s)
        scene.wait_slots(2)
        scene.check_nothing_lost()
        scene.check_books()
    for service in SERVICES:
        moved = scene.metric(service, "redis_link_failovers_total")
        assert moved >= 2, f"{service} moved {moved} times\n{scene.up.process.log()}"
    if extra is not None:
        extra(scene)
    slots = scene.finish()
    print(f"{name}: writes back {plain_s:.2f} s after kill -9 of the primary, {lost_s:.2f} s when "
          f"its replica had fallen behind and {scene.lost_slots} predictions were lost with it; "
          f"{slots} slots, each once; books equal, no record lost")
