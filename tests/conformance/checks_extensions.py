"""What a server may offer beside RFC 8656: behaviour discovery (RFC 5780), TCP allocations (RFC 6062)
and mobility (RFC 8016). Where it does not, the items do not apply."""

import select
import time

from checks import *  # noqa: F403
from stun_wire import *  # noqa: F403

CONNECT, CONNECTION_BIND, CONNECTION_ATTEMPT = 10, 11, 12
CHANGE_REQUEST, PADDING, RESPONSE_PORT, CONNECTION_ID = 0x0003, 0x0026, 0x0027, 0x002A
MOBILITY_TICKET, RESPONSE_ORIGIN, OTHER_ADDRESS = 0x8030, 0x802B, 0x802C
TCP = struct.pack("!BBBB", 6, 0, 0, 0)


# ---------------------------------------------------------------- RFC 5780


class Stranger:
    """A UDP socket that hears from anywhere."""

    def __init__(self, target):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((target.server[0], 0))
        self.socket.settimeout(target.patience)
        self.address = self.socket.getsockname()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, to, attributes=b""):
        packet = build(BINDING, REQUEST, attributes, os.urandom(12))
        self.socket.sendto(packet, to)
        return packet

    def hear(self):
        raw, source = self.socket.recvfrom(65536)
        return Message(raw), source

    def ask(self, to, attributes=b""):
        self.send(to, attributes)
        return self.hear()


def plain_address(value):
    """The layout of MAPPED-ADDRESS, IPv4."""
    return (socket.inet_ntop(socket.AF_INET, value[4:8]), struct.unpack("!H", value[2:4])[0])


def change(address=False, port=False):
    return attribute(CHANGE_REQUEST, struct.pack("!I", 4 * address + 2 * port))


def response_port(port):
    return attribute(RESPONSE_PORT, struct.pack("!HH", port, 0))


def discovery(stranger, target):
    """The answer to a plain Binding request, of a server that has another address."""
    answer, _ = stranger.ask(target.server)
    expect_success(answer)
    if not answer.has(OTHER_ADDRESS):
        raise NotApplicable("not offered")
    return answer


@check("R.5780", "without another address CHANGE-REQUEST is 420")
def _(target):
    with Stranger(target) as stranger:
        answer, _ = stranger.ask(target.server)
        if answer.has(OTHER_ADDRESS):
            raise NotApplicable("has another address")
        answer, _ = stranger.ask(target.server, change(True, True))
        expect_code(answer, 420)


@check("R.5780", "an answer has both mapped addresses, its origin and the other address")
def _(target):
    with Stranger(target) as stranger:
        answer = discovery(stranger, target)
        expect(answer.address(XOR_MAPPED) == stranger.address, "the mapped address is not mine")
        expect(answer.has(MAPPED_ADDRESS), "no MAPPED-ADDRESS")
        expect(plain_address(answer.get(MAPPED_ADDRESS)) == stranger.address, "MAPPED-ADDRESS is not mine")
        expect(answer.has(RESPONSE_ORIGIN), "no RESPONSE-ORIGIN")
        expect(plain_address(answer.get(RESPONSE_ORIGIN)) == target.server, "another origin")
        other = plain_address(answer.get(OTHER_ADDRESS))
        expect(other[0] != target.server[0] and other[1] != target.server[1], f"OTHER-ADDRESS is {other}")


