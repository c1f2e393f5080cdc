# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: btcast processes, free ports, a private Redis with a tiny
client, HTTP, temporary folders. Whatever a test starts is gone when it ends, however."""
import atexit
import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BTCAST = os.environ.get("BTCAST") or os.path.join(ROOT, "build", "btcast")
DATA = os.path.join(ROOT, "..", "shared", "data")

PORTS = {"rest-ingestor": 8080, "sbe-ingestor": 8081, "aggregator": 8082, "data-connector": 8083,
         "re-anchor-service": 8084, "inference": 8085, "trainer": 8086, "gap-detector": 8087,
         "dashboard": 8088, "exchange-sim": 8089, "inference-2": 8095}

_running = []
_folders = []


def _remove(path):
    """A file, or a folder with what `btcast up` keeps for it in /var/tmp."""
    if os.path.isfile(path):
        os.unlink(path)
        return
    for at, names, _ in os.walk(path):
        for link in (os.path.join(at, name) for name in names if name == "run"):
            if os.path.islink(link):
                shutil.rmtree(os.path.realpath(link), ignore_errors=True)
    shutil.rmtree(path, ignore_errors=True)


def _clean_up():
    for process in reversed(_running):
        process.kill()
    for folder in _folders:
        _remove(folder)


def _on_signal(number, _frame):
    raise SystemExit(128 + number)


atexit.register(_clean_up)
signal.signal(signal.SIGTERM, _on_signal)
signal.signal(signal.SIGHUP, _on_signal) # the terminal is gone


def temp_dir():
    """A folder under /tmp (socket paths are short there), removed at exit."""
    folder = tempfile.mkdtemp(prefix="btcast-e2e-", dir="/tmp")
    _folders.append(folder)
    return folder


# Blocks of ports below the range that the kernel takes clients' ports from (32768 and up), so
# that no connection of anybody can sit on one, and above those of redis_group. A byte of one file
# is locked for each block in use.
PORT_BLOCK = 16
PORT_BLOCKS = range(14000, 24000, PORT_BLOCK)
PORT_LOCKS = f"/tmp/btcast-ports-{os.getuid()}"
# Opened once: closing any descriptor of the file would give back every lock of this process.
_port_locks = open(PORT_LOCKS, "a")  # pylint: disable=consider-using-with
_blocks = set()


def free_port_offset():
    """An N for --port-offset: the base of a block that no other test holds and whose ports are
    all free now. It is this process's to its end."""
    first = os.getpid() * 37 % len(PORT_BLOCKS)
    for base in [*PORT_BLOCKS[first:], *PORT_BLOCKS[:first]]:
        if base not in _blocks and _lock_block(base):
            return base
    raise AssertionError("no free ports")


def _lock_block(base):
    try:
        fcntl.lockf(_port_locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, base)
    except OSError:
        return False
    _blocks.add(base)
    return all(_port_is_free(port + base) for port in PORTS.values())


def _port_is_free(port):
    with socket.socket() as s:
        # As servers bind: what only waits for late packets is no obstacle.
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port():
    return free_port_offset() + min(PORTS.values())


class Process:
    """One program in a process group of its own, its output in a file."""

    def __init__(self, argv, env=None, name=None):
        self.name = name or os.path.basename(argv[0])
        handle, self.log_path = tempfile.mkstemp(prefix="btcast-e2e-log-")
        _folders.append(self.log_path)
        full = dict(os.environ)
        full.update(env or {})
        self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=handle,
                                      stderr=handle, env=full, start_new_session=True)
        os.close(handle)
        _running.append(self)

    @property
    def pid(self):
        return self.popen.pid

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def alive(self):
        return self.popen.poll() is None

    def signal(self, number):
        if self.alive():
            os.kill(self.pid, number)

    def wait(self, timeout_s=30):
        return self.popen.wait(timeout_s)

    def stop(self, timeout_s=15):
        """SIGTERM; the exit status. Fails when it does not end."""
        self.signal(signal.SIGTERM)
        try:
            return self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not stop within {timeout_s} s\n{self.log()}")

    def kill(self):
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait()
        try:
            os.unlink(self.log_path)
        except FileNotFoundError:
            pass


def start(*words, env=None):
    """`btcast WORDS…` in the background."""
    return Process([BTCAST, *map(str, words)], env=env, name=str(words[0]))


def run(*words, env=None, timeout_s=60, stdin=None):
    """`btcast WORDS…` to its end: status, stdout, stderr."""
    full = dict(os.environ)
    full.update(env or {})
    done = subprocess.run([BTCAST, *map(str, words)], input=stdin, capture_output=True, text=True,
                          env=full, timeout=timeout_s, check=False)
    return done.returncode, done.stdout, done.stderr


