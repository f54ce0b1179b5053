#!/usr/bin/env python3
"""Compares jd-manager with supervisord, pm2 and circus, side by side in one run.

    process_managers.py --jd-manager PROGRAM [--supervisord PROGRAM] [--circusd PROGRAM] [--pm2 PROGRAM]

A manager without a program is not measured. Measured are: memory of the manager with ten quiet children, with what
it runs for each child (keepers); its CPU time with fifty; what runs after `kill -9` of the manager and a new start;
log intake as a ratio to `cat`; requests for a list of 100 stopped programs, where a manager serves one. Children of
jd-manager are simulated clients, those of the others `sleep`. Each manager has its default settings, except for paths
and ports.

Every result is one line: `ok`, `MISSED`, or `info` if it has no limit. A missed limit is no failure.
"""

import argparse
import json
import os
import selectors
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

CLOCK_TICK = os.sysconf("SC_CLK_TCK")
LINE_BYTES = 150
LAST_LINE = "END OF LINES"
CONNECTIONS = 16


# --- Results ---------------------------------------------------------------------------------------------


def format_number(value):
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def report(what, value, unit, at_most=None, at_least=None):
    verdict, limit = "info", ""
    if at_most is not None:
        verdict = "ok" if value <= at_most else "MISSED"
        limit = f" (limit ≤ {format_number(at_most)} {unit})"
    elif at_least is not None:
        verdict = "ok" if value >= at_least else "MISSED"
        limit = f" (limit ≥ {format_number(at_least)} {unit})"
    print(f"{verdict:<6}  {what}: {format_number(value)} {unit}{limit}", flush=True)


# --- Processes -------------------------------------------------------------------------------------------


def read(path):
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def memory_mb(pid, file, field):
    for line in read(f"/proc/{pid}/{file}").splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def stat_fields(pid):
    return read(f"/proc/{pid}/stat").rpartition(") ")[2].split()


def cpu_seconds(pid):
    fields = stat_fields(pid)
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICK if fields else 0.0


def parent(pid):
    fields = stat_fields(pid)
    return int(fields[1]) if fields else 0


def processes_of(directory):
    """The ids of all processes whose program is below a directory."""
    found = set()
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            program = read(f"/proc/{entry.name}/cmdline").split("\0")[0]
            if program.startswith(f"{directory}/"):
                found.add(int(entry.name))
    return found


def wait_until(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.1)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


# --- Managers --------------------------------------------------------------------------------------------


class ProcessManager:
    """A manager with its own directory; its children are programs of `bin`."""

    def __init__(self, program, root):
        self.program = program
        self.root = root
        self.bin = root / "bin"
        self.process = None
        self.bin.mkdir(parents=True)
        (self.bin / "sleep").symlink_to(shutil.which("sleep"))
        self.quiet = f"{self.bin}/sleep 1000000"

    def spawn(self, command, **options):
        log = open(self.root / "output", "ab")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, cwd=self.root, **{"stdout": log, **options})

    def pid(self):
        return self.process.pid

    def helpers(self):
        """The ids of the processes that it runs for each child."""
        return []

    def managed(self):
        """The ids of the children that it knows."""
        return {pid for pid in self.children() if parent(pid) == self.pid()}

    def children(self):
        return processes_of(self.bin)

    def memory(self):
        own = memory_mb(self.pid(), "status", "VmRSS:")
        return own + sum(memory_mb(pid, "smaps_rollup", "Pss:") for pid in self.helpers())

    def cpu(self):
        return sum(cpu_seconds(pid) for pid in [self.pid(), *self.helpers()])

    def kill(self):
        os.kill(self.pid(), signal.SIGKILL)
        if self.process:
            self.process.wait()

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
        for pid in self.children():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


class Supervisord(ProcessManager):
    def version(self):
        return subprocess.check_output([self.program, "--version"], text=True).strip()

    def configure(self, commands, is_started=True):
        self.port = free_port()
        text = (
            f"[supervisord]\nlogfile={self.root}/supervisord.log\npidfile={self.root}/supervisord.pid\nnodaemon=true\n"
            f"childlogdir={self.root}\n[inet_http_server]\nport=127.0.0.1:{self.port}\n[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        )
        for number, command in enumerate(commands):
            text += f"[program:program{number}]\ncommand={command}\nautostart={str(is_started).lower()}\n"
        (self.root / "supervisord.conf").write_text(text)

    def start(self):
        self.spawn([self.program, "-n", "-c", f"{self.root}/supervisord.conf"])

    def logs(self):
        return self.root.glob("program*-stdout*")

    def lists(self):
        call = b"<?xml version='1.0'?><methodCall><methodName>supervisor.getAllProcessInfo</methodName></methodCall>"
        head = f"Host: 127.0.0.1\r\nContent-Type: text/xml\r\nContent-Length: {len(call)}\r\n\r\n"
        yield "page", self.port, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        yield "API", self.port, f"POST /RPC2 HTTP/1.1\r\n{head}".encode() + call


class Circus(ProcessManager):
    def version(self):
        text = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=True)
        return (text.stdout + text.stderr).split()[-1]

    def configure(self, commands):
        text = f"[circus]\nendpoint=ipc://{self.root}/endpoint\npubsub_endpoint=ipc://{self.root}/pubsub\n"
        for number, command in enumerate(commands):
            program, *arguments = shlex.split(command)
            text += (
                f"[watcher:program{number}]\ncmd={program}\nargs={shlex.join(arguments)}\ncopy_env=True\n"
                f"stdout_stream.class=FileStream\nstdout_stream.filename={self.root}/program{number}.log\n"
            )
        (self.root / "circus.ini").write_text(text)

    def start(self):
        self.spawn([self.program, f"{self.root}/circus.ini"])

    def logs(self):
        return self.root.glob("program*.log*")


