"""A Stratum V1 miner that finds real shares: `stratum_v1_miner.py --port PORT --user NAME`.

It sends what real ASICs send (mining.configure, mining.subscribe, mining.authorize, mining.submit), one JSON object a
line, and hashes, so an accepted share is a real one. When the server closes the connection, it connects again after
`--reconnect` seconds. Each event is one line with the time in seconds since 1970:

    <time> connected | closed | job <id> | share ok <accepted so far> | share refused <error>

The last line is `done submitted=<n> accepted=<n> refused=<n>`. SIGTERM stops it.
"""

import argparse
import hashlib
import json
import select
import signal
import socket
import struct
import sys
import time

DIFFICULTY_1 = 0xFFFF << 208
NONCES_PER_TRY = 30_000


def double_sha256(data):
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def swapped_words(text):
    """The previous hash: eight words of four bytes, each in reverse."""
    data = bytes.fromhex(text)
    return b"".join(data[at : at + 4][::-1] for at in range(0, 32, 4))


class Miner:
    def __init__(self, options):
        self.options = options
        self.submitted = self.accepted = self.refused = 0
        self.stopped = False

    def say(self, *words):
        print(f"{time.time():.3f}", *words, flush=True)

    def run(self):
        until = time.time() + self.options.seconds
        while not self.stopped and time.time() < until:
            try:
                connection = socket.create_connection(("127.0.0.1", self.options.port), 5)
            except OSError:
                time.sleep(self.options.reconnect)
                continue
            self.say("connected")
            try:
                with connection:
                    Session(self, connection).mine(until)
            except (OSError, EOFError, ValueError):
                self.say("closed")
            time.sleep(self.options.reconnect)
        print(f"done submitted={self.submitted} accepted={self.accepted} refused={self.refused}", flush=True)


class Session:
    """One connection. Its requests are numbered, and `waiting` has the method of each without a reply."""

    def __init__(self, miner, connection):
        self.miner, self.connection = miner, connection
        self.received = b""
        self.last_id = 0
        self.waiting = {}
        self.job = self.target = None
        self.extranonce1, self.extranonce2_size, self.version_mask = b"", 4, 0

    def send(self, method, params):
        self.last_id += 1
        self.waiting[self.last_id] = method
        message = {"id": self.last_id, "method": method, "params": params}
        self.connection.sendall((json.dumps(message) + "\n").encode())

    def receive(self, patience):
        readable, _, _ = select.select([self.connection], [], [], patience)
        if not readable:
            return
        data = self.connection.recv(65_536)
        if not data:
            raise EOFError
        self.received += data
        while b"\n" in self.received:
            line, self.received = self.received.split(b"\n", 1)
            if line.strip():
                self.take(json.loads(line))

    def take(self, message):
        method, params = message.get("method"), message.get("params")
        if method == "mining.notify":
            self.job = {
                "id": params[0],
                "previous": swapped_words(params[1]),
                "coinbase": (bytes.fromhex(params[2]), bytes.fromhex(params[3])),
                "path": [bytes.fromhex(step) for step in params[4]],
                "version": int(params[5], 16),
                "bits": int(params[6], 16),
                "time": int(params[7], 16),
            }
            self.miner.say("job", params[0])
        elif method == "mining.set_difficulty":
            self.target = int(DIFFICULTY_1 / params[0])
        elif method == "mining.set_version_mask":
            self.version_mask = int(params[0], 16)
        elif method == "mining.set_extranonce":
            self.extranonce1, self.extranonce2_size = bytes.fromhex(params[0]), params[1]
        elif method is None:
            self.take_reply(self.waiting.pop(message.get("id"), None), message)

    def take_reply(self, method, message):
        result = message.get("result")
        if method == "mining.subscribe":
            self.extranonce1, self.extranonce2_size = bytes.fromhex(result[1]), result[2]
        elif method == "mining.configure" and isinstance(result, dict) and result.get("version-rolling"):
            self.version_mask = int(result.get("version-rolling.mask", "0"), 16)
        elif method == "mining.submit" and result is True:
            self.miner.accepted += 1
            self.miner.say("share ok", self.miner.accepted)
        elif method == "mining.submit":
            self.miner.refused += 1
            self.miner.say("share refused", message.get("error"))

    def mine(self, until):
        options = self.miner.options
        self.send("mining.configure", [["version-rolling"], {"version-rolling.mask": "1fffe000"}])
        self.send("mining.subscribe", ["stratum_v1_miner/1"])
        self.send("mining.authorize", [options.user, "x"])
        counter = 0
        while not self.miner.stopped and time.time() < until:
            self.receive(0.01)
            if self.job is None or self.target is None:
                self.receive(0.2)
                continue
            counter += 1
            self.search(counter.to_bytes(self.extranonce2_size, "big"))
            self.receive(options.pause)

    def search(self, extranonce2):
        """Submits the first share among some nonces."""
        job, options, miner = self.job, self.miner.options, self.miner
        root = double_sha256(job["coinbase"][0] + self.extranonce1 + extranonce2 + job["coinbase"][1])
        for step in job["path"]:
            root = double_sha256(root + step)
        start = struct.pack("<I", job["version"]) + job["previous"] + root
        for nonce in range(NONCES_PER_TRY):
            header = start + struct.pack("<III", job["time"], job["bits"], nonce)
            if int.from_bytes(double_sha256(header), "little") > self.target:
                continue
            miner.submitted += 1
            spoiled = options.spoil and miner.submitted % options.spoil == 0
            params = [options.user, job["id"], extranonce2.hex(), f"{job['time']:08x}", f"{nonce ^ int(bool(spoiled)):08x}"]
            if self.version_mask:
                params.append("00000000")
            self.send("mining.submit", params)
            return


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True, help="the translator's port for miners")
    parser.add_argument("--user", default="rig1.w1", help="user name")
    parser.add_argument("--seconds", type=float, default=600, help="how long to mine")
    parser.add_argument("--pause", type=float, default=0.2, help="seconds between two searches")
    parser.add_argument("--reconnect", type=float, default=0.2, help="seconds until the next connection")
    parser.add_argument("--spoil", type=int, default=0, help="make every Nth share wrong")
    miner = Miner(parser.parse_args())

    def stop(*_):
        miner.stopped = True

    signal.signal(signal.SIGTERM, stop)
    miner.say("started")
    miner.run()


if __name__ == "__main__":
    sys.exit(main())
