"""The checklist from Allocate on: RFC 8656."""

import time

from checks import *  # noqa: F403
from stun_wire import *  # noqa: F403


@check("B.30", "Allocate without REQUESTED-TRANSPORT: 400, with an unsupported one: 442")
def _(target):
    with Client(target) as client:
        expect_code(client.ask(ALLOCATE), 400)
        expect_code(client.ask(ALLOCATE, attribute(TRANSPORT, b"\x7b\0\0\0")), 442)


@check("B.30", "a second Allocate on the 5-tuple: 437")
def _(target):
    with Client(target) as client:
        expect_success(client.allocate())
        expect_code(client.allocate(), 437)


@check("B.31", "a retransmitted Allocate gets the identical success")
def _(target):
    with Client(target) as client:
        client.challenge()
        packet = client.signed(ALLOCATE, attribute(TRANSPORT, UDP))
        first = expect_success(client.exchange(packet))
        expect(client.exchange(packet).raw == first.raw, "another answer")


@check("B.32", "RESERVATION-TOKEN: with EVEN-PORT 400, unknown 508")
def _(target):
    with Client(target) as client:
        token = attribute(TOKEN, bytes(8))
        expect_code(client.allocate(token + attribute(EVEN_PORT, b"\0")), 400)
        expect_code(client.allocate(token), 508)


@check("B.32", "EVEN-PORT with R reserves the next port, for one use of the token")
def _(target):
    with Client(target) as one, Client(target) as two, Client(target) as three:
        answer = expect_success(one.allocate(attribute(EVEN_PORT, b"\x80")))
        expect(answer.has(TOKEN), "no RESERVATION-TOKEN")
        token = attribute(TOKEN, answer.get(TOKEN))
        second = expect_success(two.allocate(token))
        port = answer.address(XOR_RELAYED)[1]
        expect(port % 2 == 0, f"port {port} is odd")
        expect(second.address(XOR_RELAYED)[1] == port + 1, "not the next port")
        expect_code(three.allocate(token), 508)


@check("B.33", "address family attributes: contradictions 400, unknown families 440")
def _(target):
    with Client(target) as client:
        both = family(FAMILY, 1) + family(ADDITIONAL_FAMILY, 2)
        expect_code(client.allocate(both), 400)
        expect_code(client.allocate(family(ADDITIONAL_FAMILY, 1)), 400)
        expect_code(client.allocate(family(ADDITIONAL_FAMILY, 2) + attribute(EVEN_PORT, b"\x80")), 400)
        expect_code(client.allocate(family(FAMILY, 9)), 440)
        answer = expect_success(client.allocate())
        expect(":" not in answer.address(XOR_RELAYED)[0], "IPv6 without asking for it")


@check("B.34", "a dual request succeeds, with ADDRESS-ERROR-CODE when one family is missing")
def _(target):
    with Client(target) as client:
        answer = expect_success(client.allocate(family(ADDITIONAL_FAMILY, 2)))
        count = len(answer.addresses(XOR_RELAYED))
        expect(count == 2 or answer.has(ADDRESS_ERROR), "one address and no ADDRESS-ERROR-CODE")


@check("B.35", "lifetimes: 10 s becomes 600 s, 100000 s at most an hour")
def _(target):
    with Client(target) as client:
        answer = expect_success(client.allocate(lifetime(10)))
        expect(answer.u32(LIFETIME) == 600, f"{answer.u32(LIFETIME)} s for 10 s")
        answer = expect_success(client.ask(REFRESH, lifetime(100000)))
        expect(answer.u32(LIFETIME) <= 3600, f"{answer.u32(LIFETIME)} s for 100000 s")


@check("B.36", "relay ports are dynamic ones and no sequence")
def _(target):
    ports = []
    for _ in range(4):
        with Client(target) as client:
            ports.append(expect_success(client.allocate()).address(XOR_RELAYED)[1])
    expect(all(port >= 49152 for port in ports), f"ports {ports}")
    expect(any(abs(a - b) > 2 for a, b in zip(ports, ports[1:])), f"predictable: {ports}")