class Pm2(ProcessManager):
    def version(self):
        package = Path(self.program).resolve().parent.parent / "package.json"
        return json.loads(package.read_text())["version"]

    def run(self, *arguments):
        environment = {**os.environ, "PM2_HOME": str(self.root / "home"), "HOME": str(self.root)}
        with open(self.root / "output", "ab") as log:
            subprocess.run([self.program, *arguments], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True)

    def configure(self, commands):
        apps = []
        for number, command in enumerate(commands):
            program, *arguments = shlex.split(command)
            app = {"name": f"program{number}", "script": program, "args": arguments, "interpreter": "none", "cwd": str(self.root)}
            apps.append(app)
        (self.root / "programs.json").write_text(json.dumps({"apps": apps}))
        self.is_saved = False

    def start(self):
        if self.is_saved:
            # As its documentation says, after a failure of the daemon.
            self.run("resurrect")
        else:
            self.run("start", f"{self.root}/programs.json")
            self.run("save")
            self.is_saved = True

    def pid(self):
        return int(read(self.root / "home/pm2.pid") or 0)

    def logs(self):
        return self.root.glob("home/logs/program*-out*.log")

    def kill(self):
        super().kill()
        wait_until(lambda: not stat_fields(self.pid()), "end of pm2")

    def stop(self):
        self.run("kill")
        super().stop()


class JdManager(ProcessManager):
    """Children are started over its API."""

    def __init__(self, program, root):
        super().__init__(program, root)
        (self.bin / "simulated").symlink_to(Path(program).resolve())
        simulated = f"{self.bin}/simulated simulate --no-sockets --miners 0"
        self.quiet = None
        self.simulated = simulated
        self.commands = []

    def version(self):
        return subprocess.check_output([self.program, "--version"], text=True).split()[-1]

    def configure(self, commands, is_started=True):
        self.commands, self.is_started = commands, is_started
        # One client program for all instances; None is a quiet client.
        script = f'#!/bin/sh\ncase "$1" in --version) exec {self.simulated} "$@" ;; esac\n'
        script += f"exec {commands[0]}\n" if commands[0] else f'exec {self.simulated} "$@"\n'
        client = self.root / "client"
        client.write_text(script)
        client.chmod(0o755)

    def start(self):
        options = ["--listen", "127.0.0.1:0", "--log", "warn", "--release-api", "http://127.0.0.1:9"]
        options += ["--client", f"{self.root}/client", "--data-dir", f"{self.root}/data"]
        self.spawn([self.program, *options], stdout=subprocess.PIPE)
        self.site = "http" + self.process.stdout.readline().decode().strip().rpartition("http")[2].rstrip("/")
        self.port = int(self.site.rpartition(":")[2])
        commands, self.commands = self.commands, []
        for number, _ in enumerate(commands):
            config = {"name": f"config {number}", "config": self.solo_config(25_000 + number)}
            saved = self.request("POST", "/saved-configs", config)
            instance = {"name": f"program {number}", "config_id": saved["config_id"]}
            made = self.request("POST", "/instances", instance)
            if self.is_started:
                self.request("POST", f"/instances/{made['instance_id']}/start", {})

    @staticmethod
    def solo_config(port):
        # The keys are from the client's published examples.
        return {
            "listening_address": f"127.0.0.1:{port}",
            "max_supported_version": 2,
            "min_supported_version": 2,
            "authority_public_key": "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72",
            "authority_secret_key": "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n",
            "cert_validity_sec": 3600,
            "shares_per_minute": 6.0,
            "share_batch_size": 10,
            "mode": "SOLOMINING",
            "jdc_signature": "x",
            "coinbase_reward_script": "addr(tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft)",
            "upstreams": [],
            "template_provider_type": {"Sv2Tp": {"address": "127.0.0.1:8442"}},
        }

    def request(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.site}/api{path}", data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def helpers(self):
        return [int(read(file)) for file in self.root.glob("data/instances/*/keeper.lock") if read(file).strip()]

    def managed(self):
        instances = self.request("GET", "/instances?limit=1000")["instances"]
        return {one["pid"] for one in instances if one["status"] == "running"} & self.children()

    def logs(self):
        return self.root.glob("data/instances/*/logs/*.log")

    def lists(self):
        for name, path, accept in [("page", "/instances", "text/html"), ("API", "/api/instances", "application/json")]:
            request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAccept: {accept}\r\n\r\n"
            yield name, self.port, request.encode()


