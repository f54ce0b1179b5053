"""Stratum V2 on the wire, as far as the mock peers in this folder need it.

In this order: the message numbers of the specification, the data types of a payload, the elliptic-curve
arithmetic that the `cryptography` package lacks, the encrypted connection, and what the listening peers
share. All in one file, so that a peer is its own file and this one and needs no package. It knows nothing
of templates, jobs or shares: what the messages of one protocol mean is the business of
template_provider.py, pool.py and miner.py.

The rules come from the Stratum V2 specification, section 4 (protocol security) and section 8 (message
types), BIP 324 (ElligatorSwift) and BIP 340 (Schnorr signatures). This is test equipment: nothing here
runs in constant time, and the only long-term key is the published example pair, so that nobody can take
these peers for ones that guard anything. Needs only the `cryptography` package.
"""

import argparse
import contextlib
import enum
import hashlib
import hmac
import os
import select
import signal
import socket
import struct
import sys
import threading
import time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

LOOPBACK = "127.0.0.1"

# The key pair that the example configurations of the Stratum V2 reference implementation publish. A client
# that is told to expect the public one accepts these peers; any other public key makes the handshake fail.
AUTHORITY_SECRET_KEY = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n"
AUTHORITY_PUBLIC_KEY = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72"


# --- Message numbers, named as in the specification -----------------------------------------------------

PROTOCOL_VERSION = 2


class Protocol(enum.IntEnum):
    """The `protocol` field of SetupConnection."""

    Mining = 0
    JobDeclaration = 1
    TemplateDistribution = 2


class Common(enum.IntEnum):
    """Messages that every protocol has."""

    SetupConnection = 0x00
    SetupConnectionSuccess = 0x01
    SetupConnectionError = 0x02


class Mining(enum.IntEnum):
    """Messages between a miner and its upstream: a client, or the pool."""

    OpenMiningChannelError = 0x12
    OpenExtendedMiningChannel = 0x13
    OpenExtendedMiningChannelSuccess = 0x14
    NewMiningJob = 0x15
    UpdateChannel = 0x16
    UpdateChannelError = 0x17
    CloseChannel = 0x18
    SetExtranoncePrefix = 0x19
    SubmitSharesStandard = 0x1A
    SubmitSharesExtended = 0x1B
    SubmitSharesSuccess = 0x1C
    SubmitSharesError = 0x1D
    NewExtendedMiningJob = 0x1F
    SetNewPrevHash = 0x20
    SetTarget = 0x21
    SetCustomMiningJob = 0x22
    SetCustomMiningJobSuccess = 0x23
    SetCustomMiningJobError = 0x24
    SetGroupChannel = 0x25


class JobDeclaration(enum.IntEnum):
    """Messages between a client and a job declaration server."""

    AllocateMiningJobToken = 0x50
    AllocateMiningJobTokenSuccess = 0x51
    ProvideMissingTransactions = 0x55
    ProvideMissingTransactionsSuccess = 0x56
    DeclareMiningJob = 0x57
    DeclareMiningJobSuccess = 0x58
    DeclareMiningJobError = 0x59
    PushSolution = 0x60


class TemplateDistribution(enum.IntEnum):
    """Messages between a client and a template provider."""

    CoinbaseOutputConstraints = 0x70
    NewTemplate = 0x71
    SetNewPrevHash = 0x72
    RequestTransactionData = 0x73
    RequestTransactionDataSuccess = 0x74
    RequestTransactionDataError = 0x75
    SubmitSolution = 0x76


# Messages that these peers send about one channel; their `extension_type` has its highest bit set.
CHANNEL_BIT = 0x8000
CHANNEL_MESSAGES = frozenset(
    {
        Mining.SubmitSharesExtended,
        Mining.SubmitSharesSuccess,
        Mining.SubmitSharesError,
        Mining.SetCustomMiningJobSuccess,
        Mining.SetCustomMiningJobError,
    }
)

# A job declaration server that sets this flag in SetupConnection.Success accepts declared jobs (full templates).
DECLARE_TX_DATA = 1


def message_name(number):
    """The specification's name of a message number, or the number in hexadecimal."""
    for names in (Common, Mining, JobDeclaration, TemplateDistribution):
        try:
            return names(number).name
        except ValueError:
            continue
    return f"{number:#04x}"


# --- Data types of a payload ----------------------------------------------------------------------------