@check("B.37", "the success has relayed and mapped address and lifetime")
def _(target):
    with Client(target) as client:
        answer = expect_success(client.allocate())
        missing = [name for name, kind in [("XOR-RELAYED-ADDRESS", XOR_RELAYED), ("LIFETIME", LIFETIME)] if not answer.has(kind)]
        expect(not missing, ", ".join(missing))
        expect(answer.address(XOR_MAPPED) == client.socket.getsockname(), "the mapped address is not mine")
        expect(answer.signed_with(client.key()), "no valid integrity")


@check("B.39", "Refresh with 0 deletes at once; again: 437; then the 5-tuple may allocate")
def _(target):
    with Client(target) as client:
        expect_success(client.allocate())
        expect(expect_success(client.ask(REFRESH, lifetime(0))).u32(LIFETIME) == 0, "LIFETIME is not 0")
        expect_code(client.ask(REFRESH, lifetime(0)), 437)
        expect_success(client.allocate())


@check("B.40", "Refresh of another family: 443")
def _(target):
    with Client(target) as client:
        expect_success(client.allocate())
        expect_code(client.ask(REFRESH, family(FAMILY, 2)), 443)


@check("B.41", "without an allocation: requests 437, indications and ChannelData silence")
def _(target):
    peer = (target.peer_address, 40000)
    with Client(target) as client:
        expect_code(client.ask(REFRESH), 437)
        expect_code(client.permit(peer), 437)
        expect_code(client.bind(0x4000, peer), 437)
        expect_silence(client, client.plain(SEND, client.peers(peer) + attribute(DATA_VALUE, b"x"), kind=INDICATION))
        expect_silence(client, struct.pack("!HH", 0x4000, 4) + b"data")


def expect_unheard(client, stranger, known, relay):
    """Nothing from `stranger` passes: what `known` sends behind it on the same relay port comes first."""
    stranger.send(b"must not pass", relay)
    known.send(b"marker", relay)
    heard = Message(client.receive()).get(DATA_VALUE)
    expect(heard == b"marker", f"heard {heard}")


@check("B.43", "CreatePermission: no peer 400, port 0 legal, a forbidden one in a list 403 for all")
def _(target):
    with Client(target) as client, Peer(target) as peer, Peer(target, target.second_peer_address) as known:
        relay = relayed(target, client.allocate())
        expect_code(client.permit(), 400)
        expect_success(client.permit(known.address))
        expect_code(client.permit(peer.address, ("224.0.0.1", 4000)), 403)
        expect_unheard(client, peer, known, relay)
        expect_success(client.permit((target.peer_address, 0)))
        peer.send(b"passes", relay)
        expect(Message(client.receive()).get(DATA_VALUE) == b"passes", "port 0 gives no permission")


@check("B.43", "a peer of another family: 443")
def _(target):
    with Client(target) as client:
        expect_success(client.allocate())
        transaction = os.urandom(12)
        body = attribute(XOR_PEER, xor_address("2606:4700::1", 4000, transaction)) + client.credentials()
        answer = client.exchange(build(CREATE_PERMISSION, REQUEST, body, transaction, key=client.key()))
        expect_code(answer, 443)


@check("B.45", "Send: nothing without a permission, an empty DATA is an empty datagram")
def _(target):
    with Client(target) as client, Peer(target) as peer:
        relayed(target, client.allocate())
        client.send_indication(peer.address, b"no permission")
        expect_success(client.permit(peer.address))
        client.send_raw(client.plain(SEND, client.peers(peer.address), kind=INDICATION))  # no DATA
        client.send_indication(peer.address, b"")
        expect(peer.receive()[0] == b"", "something else came first")


@check("B.47", "peers without a permission are not heard; the port does not matter")
def _(target):
    with Client(target) as client, Peer(target) as stranger, Peer(target, target.second_peer_address) as known:
        relay = relayed(target, client.allocate())
        expect_success(client.permit((target.second_peer_address, 0)))
        expect_unheard(client, stranger, known, relay)