# --- Measurements ----------------------------------------------------------------------------------------


def start_quiet(manager, count):
    manager.configure([manager.quiet] * count)
    manager.start()
    wait_until(lambda: len(manager.managed()) == count, f"{count} children")


def measure_memory(name, manager, options):
    time.sleep(options.settle)
    what = f"{name}, {options.children} quiet children, memory of the manager and its processes for each child"
    report(what, manager.memory(), "MB")
    sizes = [memory_mb(pid, "smaps_rollup", "Pss:") for pid in manager.helpers()]
    if sizes:
        report(f"{name}, of it for each child", sum(sizes) / len(sizes), "MB")


def measure_kill(name, manager, options):
    """What runs after the manager was killed and started again."""
    count, before = options.children, manager.children()
    manager.kill()
    time.sleep(2)
    manager.start()
    time.sleep(options.settle)
    after, managed = manager.children(), manager.managed()
    limits = isinstance(manager, JdManager)
    what = f"{name}, kill -9 of the manager with {count} children, then a new start"
    report(f"{what}, children that run", len(after), "processes", at_most=count if limits else None)
    report(f"{what}, of them orphaned", len(after - managed), "processes", at_most=0 if limits else None)
    report(f"{what}, of them still the same", len(after & before), "processes", at_least=count if limits else None)


def measure_cpu(managers, options):
    """All at the same time."""
    for _, manager in managers:
        start_quiet(manager, options.quiet)
    time.sleep(3 * options.settle)
    before = [manager.cpu() for _, manager in managers]
    begun = time.monotonic()
    time.sleep(options.seconds)
    elapsed = time.monotonic() - begun
    for (name, manager), earlier in zip(managers, before):
        share = (manager.cpu() - earlier) / elapsed * 100
        limit = 0.5 if isinstance(manager, JdManager) else None
        report(f"{name}, {options.quiet} quiet children, CPU time over {options.seconds} s", share, "% of a core", at_most=limit)


def producer(options):
    return f"yes {'x' * (LINE_BYTES - 1)} | head -n {options.lines}"


def measure_cat(root, options):
    """Lines per second."""
    file = root / "cat.log"
    begun = time.monotonic()
    command = f"{{ {producer(options)}; echo {LAST_LINE}; }} | cat > '{file}' && sync -d '{file}'"
    subprocess.run(["/bin/sh", "-c", command], check=True)
    elapsed = time.monotonic() - begun
    file.unlink()
    return options.lines / elapsed


def ends_with_last_line(manager):
    """Whether the file that was written last ends with the last line."""
    files = []
    for file in manager.logs():
        try:
            files.append((file.stat().st_mtime_ns, file))
        except FileNotFoundError:
            continue
    # A log that rotates can have several files of the same moment.
    for _, file in sorted(files, reverse=True)[:2]:
        try:
            with open(file, "rb") as log:
                log.seek(0, os.SEEK_END)
                log.seek(-min(log.tell(), 200), os.SEEK_END)
                if LAST_LINE.encode() in log.read():
                    return True
        except FileNotFoundError:
            continue
    return False


def measure_intake(manager, options):
    """Lines per second from the start of the child to the last line in a log."""
    begun = manager.root / "begun"
    script = manager.bin / "produce"
    script.write_text(
        f"#!/bin/sh\ndate +%s.%N > '{begun}'\n{producer(options)}\necho {LAST_LINE}\nexec {manager.bin}/sleep 1000000\n"
    )
    script.chmod(0o755)
    manager.configure([str(script)])
    manager.start()
    end = time.monotonic() + options.longest
    while not ends_with_last_line(manager):
        if time.monotonic() > end:
            return None
        time.sleep(0.01)
    return options.lines / (time.time() - float(begun.read_text()))


