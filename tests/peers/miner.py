"""A mock miner: opens an extended channel at a client and finds real shares for it.

Needs the port of the client's `listening_address`. Waits for the client to listen, and comes back when it
loses the connection, until --seconds are over. Prints `connected`, `channel <id>`, `target`, `job <id>`,
`share ok <n>` with the number of shares accepted so far, `share refused <n> <code>`, `disconnected`, and
last `done submitted=<n> accepted=<n> refused=<n>`, on SIGTERM and SIGINT too. Ends with status 1 when it
never had a channel.

It hashes a little in pure Python, thousands of hashes a second whatever hash rate it claims; the claimed
one decides how difficult the client makes its shares.
"""

import os
import signal
import socket
import struct
import sys
import time

from cryptography.exceptions import InvalidTag

import sv2

MIN_EXTRANONCE_SIZE = 4
# So many hashes at once, then a pause: a few per cent of a core, and messages are never kept waiting.
HASHES_AT_ONCE = 2000
PAUSE_SECONDS = 0.3
RETRY_SECONDS = 0.5
REPLY_SECONDS = 10


class Stopped(Exception):
    """SIGTERM or SIGINT came."""


class Job:
    """What NewExtendedMiningJob says of one job."""

    def __init__(self, payload):
        payload.u32()  # The channel: this miner has one.
        self.id = payload.u32()
        self.min_ntime = payload.u32() if payload.u8() else None
        self.version = payload.u32()
        payload.u8()  # Whether the version may be rolled; it is not.
        self.merkle_path = [payload.take(32) for _ in range(payload.u8())]
        self.coinbase_prefix = payload.b0_64k()
        self.coinbase_suffix = payload.b0_64k()

    def merkle_root(self, extranonce):
        """The merkle root of the block whose coinbase holds this whole extranonce."""
        root = sv2.double_sha256(self.coinbase_prefix + extranonce + self.coinbase_suffix)
        for sibling in self.merkle_path:
            root = sv2.double_sha256(root + sibling)
        return root


class Totals:
    """Counts over all connections of the miner's life."""

    def __init__(self):
        self.channels = 0
        self.submitted = 0
        self.accepted = 0
        self.refused = 0


