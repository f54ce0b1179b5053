"""A mock pool with its job declaration server: accepts a client's declared jobs and its shares.

Prints `listening <pool_port> <jds_port>` when it is ready, then one line for each event: `connected`,
`setup`, `received <message>`, `channel <id>`, `job <id>`, `declared`, `declined`, `share ok <n>`,
`share refused <n>`, `silent` and `closed`, those of a connection with its name (`pool 1`, `jds 2`). SIGUSR1 closes
the open connections, SIGTERM ends the process, which makes a client fall back to another upstream or to
solo mining.

It validates nothing: a job is accepted or declined, and a share accepted or refused, as the options say.
"""

import argparse
import itertools
import struct

import sv2

# Every channel of a connection is in this group; the numbers of channels begin after it.
GROUP_CHANNEL_ID = 1
FIRST_CHANNEL_ID = 7
FIRST_JOB_ID = 101
EXTRANONCE_SIZE = 16
# One hash in 128 reaches it: the pool's difficulty is below what the client asks of its miners.
CHANNEL_TARGET = 2**249
# Where the pool wants its share of the reward, with the value left to the client: one output to a P2WPKH script.
COINBASE_OUTPUTS = b"\x01" + struct.pack("<Q", 0) + sv2.b0_255(bytes.fromhex("0014") + bytes(range(20)))

channel_ids = itertools.count(FIRST_CHANNEL_ID)
job_ids = itertools.count(FIRST_JOB_ID)
tokens = itertools.count(1)
share_numbers = itertools.count(1)


def serve_mining(connection, label, arguments):
    """The pool's half: opens channels, accepts custom jobs, judges shares."""
    while True:
        number, payload, _ = connection.receive()
        if number == sv2.Mining.OpenExtendedMiningChannel:
            request, user = payload.u32(), payload.text()
            channel = next(channel_ids)
            connection.send(
                sv2.Mining.OpenExtendedMiningChannelSuccess,
                struct.pack("<II", request, channel)
                + sv2.u256(CHANNEL_TARGET)
                + struct.pack("<H", EXTRANONCE_SIZE)
                + sv2.b0_255(struct.pack(">I", channel))
                + struct.pack("<I", GROUP_CHANNEL_ID),
            )
            sv2.event("channel", channel, label, user)
        elif number == sv2.Mining.SetCustomMiningJob:
            channel, request = payload.u32(), payload.u32()
            job = next(job_ids)
            connection.send(sv2.Mining.SetCustomMiningJobSuccess, struct.pack("<III", channel, request, job))
            sv2.event("job", job, label)
        elif number == sv2.Mining.SubmitSharesExtended:
            channel, sequence = payload.u32(), payload.u32()
            share = next(share_numbers)
            if arguments.reject_shares and share % arguments.reject_shares == 0:
                refusal = struct.pack("<II", channel, sequence) + sv2.b0_255(b"stale-share")
                connection.send(sv2.Mining.SubmitSharesError, refusal)
                sv2.event("share refused", share, label)
            else:
                accepted, difficulty_sum = 1, 1
                receipt = struct.pack("<IIIQ", channel, sequence, accepted, difficulty_sum)
                connection.send(sv2.Mining.SubmitSharesSuccess, receipt)
                sv2.event("share ok", share, label)
        else:
            sv2.event("received", sv2.message_name(number), label)


def serve_job_declaration(connection, label, arguments):
    """The job declaration server's half: hands out tokens and accepts or declines declared jobs."""
    while True:
        number, payload, _ = connection.receive()
        if number == sv2.JobDeclaration.AllocateMiningJobToken:
            payload.text()  # The user's name, of no matter here.
            reply = struct.pack("<I", payload.u32()) + sv2.b0_255(struct.pack("<Q", next(tokens))) + sv2.b0_64k(COINBASE_OUTPUTS)
            connection.send(sv2.JobDeclaration.AllocateMiningJobTokenSuccess, reply)
        elif number == sv2.JobDeclaration.DeclareMiningJob:
            request = struct.pack("<I", payload.u32())
            if arguments.reject_decl:
                connection.send(sv2.JobDeclaration.DeclareMiningJobError, request + sv2.b0_255(b"invalid-job") + sv2.b0_64k(b""))
                sv2.event("declined", label)
            else:
                token = sv2.b0_255(struct.pack("<Q", next(tokens)))
                connection.send(sv2.JobDeclaration.DeclareMiningJobSuccess, request + token)
                sv2.event("declared", label)
        else:
            sv2.event("received", sv2.message_name(number), label)


def count(text):
    """An argument that must be a whole number above zero."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above zero")
    return number


def main():
    parser = sv2.argument_parser(__doc__)
    parser.add_argument("--host", default=sv2.LOOPBACK, help="the address to listen on; default: %(default)s")
    parser.add_argument("--port", type=sv2.port, default=0, help="the pool's port; 0, the default, is any free one")
    parser.add_argument("--jds-port", type=sv2.port, default=0, help="the job declaration server's port, likewise")
    parser.add_argument("--pool", choices=sv2.BEHAVIORS, default="normal", help="what the pool does with connections")
    parser.add_argument("--jds", choices=sv2.BEHAVIORS, default="normal", help="what the job declaration server does with them")
    parser.add_argument("--reject-decl", action="store_true", help="decline every declared job")
    parser.add_argument("--reject-shares", type=count, metavar="N", help="refuse every N-th share as stale; default: none")
    sv2.add_lifetime(parser)
    arguments = parser.parse_args()
    sv2.listen(
        sv2.Listener(
            "pool",
            arguments.port,
            sv2.Protocol.Mining,
            flags=0,
            lifetime=arguments.lifetime,
            serve=lambda connection, label: serve_mining(connection, label, arguments),
            behavior=arguments.pool,
            host=arguments.host,
        ),
        sv2.Listener(
            "jds",
            arguments.jds_port,
            sv2.Protocol.JobDeclaration,
            flags=sv2.DECLARE_TX_DATA,
            lifetime=arguments.lifetime,
            serve=lambda connection, label: serve_job_declaration(connection, label, arguments),
            behavior=arguments.jds,
            host=arguments.host,
        ),
    )


if __name__ == "__main__":
    main()
