# SPDX-License-Identifier: Apache-2.0
"""A running system as fault tests see it: the exchange's control side, every slot as it is
published, and the book beside the exchange's own."""
import http.client
import json
import threading
import time
from decimal import Decimal

import harness as h

SYMBOL = "BTCUSDT"


class Slots:
    """Every record of the predictions stream as it appears, over restarts of Redis. connect()
    gives a client, or fails."""

    def __init__(self, connect, stream=f"predictions:{SYMBOL}"):
        self.connect, self.stream = connect, stream
        self.seen, self.conflicts = {}, []
        self.stopping, self.forgotten = False, 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        redis, last = None, "-"
        while not self.stopping:
            try:
                if redis is None:
                    redis, last = self.connect(), "-"
                for entry, fields in redis("XRANGE", self.stream, last, "+"):
                    self._take(int(entry.split("-")[0]), dict(zip(fields[::2], fields[1::2])))
                    last = "(" + entry
            except (OSError, h.RedisError, ConnectionError):
                redis, self.forgotten = None, self.forgotten + 1
            time.sleep(0.05)

    def _take(self, slot, record):
        known = self.seen.setdefault(slot, record)
        if known != record and slot not in [conflict[0] for conflict in self.conflicts]:
            differs = {name: (known.get(name), record.get(name)) for name in {**known, **record}
                       if known.get(name) != record.get(name)}
            self.conflicts.append((slot, time.strftime("%H:%M:%S"), differs))

    def newest(self):
        return max(self.seen, default=0)

    def missing(self, first, last):
        return [slot for slot in range(first, last + 1) if slot not in self.seen]

    def wait(self, slot, timeout_s=15):
        h.wait_until(lambda: self.newest() >= slot, f"slot {slot} is published", timeout_s)

    def stop(self):
        self.stopping = True
        self.thread.join()


class Exchange:
    """The control side of exchange-sim, over one connection that is kept."""

    def __init__(self, port, tls=None):
        self.port, self.tls, self.link = port, tls, None

    def ask(self, method, path, order=None):
        for last in (False, True):
            try:
                if self.link is None:
                    self.link = (http.client.HTTPSConnection("localhost", self.port, timeout=5,
                                                             context=self.tls) if self.tls else
                                 http.client.HTTPConnection("localhost", self.port, timeout=5))
                self.link.request(method, path, None if order is None else json.dumps(order))
                reply = self.link.getresponse()
                return reply.status, json.loads(reply.read())
            except (OSError, http.client.HTTPException):
                self.link = None
                if last:
                    raise

    def alive(self):
        try:
            return self.ask("GET", "/live")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def state(self):
        return self.ask("GET", "/control/state")[1]

    def hits(self, name):
        state = self.state()
        if name == "expired":
            return state["counters"]["expired"]
        return state["faults"][name]["hits"]

    def fault(self, name, **members):
        status, reply = self.ask("POST", "/control/faults", dict(members, fault=name))
        assert status == 200, reply

    def book(self, update_id):
        status, reply = self.ask("GET", f"/control/book?id={update_id}")
        return reply if status == 200 else None


class Scene:
    """Ports, the hot state, the exchange, the slots of a running system. connect() gives a
    client of its Redis, or fails; hashtag: its keys are those of a cluster."""

    def __init__(self, offset, connect, exchange, hashtag=False):
        self.offset, self.connect, self.exchange = offset, connect, exchange
        self.symbol = f"{{{SYMBOL}}}" if hashtag else SYMBOL
        self.slots = Slots(connect, f"predictions:{self.symbol}")

    def metric(self, service, name):
        return h.metric(h.PORTS[service] + self.offset, name) or 0

    def hot_state(self):
        """Book and features of one moment, None while Redis or they are away."""
        try:
            redis = self.connect()
            redis("MULTI")
            redis("HGETALL", f"ob:{self.symbol}")
            redis("HGETALL", f"feat:{self.symbol}")
            flat = redis("EXEC")
            redis.close()
        except (OSError, h.RedisError, ConnectionError):
            return None
        book, features = (dict(zip(f[::2], f[1::2])) for f in flat)
        return (book, features) if "last_update_id" in book else None

    def compare(self, after_id):
        """None until the book is live and newer than after_id, else whether all 40 level fields
        are the exchange's."""
        state = self.hot_state()
        if not state or state[1].get("book_live") != "1":
            return None
        book = state[0]
        update_id = int(book["last_update_id"])
        true = self.exchange.book(update_id) if update_id > after_id else None
        if true is None:
            return None
        fields = 0
        for side, levels in (("bid", true["bids"]), ("ask", true["asks"])):
            for i, (price, qty) in enumerate(levels, 1):
                for part, value in (("p", price), ("q", qty)):
                    fields += 1
                    name = f"{side}{i}_{part}"
                    if Decimal(book[name]) != Decimal(str(value)):
                        return f"{name} at {update_id}: {book[name]}, exchange {value}"
        return "equal" if fields == 40 else f"{fields} fields"

    def check_book(self, timeout_s):
        """Three comparisons at three ids that came after now."""
        after_id = self.exchange.state()["book_id"]
        for _ in range(3):
            try:
                verdict = h.wait_until(lambda: self.compare(after_id), "the book is back",
                                       timeout_s)
            except AssertionError:
                return "not back"
            if verdict != "equal":
                return verdict
            after_id = int(self.hot_state()[0]["last_update_id"])
        return "equal"