class Channel:
    """One connection to the client and the extended channel on it."""

    def __init__(self, connection, totals):
        self._connection = connection
        self._totals = totals
        self._id = None
        self._target = None
        self._extranonce_size = 0
        self._extranonce_prefix = b""
        self._jobs = {}
        self._job = None
        self._previous_hash = None
        self._ntime = 0
        self._bits = 0
        self._sequence = 0

    def open(self, arguments):
        """Sets the connection up and asks for the channel."""
        flags, device = 0, (b"mock vendor", b"mock hardware", b"mock firmware", b"mock device")
        self._connection.send(
            sv2.Common.SetupConnection,
            struct.pack("<BHHI", sv2.Protocol.Mining, sv2.PROTOCOL_VERSION, sv2.PROTOCOL_VERSION, flags)
            + sv2.b0_255(sv2.LOOPBACK.encode())
            + struct.pack("<H", arguments.port)
            + b"".join(sv2.b0_255(field) for field in device),
        )
        number, payload, _ = self._connection.receive()
        if number != sv2.Common.SetupConnectionSuccess:
            raise ValueError(f"the client answered SetupConnection with {sv2.message_name(number)}")
        request = 1
        self._connection.send(
            sv2.Mining.OpenExtendedMiningChannel,
            struct.pack("<I", request)
            + sv2.b0_255(arguments.user.encode())
            + struct.pack("<f", arguments.hashrate)
            + sv2.u256(2**256 - 1)
            + struct.pack("<H", MIN_EXTRANONCE_SIZE),
        )

    def mine(self, deadline):
        """Works until the deadline. Raises EOFError or OSError when the client goes away."""
        while (left := deadline - time.monotonic()) > 0:
            # A pause that the next message ends.
            self._connection.has_input(min(PAUSE_SECONDS, left))
            while self._connection.has_input(0):
                self._message(*self._connection.receive())
            if self._id is not None and self._previous_hash and self._job in self._jobs:
                self._search(self._jobs[self._job])

    def _search(self, job):
        extranonce = os.urandom(self._extranonce_size)
        root = job.merkle_root(self._extranonce_prefix + extranonce)
        start = struct.pack("<I", job.version) + self._previous_hash + root + struct.pack("<II", self._ntime, self._bits)
        for nonce in range(HASHES_AT_ONCE):
            found = int.from_bytes(sv2.double_sha256(start + struct.pack("<I", nonce)), "little")
            if found <= self._target:
                self._sequence += 1
                share = struct.pack("<IIIIII", self._id, self._sequence, job.id, nonce, self._ntime, job.version)
                self._connection.send(sv2.Mining.SubmitSharesExtended, share + sv2.b0_255(extranonce))
                self._totals.submitted += 1
                return

    def _message(self, number, payload, _data):
        if number == sv2.Mining.OpenExtendedMiningChannelSuccess:
            payload.u32()  # The request: there was only one.
            self._id = payload.u32()
            self._target = payload.u256()
            self._extranonce_size = payload.u16()
            self._extranonce_prefix = payload.b0_255()
            self._totals.channels += 1
            sv2.event("channel", self._id)
        elif number == sv2.Mining.NewExtendedMiningJob:
            job = Job(payload)
            self._jobs[job.id] = job
            sv2.event("job", job.id)
            if job.min_ntime is not None:
                self._job, self._ntime = job.id, job.min_ntime
        elif number == sv2.Mining.SetNewPrevHash:
            payload.u32()  # The channel, as above.
            self._job = payload.u32()
            self._previous_hash = payload.take(32)
            self._ntime = payload.u32()
            self._bits = payload.u32()
            # Only the job that this message names builds on the new block.
            self._jobs = {job_id: job for job_id, job in self._jobs.items() if job_id == self._job}
        elif number == sv2.Mining.SetTarget:
            payload.u32()
            self._target = payload.u256()
            sv2.event("target", f"{self._target:#x}")
        elif number == sv2.Mining.SetExtranoncePrefix:
            payload.u32()
            self._extranonce_prefix = payload.b0_255()
        elif number == sv2.Mining.SubmitSharesSuccess:
            payload.take(8)  # The channel and the last sequence number.
            self._totals.accepted += payload.u32()
            sv2.event("share ok", self._totals.accepted)
        elif number == sv2.Mining.SubmitSharesError:
            payload.take(8)
            self._totals.refused += 1
            sv2.event("share refused", self._totals.refused, payload.text())
        elif number == sv2.Mining.OpenMiningChannelError:
            payload.u32()
            raise ValueError(f"the client refused the channel: {payload.text()}")
        elif number == sv2.Mining.CloseChannel:
            payload.u32()
            raise EOFError(f"the client closed the channel: {payload.text()}")
        else:
            sv2.event("received", sv2.message_name(number))


def connect_and_mine(arguments, totals, deadline):
    with socket.create_connection((sv2.LOOPBACK, arguments.port), timeout=REPLY_SECONDS) as sock:
        channel = Channel(sv2.connect_handshake(sock), totals)
        sv2.event("connected")
        channel.open(arguments)
        channel.mine(deadline)


def stop(*_):
    # A second signal must not disturb the summary.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise Stopped


def main():
    parser = sv2.argument_parser(__doc__)
    parser.add_argument("--port", type=sv2.port, required=True, help="port of the client's listening_address on 127.0.0.1")
    parser.add_argument("--user", default="worker1", help="user identity of the channel (default: worker1)")
    parser.add_argument(
        "--hashrate", type=sv2.positive, default=50.0, metavar="H/S", help="claimed hashes a second (default: 50)"
    )
    parser.add_argument("--seconds", type=sv2.positive, default=60.0, help="how long to mine (default: 60)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    totals = Totals()
    deadline = time.monotonic() + arguments.seconds
    try:
        while time.monotonic() < deadline:
            try:
                connect_and_mine(arguments, totals, deadline)
            except ConnectionRefusedError:
                pass  # The client does not listen, yet or for the moment.
            except (EOFError, OSError, ValueError, InvalidTag) as error:
                sv2.event("disconnected", repr(error))
            time.sleep(min(RETRY_SECONDS, max(0.0, deadline - time.monotonic())))
    except Stopped:
        pass
    sv2.event("done", f"submitted={totals.submitted}", f"accepted={totals.accepted}", f"refused={totals.refused}")
    sys.exit(0 if totals.channels else 1)


if __name__ == "__main__":
    main()
