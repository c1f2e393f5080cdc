# SPDX-License-Identifier: Apache-2.0
"""A valve between a process and its Redis: passes everything on, until a command is to be
held in its middle. So a process can be stopped inside a write that Redis has half of."""
import os
import select
import signal
import socket
import threading

import harness


class Valve:
    """A unix socket in front of another one. hold(mark): the next message to the server that
    contains mark is passed on to its middle, then that connection stands still until
    release()."""

    def __init__(self, server_path):
        self.server_path = server_path
        self.path = os.path.join(harness.temp_dir(), "valve.sock")
        self.target = "unix:" + self.path
        self.lock = threading.Lock()
        self.mark, self.held, self.rest = None, None, b""
        self.awaited = None # the server's side whose answer release() waits for
        self.closed = False
        self.peers = {}     # socket -> the one on the other side
        self.clients = set()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(16)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def hold(self, mark):
        with self.lock:
            self.mark = mark

    def is_holding(self):
        with self.lock:
            return self.held is not None

    def release(self):
        """Passes the rest on and waits until the server's answer has been passed back."""
        with self.lock:
            held, rest = self.held, self.rest
            self.held, self.rest = None, b""
            self.awaited = self.peers.get(held)
        if held is not None:
            self._pass(held, rest)
        harness.wait_until(lambda: self.awaited is None, "the server's answer")

    def close(self):
        self.closed = True
        self.thread.join()

    def _accept(self):
        client, _ = self.listener.accept()
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self.server_path)
        except OSError:
            client.close()
            server.close()
            return
        self.peers[client], self.peers[server] = server, client
        self.clients.add(client)

    def _drop(self, source):
        peer = self.peers.pop(source, None)
        for one in (source, peer):
            if one is not None:
                self.peers.pop(one, None)
                self.clients.discard(one)
                one.close()

    def _pass(self, source, data):
        try:
            self.peers[source].sendall(data)
        except (OSError, KeyError):
            self._drop(source)

    def _hold_back(self, source, data):
        """What may go on now."""
        with self.lock:
            if source not in self.clients or self.mark is None or self.mark not in data:
                return data
            self.mark, self.held = None, source
            half = len(data) // 2
            self.rest = data[half:]
            return data[:half]

    def _run(self):
        while not self.closed:
            sources = [s for s in self.peers if s is not self.held]
            ready, _, _ = select.select([self.listener] + sources, [], [], 0.01)
            for source in ready:
                if source is self.listener:
                    self._accept()
                    continue
                if source not in self.peers or source is self.held:
                    continue
                try:
                    data = source.recv(1 << 20)
                except OSError:
                    data = b""
                if not data:
                    self._drop(source)
                    continue
                self._pass(source, self._hold_back(source, data))
                if source is self.awaited:
                    self.awaited = None


def stop_inside_flush(valve, process, key):
    """SIGSTOP with a flush half written: Redis waits for the rest of it."""
    valve.hold(key.encode())
    harness.wait_until(valve.is_holding, "a flush to hold")
    process.signal(signal.SIGSTOP)
    harness.wait_until(lambda: _state(process.pid) == "T", "the process stands still")


def _state(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        return f.read().rsplit(")", 1)[1].split()[0]
