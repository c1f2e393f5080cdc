# SPDX-License-Identifier: Apache-2.0
"""Several Redis servers that fail over: a primary with a replica and three sentinels, or a
cluster of three primaries with three replicas. Started by the test on loopback ports, gone when it
ends. Settings are those of docs/redis.md."""
import os
import random
import re
import signal
import socket
import subprocess

import harness
from harness import wait_until

MASTER = "btcast"
# Off the range from which the system takes ports for outgoing connections: a server that is
# started again has to find its port free.
PORTS = (10200, 12000)
# The exchange's slot tag is hashed to this slot (redis_slot_of, `CLUSTER KEYSLOT {BTCUSDT}`).
SLOT = 8473


def ports(count, bus=False):
    """Free loopback ports; with bus also those 10,000 above (the cluster's own)."""
    found = []
    while len(found) < count:
        port = random.randrange(*PORTS)
        wanted = [port] + ([port + 10000] if bus else [])
        sockets = []
        try:
            for number in wanted:
                s = socket.socket()
                sockets.append(s)
                s.bind(("127.0.0.1", number))
            if port not in found:
                found.append(port)
        except OSError:
            pass
        finally:
            for s in sockets:
                s.close()
    return found


class Server:
    """One redis-server on a loopback port."""

    def __init__(self, port, *words):
        self.port = port
        self.folder = harness.temp_dir()
        self.words = words
        self.process = None
        self.start()

    def start(self, *more):
        self.process = harness.Process(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder,
             "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0",
             # Else one that starts again has the data of its last full sync, however old.
             "--rdb-del-sync-files", "yes",
             "--maxmemory-policy", "noeviction", *self.words, *more], name=f"redis-{self.port}")
        wait_until(self.answers, "redis-server answers")

    def client(self, timeout_s=5):
        return harness.Redis(f"127.0.0.1:{self.port}", timeout_s)

    def ask(self, *words):
        """One command on a connection of its own; None when there is no answer."""
        try:
            client = self.client(1)
        except OSError:
            return None
        try:
            return client(*words)
        except (OSError, harness.RedisError):
            return None
        finally:
            client.close()

    def answers(self):
        return self.ask("PING") is not None

    def role(self):
        reply = self.ask("ROLE")
        return reply[0] if reply else None

    def online_replicas(self):
        text = self.ask("INFO", "replication") or ""
        return text.count("state=online")

    def kill(self):
        self.process.kill()

    def pause(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def cut_off(self, primary):
        """Receives nothing from its primary any more, until attach. (A stopped process would not
        do: what it was sent waits in its socket.)"""
        self.ask("CONFIG", "SET", "masteruser", "nobody", "masterauth", "wrong")
        primary.ask("CLIENT", "KILL", "TYPE", "replica")
        wait_until(lambda: "master_link_status:down" in (self.ask("INFO", "replication") or ""),
                   "the replica is cut off")

    def attach(self):
        self.ask("CONFIG", "SET", "masteruser", "", "masterauth", "")


def replica_of(servers, primary):
    """The server that replicates from primary, as primary sees it."""
    text = primary.ask("INFO", "replication")
    port = int(re.search(r"^slave0:ip=[^,]*,port=(\d+),state=online", text, re.M).group(1))
    return next(s for s in servers if s.port == port)


class Single:
    """One server, over TLS and with an ACL user: the words of `btcast up` and its environment."""

    style = "plain"
    env = {"BTCAST_REDIS_PASSWORD": "secret"}

    def __init__(self):
        folder = harness.temp_dir()
        cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert,
                        "-days", "2", "-subj", "/CN=redis", "-addext",
                        "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        plain, tls = ports(2)
        self.server = Server(plain, "--tls-port", str(tls), "--tls-cert-file", cert,
                             "--tls-key-file", key, "--tls-ca-cert-file", cert,
                             "--tls-auth-clients", "no",
                             "--user", "btcast", "on", ">secret", "~*", "&*", "+@all")
        self.target = f"rediss://127.0.0.1:{tls}"
        self.words = ["--set", "redis.username=btcast", "--set", f"redis.tls_ca_file={cert}"]

    def primary(self):
        return self.server


class Sentinels:
    """A primary, a replica and three sentinels."""

    style = "plain"

    def __init__(self, *words):
        first, second, *watch = ports(5)
        self.servers = [Server(first, *words),
                        Server(second, "--replicaof", "127.0.0.1", str(first), *words)]
        wait_until(lambda: self.servers[0].online_replicas() == 1, "the replica is online")
        self.sentinels = [self._sentinel(port, first) for port in watch]
        self.target = "sentinel:" + ",".join(f"127.0.0.1:{p}" for p in watch) + "/" + MASTER
        wait_until(self._agree, "the sentinels know each other and the replica")

    @staticmethod
    def _sentinel(port, primary):
        folder = harness.temp_dir()
        path = os.path.join(folder, "sentinel.conf")
        with open(path, "w") as f:
            f.write(f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
                    f"sentinel monitor {MASTER} 127.0.0.1 {primary} 2\n"
                    f"sentinel down-after-milliseconds {MASTER} 500\n"
                    # Twice this lies at least between two failovers.
                    f"sentinel failover-timeout {MASTER} 1000\n"
                    f"sentinel parallel-syncs {MASTER} 1\n")
        process = harness.Process(["redis-server", path, "--sentinel"], name=f"sentinel-{port}")
        process.port = port
        return process

    def _agree(self):
        for sentinel in self.sentinels:
            try:
                client = harness.Redis(f"127.0.0.1:{sentinel.port}", 1)
                flat = client("SENTINEL", "MASTER", MASTER)
                client.close()
            except (OSError, harness.RedisError):
                return False
            known = dict(zip(flat[::2], flat[1::2]))
            if known["num-slaves"] != "1" or known["num-other-sentinels"] != "2":
                return False
        return True

    def known(self, primary):
        """Do all sentinels name this one?"""
        for sentinel in self.sentinels:
            try:
                client = harness.Redis(f"127.0.0.1:{sentinel.port}", 1)
                address = client("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
                client.close()
            except (OSError, harness.RedisError):
                return False
            if int(address[1]) != primary.port:
                return False
        return True

    def ready(self):
        """Would the sentinels promote the replica, were the primary to die now?"""
        for sentinel in self.sentinels:
            try:
                client = harness.Redis(f"127.0.0.1:{sentinel.port}", 1)
                replicas = client("SENTINEL", "REPLICAS", MASTER)
                client.close()
            except (OSError, harness.RedisError):
                return False
            known = [dict(zip(flat[::2], flat[1::2])) for flat in replicas]
            if not any(r["flags"] == "slave" and r["master-link-status"] == "ok" for r in known):
                return False
        return True

    def primary(self):
        """The server that takes writes, None if there is none now."""
        for server in self.servers:
            if server.process.alive() and server.role() == "master":
                return server
        return None

    def replica(self):
        return replica_of(self.servers, self.primary())


class Cluster:
    """Three primaries with a replica each; SLOT is served by one of them."""

    style = "hashtag"

    def __init__(self, *words):
        numbers = ports(6, bus=True)
        self.servers = [Server(port, "--cluster-enabled", "yes", "--cluster-node-timeout", "500",
                               "--cluster-require-full-coverage", "no",
                               "--cluster-replica-validity-factor", "0", *words)
                        for port in numbers]
        done = subprocess.run(["redis-cli", "--cluster", "create",
                               *[f"127.0.0.1:{p}" for p in numbers], "--cluster-replicas", "1",
                               "--cluster-yes"], capture_output=True, text=True, timeout=60,
                              check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        wait_until(self._whole, "all primaries have an online replica", 30)
        self.target = "cluster:" + ",".join(f"127.0.0.1:{p}" for p in numbers)

    def known(self, primary):
        """It owns the slot, which it does not say without the others' votes."""
        return primary is self.primary()

    def ready(self):
        """Would a replica take over, were its primary to die now?"""
        return self._whole()

    def _whole(self):
        state = [s.ask("CLUSTER", "INFO") or "" for s in self.servers]
        if not all("cluster_state:ok" in text for text in state):
            return False
        primaries = [s for s in self.servers if s.role() == "master"]
        return len(primaries) == 3 and all(s.online_replicas() == 1 for s in primaries)

    def primary(self):
        """The owner of SLOT, as itself says; None if there is none now."""
        for server in self.servers:
            if not server.process.alive() or server.role() != "master":
                continue
            me = server.ask("CLUSTER", "MYID")
            for first, last, owner, *_ in server.ask("CLUSTER", "SLOTS") or []:
                if first <= SLOT <= last and owner[2] == me:
                    return server
        return None

    def replica(self):
        return replica_of(self.servers, self.primary())

    def move_slot(self):
        """SLOT to another primary, its keys a few at a time as an operator's tools do it; the new
        owner."""
        source = self.primary()
        alive = [s for s in self.servers if s.process.alive()]
        target = next(s for s in alive if s is not source and s.role() == "master")
        ids = {s: s.ask("CLUSTER", "MYID") for s in (source, target)}
        target.client()("CLUSTER", "SETSLOT", SLOT, "IMPORTING", ids[source])
        client = source.client()
        client("CLUSTER", "SETSLOT", SLOT, "MIGRATING", ids[target])
        while keys := client("CLUSTER", "GETKEYSINSLOT", SLOT, 3):
            client("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        for server in [target, source] + [s for s in alive if s.role() == "master"]:
            server.client()("CLUSTER", "SETSLOT", SLOT, "NODE", ids[target])
        wait_until(lambda: self.primary() is target, "the slot has moved")
        return target