def b0_255(data):
    """B0_255, B0_32 and STR0_255: one byte of length, then the bytes."""
    return struct.pack("<B", len(data)) + data


def b0_64k(data):
    """B0_64K: two bytes of length, then the bytes."""
    return struct.pack("<H", len(data)) + data


def u256(number):
    """U256: 32 bytes, little-endian."""
    return number.to_bytes(32, "little")


class Payload:
    """Reads the fields of a received payload in their order. Raises ValueError when it is too short."""

    def __init__(self, data):
        self._data = data
        self._at = 0

    def take(self, length):
        """The next `length` bytes as they are."""
        end = self._at + length
        if end > len(self._data):
            raise ValueError(f"payload ends at byte {len(self._data)}, wanted {end}")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def _number(self, size):
        return int.from_bytes(self.take(size), "little")

    def u8(self):
        return self._number(1)

    def u16(self):
        return self._number(2)

    def u32(self):
        return self._number(4)

    def u64(self):
        return self._number(8)

    def u256(self):
        return self._number(32)

    def b0_255(self):
        return self.take(self.u8())

    def b0_64k(self):
        return self.take(self.u16())

    def text(self):
        """STR0_255."""
        return self.b0_255().decode("utf-8", "replace")


# --- Keys in the form of configuration files ------------------------------------------------------------

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def double_sha256(data):
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def base58check_decode(text):
    """The bytes behind a base58check text without its checksum. Raises ValueError for a wrong checksum."""
    number = 0
    for character in text:
        number = number * 58 + BASE58.index(character)
    zeros = len(text) - len(text.lstrip("1"))
    data = b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")
    if double_sha256(data[:-4])[:4] != data[-4:]:
        raise ValueError("wrong checksum in a base58check text")
    return data[:-4]


# --- secp256k1: ElligatorSwift and Schnorr, which the `cryptography` package does not have ---------------

CURVE = ec.SECP256K1()
FIELD = 2**256 - 2**32 - 977
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def inverse(a):
    return pow(a, -1, FIELD)


