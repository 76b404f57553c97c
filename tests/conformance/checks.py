"""The checklist, line by line, as far as it can be seen from outside. Every check opens its own
sockets; silence is proven without waiting: the next thing heard must be the answer to a Binding."""

import os
import socket
import struct

from stun_wire import *  # noqa: F403 - the words of the protocol

CHECKS = []


class Fail(Exception):
    pass


class NotApplicable(Exception):
    pass


def check(line, text):
    def add(function):
        CHECKS.append((line, text, function))
        return function

    return add


def expect(holds, reason):
    if not holds:
        raise Fail(reason)


def expect_code(answer, *codes):
    expect(answer.code() in codes, f"{answer.describe()} instead of {' or '.join(map(str, codes))}")
    return answer


def expect_success(answer):
    expect(answer.kind == SUCCESS, f"{answer.describe()} instead of success")
    return answer


def expect_silence(client, packet):
    """Nothing answers `packet`: the Binding sent behind it is answered first."""
    client.send_raw(packet)
    probe = client.plain(BINDING)
    client.send_raw(probe)
    answer = Message(client.receive())
    expect(answer.transaction == probe[8:20], f"answered with {answer.describe()}")


class Peer:
    """A UDP socket on the peers' address."""

    def __init__(self, target, address=None):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address or target.peer_address, 0))
        self.socket.settimeout(target.patience)
        self.address = self.socket.getsockname()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def receive(self):
        return self.socket.recvfrom(65536)

    def send(self, payload, to):
        self.socket.sendto(payload, to)


def relayed(target, answer):
    """Where peers reach the allocation: the relayed address, or the test server's for a mapped one."""
    return (target.peer_address, expect_success(answer).address(XOR_RELAYED)[1])


def lifetime(seconds):
    return attribute(LIFETIME, struct.pack("!I", seconds))


def family(kind, number):
    return attribute(kind, struct.pack("!BBH", number, 0, 0))


PRIVATE = ["10.0.0.1", "100.64.0.1", "169.254.169.254", "172.16.0.1", "192.168.0.1", "192.0.2.1", "198.18.0.1"]
NEVER = ["0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1"]


@check("A.3", "peers in special-purpose ranges are refused by default")
def _(target):
    with Client(target) as client:
        expect_success(client.allocate())
        taken = [host for host in PRIVATE + NEVER if client.permit((host, 4000)).code() != 403]
        expect(not taken, "permission granted for " + ", ".join(taken))


@check("A.6", "peer ports of well-known services are refused")
def _(target):
    with Client(target) as client:
        expect_success(client.allocate())
        expect_code(client.bind(0x4000, (target.peer_address, 25)), 403)


@check("A.9", "the answer to a stranger's Binding is 32 bytes, to an Allocate at most six times the request")
def _(target):
    with Client(target) as client:
        size = len(client.exchange(client.plain(BINDING)).raw)
        request = client.plain(ALLOCATE, attribute(TRANSPORT, UDP))
        ratio = len(client.exchange(request).raw) / len(request)
        expect(size == 32, f"Binding answered with {size} bytes")
        expect(ratio <= 6, f"401 is {ratio:.1f} times the request")


@check("A.7", "RFC 3489 clients (no magic cookie) are not answered")
def _(target):
    with Client(target) as client:
        expect_silence(client, struct.pack("!HH", 1, 0) + os.urandom(16))


@check("B.1", "what is not a STUN message is dropped in silence")
def _(target):
    with Client(target) as client:
        good = client.plain(BINDING)
        for broken in [
            b"\x80" + good[1:],
            good[:4] + b"\0\0\0\0" + good[8:],
            good + b"\0\0",
            good[:2] + b"\0\4" + good[4:],
            good[:10],
        ]:
            expect_silence(client, broken)


@check("B.2", "unknown attributes in an indication are not answered")
def _(target):
    with Client(target) as client:
        expect_silence(client, client.plain(BINDING, attribute(0x7001, b"x"), kind=INDICATION))
        expect_silence(client, client.plain(SEND, attribute(0x7001, b"x"), kind=INDICATION))
        expect_silence(client, client.plain(BINDING, kind=SUCCESS))