@check("R.5780", "CHANGE-REQUEST: the answer leaves from where table 1 says, from all four addresses")
def _(target):
    with Stranger(target) as stranger:
        other = plain_address(discovery(stranger, target).get(OTHER_ADDRESS))
        hosts, ports = (target.server[0], other[0]), (target.server[1], other[1])
        for asked in range(4):
            to = (hosts[asked // 2], ports[asked % 2])
            for address, port in [(False, False), (False, True), (True, False), (True, True)]:
                answer, source = stranger.ask(to, change(address, port))
                wanted = (hosts[asked // 2 ^ address], ports[asked % 2 ^ port])
                expect_success(answer)
                expect(source == wanted, f"{to} answers from {source} instead of {wanted}")
                expect(plain_address(answer.get(RESPONSE_ORIGIN)) == wanted, "RESPONSE-ORIGIN says otherwise")


@check("R.5780", "RESPONSE-PORT: the answer arrives at that port")
def _(target):
    with Stranger(target) as one, Stranger(target) as two:
        discovery(one, target)
        one.send(target.server, response_port(two.address[1]))
        one.socket.settimeout(target.patience)
        ready, _, _ = select.select([one.socket, two.socket], [], [], target.patience)
        expect(ready, "no answer")
        if one.socket in ready:
            answer, _ = one.hear()
            if answer.code() == 420:
                raise NotApplicable("RESPONSE-PORT is not supported")
            raise Fail(f"{answer.describe()} at the port that asked")
        answer, _ = two.hear()
        expect_success(answer)
        expect(answer.address(XOR_MAPPED) == one.address, "the mapped address is not the asker's")


@check("R.5780", "PADDING is answered with PADDING, with RESPONSE-PORT 400")
def _(target):
    with Stranger(target) as one, Stranger(target) as two:
        discovery(one, target)
        answer, _ = one.ask(target.server, attribute(PADDING, bytes(1500)))
        expect(expect_success(answer).has(PADDING), "no PADDING")
        one.send(target.server, attribute(PADDING, bytes(100)) + response_port(two.address[1]))
        ready, _, _ = select.select([one.socket, two.socket], [], [], target.patience)
        expect(ready == [one.socket], "no answer" if not ready else "processed, though §7.5 forbids it")
        expect_code(one.hear()[0], 400, 420)


@check("R.5780", "over TCP the other address is told, too")
def _(target):
    with Stranger(target) as stranger:
        other = discovery(stranger, target).get(OTHER_ADDRESS)
    with Client(target, tcp=True) as client:
        answer = expect_success(client.exchange(client.plain(BINDING)))
        expect(answer.get(OTHER_ADDRESS) == other, "another one, or none")


# ---------------------------------------------------------------- RFC 6062


class TcpPeer:
    """A peer that listens on the peers' address."""

    def __init__(self, target):
        self.socket = socket.create_server((target.peer_address, 0))
        self.socket.settimeout(target.patience)
        self.address = self.socket.getsockname()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def accept(self, target):
        connection, _ = self.socket.accept()
        connection.settimeout(target.patience)
        return connection


def tcp_allocation(client):
    answer = client.ask(ALLOCATE, attribute(TRANSPORT, TCP))
    if answer.code() == 442:
        raise NotApplicable("not offered")
    return expect_success(answer)


def data_connection(target, client, connection_id, user=None):
    """A new connection with the answer to its ConnectionBind, first with the nonce at hand."""
    data = Client(target, user=user, tcp=True)
    wanted = attribute(CONNECTION_ID, connection_id)
    data.realm, data.nonce = client.realm, client.nonce
    answer = data.exchange(data.signed(CONNECTION_BIND, wanted))
    if answer.code() in (401, 438):
        data.learn(answer)
        answer = data.exchange(data.signed(CONNECTION_BIND, wanted))
    return data, answer


def exactly(connection, size):
    received = b""
    while len(received) < size:
        piece = connection.recv(size - len(received))
        expect(piece, f"ended after {received}")
        received += piece
    return received


def expect_both_ways(data, remote):
    data.send_raw(b"to the peer")
    expect(exactly(remote, 11) == b"to the peer", "the peer hears something else")
    remote.sendall(b"to the client")
    expect(exactly(data.socket, 13) == b"to the client", "the client hears something else")


def expect_end(connection):
    """By FIN or by reset, without another byte before it."""
    try:
        expect(connection.recv(1) == b"", "bytes instead of the end")
    except ConnectionError:
        pass


@check("R.6062", "Connect and ConnectionBind: bytes pass both ways, an end ends both")
def _(target):
    with Client(target, tcp=True) as client, TcpPeer(target) as peer:
        relay = tcp_allocation(client).address(XOR_RELAYED)
        expect_success(client.permit(peer.address))
        answer = expect_success(client.ask(CONNECT, client.peers(peer.address)))
        with peer.accept(target) as remote:
            expect(remote.getpeername()[1] == relay[1], "the connection does not come from the relayed address")
            data, bound = data_connection(target, client, answer.get(CONNECTION_ID))
            with data.socket:
                expect_success(bound)
                expect_both_ways(data, remote)
                remote.shutdown(socket.SHUT_WR)
                expect_end(data.socket)


@check("R.6062", "a permitted peer that connects becomes a ConnectionAttempt, another is turned away")
def _(target):
    with Client(target, tcp=True) as client:
        relay = (target.peer_address, tcp_allocation(client).address(XOR_RELAYED)[1])
        expect_success(client.permit((target.second_peer_address, 0)))
        with socket.create_connection(relay, target.patience, (target.peer_address, 0)) as stranger:
            expect_end(stranger)
        with socket.create_connection(relay, target.patience, (target.second_peer_address, 0)) as remote:
            attempt = Message(client.receive())
            expect(attempt.kind == INDICATION and attempt.method == CONNECTION_ATTEMPT, "something else came")
            expect(attempt.address(XOR_PEER) == remote.getsockname(), "another peer is named")
            data, bound = data_connection(target, client, attempt.get(CONNECTION_ID))
            with data.socket:
                expect_success(bound)
                expect_both_ways(data, remote)


@check("R.6062", "Connect: no peer 400, a forbidden one 403, one that refuses 447, the same again 446")
def _(target):
    with Client(target, tcp=True) as client, TcpPeer(target) as peer:
        tcp_allocation(client)
        with socket.create_server((target.peer_address, 0)) as gone:
            closed = gone.getsockname()
        expect_code(client.ask(CONNECT), 400)
        expect_code(client.ask(CONNECT, client.peers(("224.0.0.1", 4000))), 403)
        expect_success(client.permit(peer.address))
        expect_code(client.ask(CONNECT, client.peers(closed)), 447)
        expect_success(client.ask(CONNECT, client.peers(peer.address)))
        expect_code(client.ask(CONNECT, client.peers(peer.address)), 446)


@check("R.6062", "ConnectionBind: an unknown connection 400, another user is refused")
def _(target):
    with Client(target, tcp=True) as client, TcpPeer(target) as peer:
        tcp_allocation(client)
        expect_success(client.permit(peer.address))
        answer = expect_success(client.ask(CONNECT, client.peers(peer.address)))
        data, bound = data_connection(target, client, b"\x7f\x7f\x7f\x7f")
        with data.socket:
            expect_code(bound, 400)
        if target.other_user:
            data, bound = data_connection(target, client, answer.get(CONNECTION_ID), target.other_user)
            with data.socket:
                expect(bound.kind == ERROR, "joined to another user's connection")


@check("R.6062", "a TCP allocation over UDP is 400, ChannelBind on one is refused")
def _(target):
    with Client(target, tcp=True) as client:
        tcp_allocation(client)
        expect_code(client.bind(0x4000, (target.peer_address, 40000)), 400, 403)
    with Client(target) as client:
        expect_code(client.ask(ALLOCATE, attribute(TRANSPORT, TCP)), 400)


@check("R.6062", "the end of the control connection ends its data connections within a second")
def _(target):
    with Client(target, tcp=True) as client, TcpPeer(target) as peer:
        tcp_allocation(client)
        expect_success(client.permit(peer.address))
        answer = expect_success(client.ask(CONNECT, client.peers(peer.address)))
        with peer.accept(target) as remote:
            data, bound = data_connection(target, client, answer.get(CONNECTION_ID))
            with data.socket:
                expect_success(bound)
                expect_both_ways(data, remote)
                begin = time.monotonic()
                client.socket.shutdown(socket.SHUT_RDWR)
                for end in (remote, data.socket):
                    expect_end(end)
                expect(time.monotonic() - begin < 1.0, "later than a second")


# ---------------------------------------------------------------- RFC 8016


@check("R.8016", "an allocation follows its client to another port, a forged ticket does not move it")
def _(target):
    with Client(target) as before, Client(target) as after, Peer(target) as peer:
        answer = before.allocate(attribute(MOBILITY_TICKET))
        if not expect_success(answer).has(MOBILITY_TICKET):
            raise NotApplicable("not offered")
        relay = relayed(target, answer)
        ticket = answer.get(MOBILITY_TICKET)
        expect_success(before.permit(peer.address))
        forged = ticket[:-1] + bytes([ticket[-1] ^ 1])
        expect(after.ask(REFRESH, attribute(MOBILITY_TICKET, forged)).kind == ERROR, "moved by a forged ticket")
        peer.send(b"still here", relay)
        expect(Message(before.receive()).get(DATA_VALUE) == b"still here", "it has moved")
        moved = expect_success(after.ask(REFRESH, attribute(MOBILITY_TICKET, ticket)))
        expect(moved.has(MOBILITY_TICKET) and moved.get(MOBILITY_TICKET) != ticket, "no new ticket")
        # A server may wait for data from the new place before it sends there.
        after.send_indication(peer.address, b"from the new place")
        expect(peer.receive()[0] == b"from the new place", "the peer hears something else")
        peer.send(b"to the new place", relay)
        expect(Message(after.receive()).get(DATA_VALUE) == b"to the new place", "it is sent elsewhere")