@check("B.48", "an ICMP error comes back as a Data indication with the ICMP attribute")
def _(target):
    with Client(target) as client:
        expect_success(client.allocate())
        with Peer(target) as gone:
            closed = gone.address
        expect_success(client.permit(closed))
        client.send_indication(closed, b"anybody there?")
        try:
            answer = Message(client.receive())
        except TimeoutError:
            raise Fail("nothing came back") from None
        expect(answer.has(ICMP) and not answer.has(DATA_VALUE), "no ICMP attribute, or with DATA")
        expect(answer.address(XOR_PEER) == closed, "another peer is named")


@check("B.49", "a Data indication has no integrity and names the real source")
def _(target):
    with Client(target) as client, Peer(target) as peer:
        relay = relayed(target, client.allocate())
        expect_success(client.permit(peer.address))
        peer.send(b"media", relay)
        answer = Message(client.receive())
        expect(answer.kind == INDICATION and answer.method == DATA, "not a Data indication")
        expect(answer.address(XOR_PEER) == peer.address, "another source")
        expect(not answer.has(INTEGRITY) and not answer.has(INTEGRITY_SHA256), "it has integrity")


@check("B.50", "channel numbers outside of 0x4000 to 0x4FFF: 400")
def _(target):
    with Client(target) as client:
        expect_success(client.allocate())
        taken = [hex(n) for n in (0x3FFF, 0x5000, 0x7FFF, 0xFFFF) if client.bind(n, (target.peer_address, 40000)).code() != 400]
        expect(not taken, "accepted or refused otherwise: " + ", ".join(taken))


@check("B.51", "a bound channel or peer cannot be bound otherwise (400), the same again is a refresh")
def _(target):
    one, two = (target.peer_address, 40000), (target.peer_address, 40001)
    with Client(target) as client:
        expect_success(client.allocate())
        expect_success(client.bind(0x4000, one))
        expect_code(client.bind(0x4000, two), 400)
        expect_code(client.bind(0x4001, one), 400)
        expect_success(client.bind(0x4000, one))


@check("B.52", "ChannelBind: a forbidden peer 403, a missing attribute 400")
def _(target):
    with Client(target) as client:
        expect_success(client.allocate())
        expect_code(client.bind(0x4000, ("224.0.0.1", 4000)), 403)
        expect_code(client.ask(CHANNEL_BIND, attribute(CHANNEL_NUMBER, b"\x40\0\0\0")), 400)
        expect_code(client.ask(CHANNEL_BIND, client.peers((target.peer_address, 40000))), 400)


@check("B.53", "once bound, the peer's data comes as ChannelData")
def _(target):
    with Client(target) as client, Peer(target) as peer:
        relay = relayed(target, client.allocate())
        expect_success(client.bind(0x4ABC, peer.address))
        peer.send(b"media", relay)
        heard = client.receive()
        expect(heard[:9] == b"\x4a\xbc\0\5media", "something else")


@check("B.54", "ChannelData: too short dropped, trailing bytes and length 0 accepted")
def _(target):
    with Client(target) as client, Peer(target) as peer:
        relay = relayed(target, client.allocate())
        expect_success(client.bind(0x4000, peer.address))
        client.send_raw(struct.pack("!HH", 0x4000, 9) + b"short")
        client.channel_data(0x4000, b"media", trailer=b"\0\0\0")
        expect(peer.receive()[0] == b"media", "the padding was sent, or the short one")
        client.channel_data(0x4000, b"")
        expect(peer.receive()[0] == b"", "no empty datagram")
        peer.send(b"", relay)
        expect(client.receive()[:4] == b"\x40\0\0\0", "no empty ChannelData")