class Connection:
    """A connection that repeats a request."""

    def __init__(self, port, request, selector):
        self.port, self.request, self.selector = port, request, selector
        self.count = 0
        self.socket = None
        self.connect()

    def connect(self):
        if self.socket:
            self.selector.unregister(self.socket)
            self.socket.close()
        self.socket = socket.create_connection(("127.0.0.1", self.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.selector.register(self.socket, selectors.EVENT_READ, self)
        self.send()

    def send(self):
        self.head, self.left = b"", None
        self.socket.sendall(self.request)

    def receive(self):
        data = self.socket.recv(1 << 20)
        if self.left is None:
            self.head += data
            head, separator, body = self.head.partition(b"\r\n\r\n")
            if separator:
                if b" 200 " not in head.split(b"\r\n")[0]:
                    raise RuntimeError(head.decode(errors="replace"))
                lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                # Without a length, the end of the connection ends the response.
                self.left = int(lengths[0].split(b":")[1]) if lengths else sys.maxsize
                self.left -= len(body)
        else:
            self.left -= len(data)
        if self.left == 0 or not data:
            self.count += 1
            if data:
                self.send()
            else:
                self.connect()


def measure_requests(port, request, seconds):
    """Requests per second over all connections."""
    with selectors.DefaultSelector() as selector:
        connections = [Connection(port, request, selector) for _ in range(CONNECTIONS)]
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            for key, _ in selector.select(1):
                key.data.receive()
        elapsed = time.monotonic() - begun
        for connection in connections:
            connection.socket.close()
        return sum(connection.count for connection in connections) / elapsed


# --- In order --------------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jd-manager", required=True)
    parser.add_argument("--supervisord")
    parser.add_argument("--circusd")
    parser.add_argument("--pm2")
    parser.add_argument("--children", type=int, default=10, help="for memory and the kill")
    parser.add_argument("--quiet", type=int, default=50, help="children for CPU time")
    parser.add_argument("--seconds", type=int, default=60, help="for CPU time")
    parser.add_argument("--settle", type=int, default=10, help="seconds after a start")
    parser.add_argument("--lines", type=int, default=4_000_000, help="for log intake")
    parser.add_argument("--rounds", type=int, default=2, help="for log intake; the best counts")
    parser.add_argument("--longest", type=int, default=300, help="seconds for one log intake")
    parser.add_argument("--listed", type=int, default=100, help="stopped programs in a list")
    options = parser.parse_args()
    # So that a service manager or a shell can end it with all that it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    kinds = []
    for kind, name, program in [
        (JdManager, "jd-manager", options.jd_manager),
        (Supervisord, "supervisord", options.supervisord),
        (Pm2, "pm2", options.pm2),
        (Circus, "circus", options.circusd),
    ]:
        if program and shutil.which(program):
            kinds.append((kind, name, os.path.abspath(program)))
        else:
            print(f"{name} is not installed and not measured", flush=True)

    # Short, because sockets have their paths below it.
    with tempfile.TemporaryDirectory(prefix="jdm-") as directory:
        root, running, number = Path(directory), [], 0

        def create(kind, program):
            nonlocal number
            number += 1
            manager = kind(program, root / str(number))
            running.append(manager)
            return manager

        def stop_all():
            while running:
                running.pop().stop()

        try:
            names = {}
            for kind, name, program in kinds:
                manager = create(kind, program)
                names[kind] = f"{name} {manager.version()}"
                start_quiet(manager, options.children)
                measure_memory(names[kind], manager, options)
                measure_kill(names[kind], manager, options)
                stop_all()

            measure_cpu([(names[kind], create(kind, program)) for kind, _, program in kinds], options)
            stop_all()

            what = f"log intake, {LINE_BYTES}-byte lines"
            best = {}
            for _ in range(options.rounds):
                best["cat"] = max(best.get("cat", 0), measure_cat(root, options))
                for kind, _, program in kinds:
                    rate = measure_intake(create(kind, program), options)
                    best[kind] = max(best.get(kind, 0), rate or 0)
                    stop_all()
                    shutil.rmtree(root / str(number))
            report(f"cat to a file, then fdatasync, {what}", best["cat"], "lines/s")
            for kind, _, _ in kinds:
                if best[kind]:
                    limit = 50 if kind is JdManager else None
                    report(f"{names[kind]}, {what}", best[kind], "lines/s")
                    report(f"{names[kind]}, {what}, ratio", best[kind] / best["cat"] * 100, "% of cat", at_least=limit)
                else:
                    print(f"{names[kind]}, {what}: not finished after {options.longest} s", flush=True)

            for kind, _, program in kinds:
                if hasattr(kind, "lists"):
                    manager = create(kind, program)
                    manager.configure([manager.quiet] * options.listed, is_started=False)
                    manager.start()
                    time.sleep(options.settle)
                    for name, port, request in manager.lists():
                        rate = measure_requests(port, request, 5)
                        report(f"{names[kind]}, list of {options.listed} stopped programs, {name}", rate, "requests/s")
                    stop_all()
        finally:
            stop_all()


if __name__ == "__main__":
    main()
