"""A mock template provider: gives a client empty block templates, so that no Bitcoin Core is needed.

Prints `listening <port>` when it is ready, then one line for each event: `connected`, `setup`,
`received <message>`, `template <id>`, `solution <template id>` and `closed`, those of a connection with
its name (`template-provider 1`). Every template is a *future* one, followed at once by the previous block
hash that makes it the present one: a client waits for ever when the first template is not a future one.
A client gets one whenever it states its constraints: at the start, and again when it falls back to solo
mining, where it keeps its miners waiting until one comes. With --interval it gets further ones, each of
them as if a new block had been found. Providers with the same --chain and --interval name the same blocks
at the same time, as nodes of one network do. SIGUSR1 closes the open connections, SIGTERM ends the process.

It validates nothing: the constraints that the client sends are not looked at, and a solution is only
reported.
"""

import argparse
import hashlib
import os
import struct
import threading
import time

import sv2

BLOCK_VERSION = 0x20000000
BLOCK_HEIGHT = 200_000
# 3.125 BTC in satoshi, the subsidy after the fourth halving.
COINBASE_VALUE = 312_500_000
COINBASE_VERSION = 2
COINBASE_SEQUENCE = 0xFFFFFFFE
# OP_RETURN, push of 36 bytes, the mark of BIP 141; the commitment itself is left zero.
WITNESS_COMMITMENT = bytes.fromhex("6a24aa21a9ed") + bytes(32)
# The least difficulty of the main network: far too much for the mock miner, so no share is a block.
MAIN_NETWORK_BITS = 0x1D00FFFF


def target_of(bits):
    """The target that a block header's compact `bits` field stands for."""
    exponent, mantissa = bits >> 24, bits & 0xFFFFFF
    return mantissa << (8 * (exponent - 3))


def compact_bits(text):
    """An argument that must be the `bits` field of a block header, in any notation of Python."""
    bits = int(text, 0)
    if not (3 <= bits >> 24 <= 32 and 0 < bits & 0xFFFFFF <= 0x7FFFFF):
        raise argparse.ArgumentTypeError(f"{text} stands for no target of a block")
    return bits


def new_template(template_id):
    """The payload of NewTemplate for an empty future block."""
    height = BLOCK_HEIGHT.to_bytes(3, "little")
    output = struct.pack("<Q", 0) + sv2.b0_255(WITNESS_COMMITMENT)
    future, outputs, lock_time, merkle_path_length = 1, 1, 0, 0
    return (
        struct.pack("<QBII", template_id, future, BLOCK_VERSION, COINBASE_VERSION)
        + sv2.b0_255(sv2.b0_255(height))
        + struct.pack("<IQI", COINBASE_SEQUENCE, COINBASE_VALUE, outputs)
        + sv2.b0_64k(output)
        + struct.pack("<IB", lock_time, merkle_path_length)
    )


def previous_block(arguments):
    """The hash of the newest block: a random one, or the one of the chain that belongs to this moment."""
    if arguments.chain is None:
        return os.urandom(26) + bytes(6)
    number = int(time.time() / (arguments.interval or 600))
    return hashlib.sha256(f"{arguments.chain}/{number}".encode()).digest()[:26] + bytes(6)


def set_new_prev_hash(template_id, bits, previous):
    """The payload of SetNewPrevHash for this previous block, found just now."""
    return struct.pack("<Q", template_id) + previous + struct.pack("<II", int(time.time()), bits) + sv2.u256(target_of(bits))


class TemplateStream:
    """The templates of one connection, numbered from 1. Sent by two threads: on request, and at every interval."""

    def __init__(self, connection, label, arguments):
        self._connection = connection
        self._label = label
        self._arguments = arguments
        self._last = 0
        self._sending = threading.Lock()
        self._closed = threading.Event()

    def send(self):
        """Sends the next template. After the first one, if asked for, others follow at every interval."""
        with self._sending:
            self._last += 1
            template = self._last
            self._connection.send(sv2.TemplateDistribution.NewTemplate, new_template(template))
            prev_hash = set_new_prev_hash(template, self._arguments.nbits, previous_block(self._arguments))
            self._connection.send(sv2.TemplateDistribution.SetNewPrevHash, prev_hash)
        sv2.event("template", template, self._label)
        if template == 1 and self._arguments.interval:
            threading.Thread(target=self._repeat, daemon=True).start()

    def stop(self):
        self._closed.set()

    def _repeat(self):
        while not self._closed.wait(self._arguments.interval):
            try:
                self.send()
            except OSError:
                return  # The receiving thread reports the end of the connection.


def serve(connection, label, arguments):
    """Answers one client until it goes away."""
    stream = TemplateStream(connection, label, arguments)
    try:
        while True:
            number, payload, _ = connection.receive()
            sv2.event("received", sv2.message_name(number), label)
            if number == sv2.TemplateDistribution.CoinbaseOutputConstraints:
                if not arguments.no_template:
                    stream.send()
            elif number == sv2.TemplateDistribution.RequestTransactionData:
                no_transactions = struct.pack("<H", 0)
                reply = struct.pack("<Q", payload.u64()) + sv2.b0_64k(b"") + no_transactions
                connection.send(sv2.TemplateDistribution.RequestTransactionDataSuccess, reply)
            elif number == sv2.TemplateDistribution.SubmitSolution:
                sv2.event("solution", payload.u64(), label)
    finally:
        stream.stop()


def main():
    parser = sv2.argument_parser(__doc__)
    parser.add_argument("--port", type=sv2.port, default=0, help="port on 127.0.0.1; 0, the default, is any free one")
    parser.add_argument("--interval", type=sv2.positive, metavar="SECONDS", help="send a new template so often besides")
    parser.add_argument(
        "--nbits",
        type=compact_bits,
        default=MAIN_NETWORK_BITS,
        help="difficulty of a block as in its header; 0x207fffff makes every share a block (default: 0x1d00ffff)",
    )
    parser.add_argument("--chain", metavar="NAME", help="blocks of this chain; default: random ones")
    parser.add_argument("--no-template", action="store_true", help="be connected, but never send a template")
    sv2.add_lifetime(parser)
    arguments = parser.parse_args()
    sv2.listen(
        sv2.Listener(
            "template-provider",
            arguments.port,
            sv2.Protocol.TemplateDistribution,
            flags=0,
            lifetime=arguments.lifetime,
            serve=lambda connection, label: serve(connection, label, arguments),
        )
    )


if __name__ == "__main__":
    main()