@check("B.54", "over TCP ChannelData is padded to 4, the padding not in the length")
def _(target):
    with Client(target, tcp=True) as client, Peer(target) as peer:
        relay = relayed(target, client.allocate())
        expect_success(client.bind(0x4000, peer.address))
        client.channel_data(0x4000, b"media")
        client.channel_data(0x4000, b"again")
        expect([peer.receive()[0] for _ in range(2)] == [b"media", b"again"], "cut otherwise")
        peer.send(b"media", relay)
        expect(client.receive() == b"\x40\0\0\5media\0\0\0", "not padded with zeros")


@check("B.55", "ChannelData on an unbound channel is dropped")
def _(target):
    with Client(target) as client, Peer(target) as peer:
        relayed(target, client.allocate())
        expect_success(client.bind(0x4000, peer.address))
        client.channel_data(0x4001, b"nowhere")
        client.channel_data(0x4000, b"here")
        expect(peer.receive()[0] == b"here", "relayed")


@check("B.57", "other first bytes are dropped on UDP and end a TCP connection")
def _(target):
    with Client(target) as client:
        for first in (4, 15, 0x50, 0x7F, 0x80, 0xFF):
            expect_silence(client, bytes([first]) + bytes(31))
    with Client(target, tcp=True) as client:
        client.send_raw(b"\xff" * 32)
        try:
            client.receive()
            raise Fail("answered")
        except TimeoutError:
            raise Fail("the connection stays open") from None
        except (EOFError, ConnectionError):
            pass


@check("B.58", "the end of a TCP connection deletes its allocation within a second")
def _(target):
    with Client(target, tcp=True) as client, Peer(target) as peer:
        relay = relayed(target, client.allocate())
        peer.socket.connect(relay)
        client.socket.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + 1.0
        # A closed port answers the peer's datagram with an ICMP error, seen by its next call.
        while time.monotonic() < deadline:
            try:
                peer.socket.send(b"still there?")
                peer.socket.settimeout(0.02)
                peer.socket.recv(1)
            except TimeoutError:
                continue
            except ConnectionRefusedError:
                return
        raise Fail("the relay port is still open")


@check("B.63", "relay to relay: two allocations of this server talk to each other")
def _(target):
    with Client(target) as one, Client(target, tcp=True) as two:
        first = expect_success(one.allocate()).address(XOR_RELAYED)
        second = expect_success(two.allocate()).address(XOR_RELAYED)
        expect_success(one.permit(second))
        expect_success(two.bind(0x4000, first))
        one.send_indication(second, b"hello")
        expect(two.receive()[:9] == b"\x40\0\0\5hello", "something else came")
        two.channel_data(0x4000, b"hi")
        answer = Message(one.receive())
        expect(answer.get(DATA_VALUE) == b"hi" and answer.address(XOR_PEER) == second, "something else came back")


@check("B.64", "our own listening port is refused as a peer")
def _(target):
    with Client(target) as client:
        expect_success(client.allocate())
        expect_code(client.bind(0x4000, target.server), 403)


@check("B.66", "DONT-FRAGMENT is accepted, or refused by name")
def _(target):
    with Client(target) as client:
        answer = client.allocate(attribute(DONT_FRAGMENT))
        if answer.kind != SUCCESS:
            expect_code(answer, 420)
            expect(answer.get(UNKNOWN)[:2] == struct.pack("!H", DONT_FRAGMENT), "not named")


def not_seen(line, text, reason):
    def never(_):
        raise NotApplicable(reason)

    CHECKS.append((line, text, never))


not_seen("A.8", "nothing is stored before valid integrity", "memory is not seen from outside")
not_seen("B.10", "XOR-MAPPED-ADDRESS of IPv6 clients", "this run uses IPv4")
not_seen("B.19", "a nonce lives at most an hour", "takes an hour")
not_seen("B.38", "quotas: 486 and 508", "depends on what is configured")
not_seen("B.44", "a permission lives exactly 300 s", "takes five minutes")
not_seen("B.61", "IPv4-mapped clients are reported as IPv4", "depends on the listener")
not_seen("B.62", "answers leave from the address that was asked", "one address here")
not_seen("B.65", "a flood costs no memory", "the flood test and the bench measure it")