def square_root(a):
    """A square root of `a` modulo the field's prime, or None when `a` has none."""
    a %= FIELD
    root = pow(a, (FIELD + 1) // 4, FIELD)
    return root if root * root % FIELD == a else None


SQRT_MINUS_3 = square_root(-3)
HALF = inverse(2)


def y_of(x):
    """A y with (x, y) on the curve, or None when there is none."""
    return square_root(x**3 + 7)


def x_swift_ec(u, t):
    """BIP 324: the x coordinate that the pair (u, t) encodes."""
    u %= FIELD
    t %= FIELD
    if u == 0:
        u = 1
    if t == 0:
        t = 1
    if (u**3 + t * t + 7) % FIELD == 0:
        t = 2 * t % FIELD
    x = (u**3 + 7 - t * t) * inverse(2 * t) % FIELD
    y = (x + t) * inverse(SQRT_MINUS_3 * u) % FIELD
    for candidate in (u + 4 * y * y, (-x * inverse(y) - u) * HALF, (x * inverse(y) - u) * HALF):
        candidate %= FIELD
        if y_of(candidate) is not None:
            return candidate
    raise AssertionError("BIP 324: one of the three candidates is always on the curve")


def x_swift_ec_inverse(x, u, case):
    """BIP 324: the t with x_swift_ec(u, t) == x in the given case of eight, or None when there is none."""
    if case & 2 == 0:
        if y_of((-x - u) % FIELD) is not None:
            return None
        v = x
        s = -(u**3 + 7) * inverse((u * u + u * v + v * v) % FIELD) % FIELD
    else:
        s = (x - u) % FIELD
        if s == 0:
            return None
        r = square_root(-s * (4 * (u**3 + 7) + 3 * s * u * u))
        if r is None or (case & 1 and r == 0):
            return None
        v = (-u + r * inverse(s)) * HALF % FIELD
    w = square_root(s)
    if w is None:
        return None
    sign = -1 if case & 5 in (0, 5) else 1
    root = -SQRT_MINUS_3 if case & 1 == 0 else SQRT_MINUS_3
    return sign * w * (u * (1 + root) * HALF + v) % FIELD


def ellswift_encode(x):
    """A random 64-byte ElligatorSwift encoding of the x coordinate `x`."""
    while True:
        u = int.from_bytes(os.urandom(32), "big") % FIELD
        case = os.urandom(1)[0] % 8
        t = x_swift_ec_inverse(x, u, case) if u else None
        if t is not None:
            return u.to_bytes(32, "big") + t.to_bytes(32, "big")


def public_point(private_key):
    numbers = private_key.public_key().public_numbers()
    return numbers.x, numbers.y


class EphemeralKey:
    """A fresh key pair and one ElligatorSwift encoding of its public half."""

    def __init__(self):
        self._private = ec.generate_private_key(CURVE)
        self.x = public_point(self._private)[0]
        self.encoding = ellswift_encode(self.x)

    def shared_secret(self, theirs, initiator, responder):
        """BIP 324's shared secret with the owner of the encoding `theirs`. Both encodings go in, the initiator's first."""
        x = x_swift_ec(int.from_bytes(theirs[:32], "big"), int.from_bytes(theirs[32:], "big"))
        # Either y will do: only the x coordinate of the product is used, and it is the same for both.
        point = ec.EllipticCurvePublicNumbers(x, y_of(x), CURVE).public_key()
        product = self._private.exchange(ec.ECDH(), point)
        return tagged_hash(b"bip324_ellswift_xonly_ecdh", initiator, responder, product)


def tagged_hash(tag, *parts):
    """BIP 340's tagged hash."""
    prefix = hashlib.sha256(tag).digest()
    return hashlib.sha256(prefix + prefix + b"".join(parts)).digest()


def even_y(scalar):
    """BIP 340: the scalar or its negation, whichever has a public point with an even y; and that point's x as bytes."""
    x, y = public_point(ec.derive_private_key(scalar, CURVE))
    return (scalar if y % 2 == 0 else ORDER - scalar), x.to_bytes(32, "big")


def schnorr_sign(message, secret):
    """A BIP 340 signature (64 bytes) over a 32-byte message."""
    key, public = even_y(secret)
    aux = tagged_hash(b"BIP0340/aux", os.urandom(32))
    masked = (key ^ int.from_bytes(aux, "big")).to_bytes(32, "big")
    nonce, commitment = even_y(int.from_bytes(tagged_hash(b"BIP0340/nonce", masked, public, message), "big") % ORDER)
    challenge = int.from_bytes(tagged_hash(b"BIP0340/challenge", commitment, public, message), "big") % ORDER
    return commitment + ((nonce + challenge * key) % ORDER).to_bytes(32, "big")


# --- Noise_NX_Secp256k1+EllSwift_ChaChaPoly_SHA256 ------------------------------------------------------

PROTOCOL_NAME = b"Noise_NX_Secp256k1+EllSwift_ChaChaPoly_SHA256"
TAG_SIZE = 16
ENCODING_SIZE = 64
CERTIFICATE_SIZE = 74
RESPONSE_SIZE = ENCODING_SIZE + ENCODING_SIZE + TAG_SIZE + CERTIFICATE_SIZE + TAG_SIZE
# A Noise message is at most 65535 bytes long, its tag included; longer payloads travel in several.
CHUNK_SIZE = 65535 - TAG_SIZE
HEADER_SIZE = 6


class Cipher:
    """ChaCha20-Poly1305 with the counting nonce of the Noise framework. One direction of one connection."""

    def __init__(self, key):
        self._aead = ChaCha20Poly1305(key)
        self._count = 0

    def _nonce(self):
        nonce = b"\0" * 4 + struct.pack("<Q", self._count)
        self._count += 1
        return nonce

    def encrypt(self, data, associated=b""):
        return self._aead.encrypt(self._nonce(), data, associated)

    def decrypt(self, data, associated=b""):
        return self._aead.decrypt(self._nonce(), data, associated)


class Handshake:
    """The symmetric state of a Noise handshake."""

    def __init__(self):
        self._chaining_key = hashlib.sha256(PROTOCOL_NAME).digest()
        # The first hash covers the chaining key and the empty prologue.
        self._hash = hashlib.sha256(self._chaining_key).digest()
        self._cipher = None

    def _derive(self, material):
        temporary = hmac.new(self._chaining_key, material, hashlib.sha256).digest()
        first = hmac.new(temporary, b"\1", hashlib.sha256).digest()
        return first, hmac.new(temporary, first + b"\2", hashlib.sha256).digest()

    def mix_hash(self, data):
        self._hash = hashlib.sha256(self._hash + data).digest()

    def mix_key(self, secret):
        self._chaining_key, key = self._derive(secret)
        self._cipher = Cipher(key)

    def encrypt(self, data):
        """Encrypts once there is a key, and mixes what goes over the wire into the hash."""
        sent = self._cipher.encrypt(data, self._hash) if self._cipher else data
        self.mix_hash(sent)
        return sent

    def decrypt(self, received):
        """The opposite of `encrypt`."""
        data = self._cipher.decrypt(received, self._hash) if self._cipher else received
        self.mix_hash(received)
        return data

    def split(self):
        """The two ciphers of the connection: from the initiator, from the responder."""
        first, second = self._derive(b"")
        return Cipher(first), Cipher(second)


def receive_exactly(sock, length):
    data = bytearray()
    while len(data) < length:
        part = sock.recv(length - len(data))
        if not part:
            raise EOFError("the other side closed the connection")
        data += part
    return bytes(data)


class Connection:
    """An encrypted connection: whole messages in, whole messages out. Several threads may send, one may receive."""

    def __init__(self, sock, sending, receiving):
        self._socket = sock
        self._sending = sending
        self._receiving = receiving
        # The nonces count messages, so two threads must never encrypt at the same time.
        self._send_lock = threading.Lock()

    def send(self, number, payload):
        extension_type = CHANNEL_BIT if number in CHANNEL_MESSAGES else 0
        header = struct.pack("<HB", extension_type, number) + len(payload).to_bytes(3, "little")
        with self._send_lock:
            data = self._sending.encrypt(header)
            for start in range(0, len(payload), CHUNK_SIZE):
                data += self._sending.encrypt(payload[start : start + CHUNK_SIZE])
            self._socket.sendall(data)

    def receive(self):
        """The next message as (number, Payload, bytes). Raises EOFError when the other side has closed."""
        header = self._receiving.decrypt(receive_exactly(self._socket, HEADER_SIZE + TAG_SIZE))
        number = header[2]
        left = int.from_bytes(header[3:6], "little")
        data = b""
        while left:
            size = min(left, CHUNK_SIZE)
            data += self._receiving.decrypt(receive_exactly(self._socket, size + TAG_SIZE))
            left -= size
        return number, Payload(data), data

    def has_input(self, seconds):
        """Whether something can be received, waiting for it at most so long."""
        return bool(select.select([self._socket], [], [], seconds)[0])

    def close(self):
        close_socket(self._socket)


def close_socket(sock):
    """Closes a socket from any thread: a `recv` that another thread waits in ends."""
    with contextlib.suppress(OSError):  # The other side may have been faster.
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


def accept_handshake(sock, certificate_seconds=3600):
    """The responder's half: proves with a certificate signed by the authority key who is answering."""
    handshake = Handshake()
    theirs = receive_exactly(sock, ENCODING_SIZE)
    handshake.mix_hash(theirs)
    handshake.decrypt(b"")
    ephemeral, static = EphemeralKey(), EphemeralKey()
    handshake.mix_hash(ephemeral.encoding)
    handshake.mix_key(ephemeral.shared_secret(theirs, theirs, ephemeral.encoding))
    response = ephemeral.encoding + handshake.encrypt(static.encoding)
    handshake.mix_key(static.shared_secret(theirs, theirs, static.encoding))
    now = int(time.time())
    certificate = struct.pack("<HII", 0, now, now + certificate_seconds)
    signed = hashlib.sha256(certificate + static.x.to_bytes(32, "big")).digest()
    authority = int.from_bytes(base58check_decode(AUTHORITY_SECRET_KEY), "big")
    response += handshake.encrypt(certificate + schnorr_sign(signed, authority))
    sock.sendall(response)
    from_initiator, from_responder = handshake.split()
    return Connection(sock, from_responder, from_initiator)


def connect_handshake(sock):
    """The initiator's half. Does not check the certificate: the mock miner works for anybody."""
    handshake = Handshake()
    ephemeral = EphemeralKey()
    handshake.mix_hash(ephemeral.encoding)
    handshake.encrypt(b"")
    sock.sendall(ephemeral.encoding)
    response = receive_exactly(sock, RESPONSE_SIZE)
    theirs, response = response[:ENCODING_SIZE], response[ENCODING_SIZE:]
    handshake.mix_hash(theirs)
    handshake.mix_key(ephemeral.shared_secret(theirs, ephemeral.encoding, theirs))
    static = handshake.decrypt(response[: ENCODING_SIZE + TAG_SIZE])
    handshake.mix_key(ephemeral.shared_secret(static, ephemeral.encoding, static))
    handshake.decrypt(response[ENCODING_SIZE + TAG_SIZE :])
    from_initiator, from_responder = handshake.split()
    return Connection(sock, from_initiator, from_responder)


# --- What the listening peers share ---------------------------------------------------------------------


def event(*words):
    """Prints one line of events at once. When nobody reads them any more the peer has no purpose, and ends."""
    try:
        sys.stdout.write(" ".join(str(word) for word in words) + "\n")
        sys.stdout.flush()
    except OSError:
        os._exit(1)


def argument_parser(documentation):
    """A parser whose description is the first paragraph of a peer's module documentation."""
    return argparse.ArgumentParser(description=documentation.split("\n\n")[0])


def positive(text):
    """An argument that must be a number above zero."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number above zero")
    return number


def port(text):
    """An argument that must be a port number; 0 stands for any free one."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port number")
    return number