def children(parent, *words):
    """{pid: command line} of the processes below `parent` whose command line has all the words, the
    first one without its folder (redis-server gives itself a title), and none of those with a
    minus."""
    wanted = {word for word in words if word[0] != "-"}
    others = {word[1:] for word in words if word[0] == "-"}
    found = {}
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as f:
                if int(f.read().rsplit(")", 1)[1].split()[1]) != parent:
                    continue
            with open(f"/proc/{name}/cmdline", encoding="utf-8", errors="replace") as f:
                line = f.read().split("\0")
        except (OSError, IndexError):
            continue # none, or it ended meanwhile
        has = {os.path.basename(line[0].split(" ")[0]), *line[1:]}
        if wanted <= has and not others & has:
            found[int(name)] = line
    return found


def wait_until(condition, what, timeout_s=20, every_s=0.02):
    """The first true value of condition(); an assertion that names `what` otherwise."""
    end = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(every_s)


def http_ask(port, path, method="GET", body=None, headers=None, timeout_s=5):
    """(status, text); (0, "") when nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        reply = connection.getresponse()
        return reply.status, reply.read().decode(errors="replace")
    except OSError:
        return 0, ""
    finally:
        connection.close()


def get_json(port, path):
    """The parsed reply of a 2xx or 503 answer, else None."""
    status, text = http_ask(port, path)
    return json.loads(text) if status in (200, 503) and text else None


def post_json(port, path, value, headers=None):
    full = {"Content-Type": "application/json"}
    full.update(headers or {})
    return http_ask(port, path, "POST", json.dumps(value), full)


def metric(port, name):
    """The sum of a metric's samples on /metrics, None when there is none. name may carry
    labels: 'x_total{status="ok"}'."""
    _, text = http_ask(port, "/metrics")
    found = None
    for line in text.splitlines():
        if line.startswith(name) and (line[len(name):][:1] in (" ", "{")):
            found = (found or 0.0) + float(line.rsplit(" ", 1)[1])
    return found


class RedisError(Exception):
    pass


class Redis:
    """The smallest RESP client on a socket's path or host:port: r("SET", "a", 1). Strings come
    back as str, undecodable bytes as bytes."""

    def __init__(self, path, timeout_s=5):
        if "/" in path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout_s)
            self.socket.connect(path)
        else:
            host, port = path.rsplit(":", 1)
            self.socket = socket.create_connection((host, int(port)), timeout_s)
        self.reader = self.socket.makefile("rb")

    def __call__(self, *words):
        out = [b"*%d\r\n" % len(words)]
        for word in words:
            data = word if isinstance(word, bytes) else str(word).encode()
            out.append(b"$%d\r\n%s\r\n" % (len(data), data))
        self.socket.sendall(b"".join(out))
        return self._read()

    def _read(self):
        line = self.reader.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self._text(int(rest))
        if kind == b"*":
            if rest == b"-1":
                return None
            # Read every element, also behind an error, to stay in step.
            values = []
            for _ in range(int(rest)):
                try:
                    values.append(self._read())
                except RedisError as error:
                    values.append(error)
            return values
        raise ConnectionError(f"not RESP: {line!r}")

    def _text(self, size):
        data = self.reader.read(size + 2)[:-2]
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data

    def hash(self, key):
        flat = self("HGETALL", key)
        return dict(zip(flat[::2], flat[1::2]))

    def close(self):
        self.reader.close()
        self.socket.close()


class RedisServer:
    """A private redis-server on a unix socket in a temporary folder."""

    def __init__(self, *words):
        self.folder = temp_dir()
        self.path = os.path.join(self.folder, "redis.sock")
        self.target = "unix:" + self.path
        self.words = words
        self.start()

    def start(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.process = Process(["redis-server", "--port", "0", "--unixsocket", self.path,
                                "--dir", self.folder, "--save", "", "--appendonly", "no",
                                *self.words], name="redis-server")
        wait_until(self._answers, "redis-server answers")

    def _answers(self):
        try:
            client = Redis(self.path)
            client("PING")
            client.close()
            return True
        except (OSError, RedisError):
            return False

    def client(self):
        return Redis(self.path)

    def kill(self):
        self.process.kill()

    def stop(self):
        self.process.stop()


def skip(reason):
    """Ends the test loudly as skipped (77 is no failure and no success)."""
    print(f"SKIPPED: {reason}")
    raise SystemExit(77)


def run_tests(namespace):
    """Runs every test_* function of a module in the order they stand; exit status 1 when one
    fails."""
    import traceback
    failed = []
    tests = [(n, f) for n, f in namespace.items() if n.startswith("test_") and callable(f)]
    for name, test in tests:
        begin = time.monotonic()
        try:
            test()
            print(f"ok      {name} ({time.monotonic() - begin:.1f} s)", flush=True)
        except Exception as error:  # pylint: disable=broad-except
            traceback.print_exc()
            # Once more behind the logs that a message may carry: a cut output keeps its end.
            reason = (str(error).splitlines() or [""])[0][:300]
            print(f"FAILED  {name}: {type(error).__name__}: {reason}", flush=True)
            failed.append(name)
    print(f"{len(tests) - len(failed)} of {len(tests)} passed")
    raise SystemExit(1 if failed or not tests else 0)