@check("B.3", "420 lists all unknown required attributes, optional ones are ignored")
def _(target):
    with Client(target) as client:
        expect_success(client.exchange(client.plain(BINDING, attribute(0x8FFE, b"optional"))))
        unknown = attribute(0x7001) + attribute(0x7002, b"abc") + attribute(0x8FFF)
        answer = expect_code(client.exchange(client.plain(BINDING, unknown)), 420)
        listed = set(struct.unpack(f"!{len(answer.get(UNKNOWN)) // 2}H", answer.get(UNKNOWN)))
        expect(listed == {0x7001, 0x7002}, f"lists {sorted(map(hex, listed))}")


@check("B.4", "the first of two attributes counts")
def _(target):
    with Client(target) as client:
        expect_success(client.ask(ALLOCATE, attribute(TRANSPORT, UDP) + attribute(TRANSPORT, b"\x06\0\0\0")))


@check("B.5", "attributes behind the integrity are ignored")
def _(target):
    with Client(target) as client:
        expect_success(client.allocate(after=attribute(0x7001, b"late")))


@check("B.6", "integrity is checked without a FINGERPRINT behind it")
def _(target):
    with Client(target) as client:
        expect_success(client.allocate(fingerprint=True))


@check("B.7", "MESSAGE-INTEGRITY-SHA256 of a wrong length is not accepted")
def _(target):
    with Client(target) as client:
        client.challenge()
        body = attribute(TRANSPORT, UDP) + client.credentials()
        packet = client.plain(ALLOCATE, body + attribute(INTEGRITY_SHA256, bytes(12)))
        client.send_raw(packet)
        probe = client.plain(BINDING)
        client.send_raw(probe)
        answer = Message(client.receive())
        expect(answer.kind != SUCCESS or answer.transaction == probe[8:20], "an allocation was made")


@check("B.8", "a wrong FINGERPRINT is dropped, a right one is answered with one")
def _(target):
    with Client(target) as client:
        good = client.plain(BINDING, fingerprint=True)
        expect_silence(client, good[:-1] + bytes([good[-1] ^ 1]))
        answer = client.exchange(good)
        expect(answer.has(FINGERPRINT), "the answer has no FINGERPRINT")
        expect(answer.attributes[-1][0] == FINGERPRINT, "FINGERPRINT is not the last")


@check("B.9", "padding is ignored on input and zero on output")
def _(target):
    with Client(target) as client:
        answer = client.challenge()
        expect(all(not any(padding) for *_, padding in answer.attributes), "padding of the 401 is not zero")
        body = attribute(TRANSPORT, UDP) + attribute(0x8FFE, b"abc", pad=b"\xee")
        expect_success(client.ask(ALLOCATE, body))


@check("B.11", "error codes have class 3 to 6 and number 0 to 99")
def _(target):
    with Client(target) as client:
        value = client.challenge().get(ERROR_CODE)
        expect(3 <= value[2] <= 6 and value[3] <= 99 and value[:2] == b"\0\0", value.hex())


@check("B.12", "over TCP messages arrive byte by byte and several at once")
def _(target):
    with Client(target, tcp=True) as client:
        packet = client.plain(BINDING)
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(packet)):
            client.send_raw(packet[at : at + 1])
        expect(Message(client.receive()).transaction == packet[8:20], "another answer")
        first, second = client.plain(BINDING), client.plain(BINDING)
        client.send_raw(first + second)
        expect(Message(client.receive()).transaction == first[8:20], "the first is not answered")
        expect(Message(client.receive()).transaction == second[8:20], "the second is not answered")


@check("B.13", "no integrity: 401 with REALM and NONCE, without USERNAME and integrity")
def _(target):
    with Client(target) as client:
        answer = expect_code(client.challenge(), 401)
        expect(answer.has(REALM) and answer.has(NONCE), "REALM or NONCE is missing")
        expect(not answer.has(USERNAME) and not answer.has(INTEGRITY), "it has USERNAME or integrity")


@check("B.14", "integrity without USERNAME, REALM or NONCE: 400 without REALM and NONCE")
def _(target):
    with Client(target) as client:
        client.challenge()
        parts = [
            attribute(USERNAME, client.user.encode()),
            attribute(REALM, client.realm.encode()),
            attribute(NONCE, client.nonce),
        ]
        for left_out in range(3):
            body = attribute(TRANSPORT, UDP) + b"".join(p for i, p in enumerate(parts) if i != left_out)
            answer = expect_code(client.exchange(client.plain(ALLOCATE, body, key=client.key())), 400)
            expect(not answer.has(REALM) and not answer.has(NONCE), "it carries REALM or NONCE")