# What a listener does with a connection: serve it, accept it and say nothing, or accept it and close it.
BEHAVIORS = ("normal", "silent", "close")


def add_lifetime(parser):
    parser.add_argument("--lifetime", type=positive, metavar="SECONDS", help="close every connection so long after its start")


class Listener:
    """One listening port of a peer: each connection is shaken hands with and served in a thread of its own."""

    _numbers = 0
    _open = {}
    # Reentrant, because a signal may arrive while the handler of the one before it holds the lock.
    _lock = threading.RLock()

    def __init__(self, name, port_number, protocol, flags, lifetime, serve, behavior="normal", host=LOOPBACK):
        """`serve` gets (Connection, label) after the handshake and SetupConnection; it returns by raising EOFError.

        `behavior`: one of BEHAVIORS, what becomes of every connection. `host`: the address to listen on.
        """
        self._behavior = behavior
        self._name = name
        self._protocol = protocol
        self._flags = flags
        self._lifetime = lifetime
        self._serve = serve
        try:
            self._socket = socket.create_server((host, port_number))
        except OSError as error:
            sys.exit(f"cannot listen on {host}:{port_number} for the {name}: {os.strerror(error.errno)}")
        self.port = self._socket.getsockname()[1]

    def start(self):
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            sock, _ = self._socket.accept()
            with Listener._lock:
                Listener._numbers += 1
                label = f"{self._name} {Listener._numbers}"
                Listener._open[label] = sock
            if self._behavior == "close":
                event("closed", label, "by this peer")
                Listener._close(label)
            elif self._behavior == "silent":
                event("silent", label)
            else:
                threading.Thread(target=self._connection, args=(sock, label), daemon=True).start()

    def _connection(self, sock, label):
        timer = None
        try:
            connection = accept_handshake(sock)
            event("connected", label)
            self._answer_setup(connection, label)
            if self._lifetime:
                timer = threading.Timer(self._lifetime, Listener._close, (label,))
                timer.daemon = True
                timer.start()
            self._serve(connection, label)
        except (EOFError, OSError) as error:
            event("closed", label, error if label in Listener._open else "by this peer")
        except (ValueError, InvalidTag) as error:
            event("closed", label, "wrong input:", repr(error))
        finally:
            if timer:
                timer.cancel()
            Listener._close(label)

    def _answer_setup(self, connection, label):
        number, payload, _ = connection.receive()
        if number != Common.SetupConnection:
            raise ValueError(f"{message_name(number)} before SetupConnection")
        protocol = payload.u8()
        if protocol != self._protocol:
            error = b"unsupported-protocol"
            connection.send(Common.SetupConnectionError, struct.pack("<I", 0) + b0_255(error))
            raise ValueError(f"asked for protocol {protocol}, this is {self._protocol}")
        connection.send(Common.SetupConnectionSuccess, struct.pack("<HI", PROTOCOL_VERSION, self._flags))
        event("setup", label)

    @classmethod
    def _close(cls, label):
        with cls._lock:
            sock = cls._open.pop(label, None)
        if sock:
            close_socket(sock)

    @classmethod
    def close_connections(cls):
        """Closes every open connection of every listener; they go on listening."""
        for label in list(cls._open):
            cls._close(label)


def listen(*listeners):
    """Announces the listeners on one line and serves until SIGTERM or SIGINT. SIGUSR1 closes the open connections."""
    # The default actions end the process at once, whatever its threads do, also when a parent had them ignored.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGUSR1, lambda *_: Listener.close_connections())
    for listener in listeners:
        listener.start()
    event("listening", *(listener.port for listener in listeners))
    while True:
        signal.pause()