@check("B.15", "unknown user and wrong password: 401 with a fresh nonce")
def _(target):
    for user, password in [("nobody-of-that-name", "x"), (target.user, target.password + "x")]:
        with Client(target, user, password) as client:
            client.challenge()
            answer = expect_code(client.exchange(client.signed(ALLOCATE, attribute(TRANSPORT, UDP))), 401)
            expect(answer.has(REALM) and answer.has(NONCE), "REALM or NONCE is missing")


@check("B.16", "an unknown nonce: 438 with REALM and a nonce that works")
def _(target):
    with Client(target) as client:
        client.challenge()
        client.nonce = client.nonce[:-4] + bytes(c ^ 1 for c in client.nonce[-4:])
        answer = expect_code(client.exchange(client.signed(ALLOCATE, attribute(TRANSPORT, UDP))), 438)
        client.learn(answer)
        expect_success(client.exchange(client.signed(ALLOCATE, attribute(TRANSPORT, UDP))))


@check("B.17", "two source ports never receive the same nonce")
def _(target):
    with Client(target) as one, Client(target) as two:
        one.challenge()
        two.challenge()
        expect(one.nonce != two.nonce, "the same nonce")


@check("B.18", "a nonce of another client: 438")
def _(target):
    with Client(target) as one, Client(target) as two:
        one.challenge()
        two.challenge()
        two.nonce = one.nonce
        expect_code(two.exchange(two.signed(ALLOCATE, attribute(TRANSPORT, UDP))), 438)


@check("B.20", "the nonce begins with the nonce cookie")
def _(target):
    with Client(target) as client:
        client.challenge()
        expect(cookie_bits(client.nonce) is not None, "no RFC 8489 nonce cookie")


@check("B.21", "old clients (MD5 key, SHA-1 integrity) keep working")
def _(target):
    with Client(target) as client:
        expect_success(client.allocate())


def new_client_request(client):
    client.challenge()
    if client.algorithms is None:
        raise NotApplicable("offers no PASSWORD-ALGORITHMS")
    chosen = attribute(PASSWORD_ALGORITHMS, client.algorithms) + attribute(PASSWORD_ALGORITHM, b"\0\2\0\0")
    return attribute(TRANSPORT, UDP) + chosen


@check("B.22", "a request with SHA-256 is answered with MESSAGE-INTEGRITY-SHA256")
def _(target):
    with Client(target) as client:
        body = new_client_request(client) + client.credentials()
        key = client.key(sha256=True)
        answer = client.exchange(client.plain(ALLOCATE, body, key=key, sign=INTEGRITY_SHA256))
        expect_success(answer)
        expect(answer.signed_with(key, INTEGRITY_SHA256), "the answer's integrity does not fit")


@check("B.23", "the password-algorithm bit and PASSWORD-ALGORITHMS come together")
def _(target):
    with Client(target) as client:
        client.challenge()
        bits = cookie_bits(client.nonce) or 0
        expect(bool(bits & 1) == (client.algorithms is not None), "one without the other")


@check("B.24", "USERHASH is accepted when the nonce says that names are hidden")
def _(target):
    with Client(target) as client:
        body = new_client_request(client)
        if not (cookie_bits(client.nonce) or 0) & 2:
            raise NotApplicable("does not offer to hide names")
        digest = hashlib.sha256(f"{client.user}:{client.realm}".encode()).digest()
        body += attribute(USERHASH, digest) + attribute(REALM, client.realm.encode()) + attribute(NONCE, client.nonce)
        expect_success(client.exchange(client.plain(ALLOCATE, body, key=client.key(True), sign=INTEGRITY_SHA256)))


@check("B.26", "another user on the same 5-tuple: 441")
def _(target):
    if not target.other_user:
        raise NotApplicable("needs a second user")
    with Client(target) as client:
        expect_success(client.allocate())
        client.user, user = target.other_user, client.user
        client.password, password = target.other_password, client.password
        answer = client.ask(REFRESH, lifetime(600))
        client.user, client.password = user, password
        expect_code(answer, 441)


@check("B.27", "errors to an authenticated request carry integrity")
def _(target):
    with Client(target) as client:
        answer = expect_code(client.ask(REFRESH, lifetime(600)), 437)
        expect(answer.signed_with(client.key()), "no valid integrity")


@check("B.28", "a wrong realm: 401")
def _(target):
    with Client(target) as client:
        client.challenge()
        realm, client.realm = client.realm, "another.example"
        answer = client.exchange(client.signed(ALLOCATE, attribute(TRANSPORT, UDP)))
        client.realm = realm
        expect_code(answer, 401)
