"""STUN and TURN on the wire, as a client needs them (RFC 8489, RFC 8656). Independent of the server's
own code on purpose: a mistake made there is not made again here."""

import base64
import hashlib
import hmac
import os
import socket
import struct
import zlib

COOKIE = 0x2112A442
BINDING, ALLOCATE, REFRESH, SEND, DATA, CREATE_PERMISSION, CHANNEL_BIND = 1, 3, 4, 6, 7, 8, 9
REQUEST, INDICATION, SUCCESS, ERROR = 0, 1, 2, 3

MAPPED_ADDRESS, USERNAME, INTEGRITY, ERROR_CODE, UNKNOWN = 0x0001, 0x0006, 0x0008, 0x0009, 0x000A
CHANNEL_NUMBER, LIFETIME, XOR_PEER, DATA_VALUE, REALM, NONCE = 0x000C, 0x000D, 0x0012, 0x0013, 0x0014, 0x0015
XOR_RELAYED, FAMILY, EVEN_PORT, TRANSPORT, DONT_FRAGMENT = 0x0016, 0x0017, 0x0018, 0x0019, 0x001A
INTEGRITY_SHA256, PASSWORD_ALGORITHM, USERHASH = 0x001C, 0x001D, 0x001E
XOR_MAPPED, TOKEN = 0x0020, 0x0022
ADDITIONAL_FAMILY, ADDRESS_ERROR, PASSWORD_ALGORITHMS, ICMP = 0x8000, 0x8001, 0x8002, 0x8004
SOFTWARE, FINGERPRINT = 0x8022, 0x8028
UDP = struct.pack("!BBBB", 17, 0, 0, 0)


def message_type(method, kind):
    return (method & 0xF) | (kind & 1) << 4 | (method & 0x70) << 1 | (kind & 2) << 7 | (method & 0xF80) << 2


def attribute(kind, value=b"", pad=b"\0"):
    return struct.pack("!HH", kind, len(value)) + value + pad * (-len(value) % 4)


def xor_address(host, port, transaction):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    raw = socket.inet_pton(family, host)
    key = struct.pack("!I", COOKIE) + transaction
    return struct.pack("!BBH", 0, 2 if ":" in host else 1, port ^ (COOKIE >> 16)) + bytes(a ^ b for a, b in zip(raw, key))


class Message:
    """A received message. Raises ValueError when it is not a well-formed STUN message."""

    def __init__(self, raw):
        if len(raw) < 20 or len(raw) % 4 or raw[0] > 3:
            raise ValueError("not STUN")
        kind, length, cookie = struct.unpack("!HHI", raw[:8])
        if cookie != COOKIE or length + 20 != len(raw):
            raise ValueError("not STUN")
        self.raw, self.transaction = raw, raw[8:20]
        self.kind = (kind >> 4 & 1) | (kind >> 7 & 2)
        self.method = (kind & 0xF) | (kind >> 1 & 0x70) | (kind >> 2 & 0xF80)
        self.attributes, at = [], 20
        while at < len(raw):
            number, size = struct.unpack("!HH", raw[at : at + 4])
            if at + 4 + size > len(raw):
                raise ValueError("an attribute overruns the message")
            padding = raw[at + 4 + size : at + 4 + size + -size % 4]
            self.attributes.append((number, raw[at + 4 : at + 4 + size], at, padding))
            at += 4 + size + -size % 4

    def all(self, kind):
        return [value for number, value, _, _ in self.attributes if number == kind]

    def get(self, kind):
        return next(iter(self.all(kind)), None)

    def has(self, kind):
        return self.get(kind) is not None

    def code(self):
        value = self.get(ERROR_CODE)
        return value[2] * 100 + value[3] if value else 0

    def u32(self, kind):
        value = self.get(kind)
        return struct.unpack("!I", value)[0] if value and len(value) == 4 else None

    def address(self, kind):
        addresses = self.addresses(kind)
        return addresses[0] if addresses else None

    def addresses(self, kind):
        found = []
        for value in self.all(kind):
            key = struct.pack("!I", COOKIE) + self.transaction
            family = socket.AF_INET if value[1] == 1 else socket.AF_INET6
            host = socket.inet_ntop(family, bytes(a ^ b for a, b in zip(value[4:], key)))
            found.append((host, struct.unpack("!H", value[2:4])[0] ^ (COOKIE >> 16)))
        return found

    def signed_with(self, key, kind=INTEGRITY):
        algorithm = hashlib.sha1 if kind == INTEGRITY else hashlib.sha256
        for number, value, at, _ in self.attributes:
            if number == kind:
                head = self.raw[:2] + struct.pack("!H", at + 4 + len(value) - 20) + self.raw[4:at]
                return hmac.compare_digest(hmac.new(key, head, algorithm).digest()[: len(value)], value)
        return False

    def describe(self):
        return ["request", "indication", "success", f"error {self.code()}"][self.kind]


def build(method, kind, attributes, transaction, key=None, sign=INTEGRITY, after=b"", fingerprint=False):
    """`attributes` is the finished bytes; `after` comes behind the integrity."""

    def head(size):
        return struct.pack("!HHI", message_type(method, kind), size, COOKIE) + transaction

    body = attributes
    if key is not None:
        algorithm = hashlib.sha1 if sign == INTEGRITY else hashlib.sha256
        size = algorithm().digest_size
        body += attribute(sign, hmac.new(key, head(len(body) + 4 + size) + body, algorithm).digest())
    body += after
    if fingerprint:
        crc = zlib.crc32(head(len(body) + 8) + body) ^ 0x5354554E
        body += attribute(FINGERPRINT, struct.pack("!I", crc))
    return head(len(body)) + body


class Client:
    """One five-tuple with long-term credentials. Gives its allocation back at the end."""

    def __init__(self, target, user=None, password=None, tcp=False):
        self.target, self.tcp, self.held = target, tcp, b""
        self.user = target.user if user is None else user
        self.password = target.password if password is None else password
        self.realm, self.nonce, self.algorithms = None, None, None
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        self.socket.settimeout(target.patience)
        self.socket.connect(target.server)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            if self.nonce:
                self.ask(REFRESH, attribute(LIFETIME, struct.pack("!I", 0)))
        except (OSError, ValueError, EOFError):
            pass
        self.socket.close()

    def key(self, sha256=False):
        text = f"{self.user}:{self.realm}:{self.password}".encode()
        return hashlib.sha256(text).digest() if sha256 else hashlib.md5(text).digest()

    def send_raw(self, data):
        self.socket.sendall(data)

    def receive(self):
        """The next packet or frame; TimeoutError when nothing comes."""
        if not self.tcp:
            return self.socket.recv(65536)
        while True:
            if len(self.held) >= 4:
                size = struct.unpack("!H", self.held[2:4])[0]
                size = size + 20 if self.held[0] < 4 else 4 + size + -size % 4
                if len(self.held) >= size:
                    frame, self.held = self.held[:size], self.held[size:]
                    return frame
            more = self.socket.recv(65536)
            if not more:
                raise EOFError("the server closed the connection")
            self.held += more

    def exchange(self, packet):
        """Sends, and returns the answer to it; what else arrives in between is dropped."""
        self.send_raw(packet)
        while True:
            raw = self.receive()
            if raw[0] < 4:
                answer = Message(raw)
                if answer.transaction == packet[8:20]:
                    return answer

    def plain(self, method, attributes=b"", kind=REQUEST, **more):
        return build(method, kind, attributes, os.urandom(12), **more)

    def credentials(self):
        return (
            attribute(USERNAME, self.user.encode())
            + attribute(REALM, self.realm.encode())
            + attribute(NONCE, self.nonce)
        )

    def challenge(self):
        answer = self.exchange(self.plain(ALLOCATE, attribute(TRANSPORT, UDP)))
        self.learn(answer)
        return answer

    def learn(self, answer):
        if answer.has(NONCE):
            self.nonce, self.realm = answer.get(NONCE), answer.get(REALM).decode()
            self.algorithms = answer.get(PASSWORD_ALGORITHMS)

    def signed(self, method, attributes=b"", **more):
        return self.plain(method, attributes + self.credentials(), key=self.key(), **more)

    def ask(self, method, attributes=b"", **more):
        """An old client's request: MD5 key, SHA-1 integrity, one new try for a stale nonce."""
        if self.nonce is None:
            self.challenge()
        answer = self.exchange(self.signed(method, attributes, **more))
        if answer.code() == 438:
            self.learn(answer)
            answer = self.exchange(self.signed(method, attributes, **more))
        return answer

    def allocate(self, attributes=b"", **more):
        answer = self.ask(ALLOCATE, attribute(TRANSPORT, UDP) + attributes, **more)
        return answer

    def peers(self, *endpoints):
        """XOR-PEER-ADDRESS of IPv4 endpoints does not depend on the transaction."""
        return b"".join(attribute(XOR_PEER, xor_address(host, port, bytes(12))) for host, port in endpoints)

    def permit(self, *endpoints):
        return self.ask(CREATE_PERMISSION, self.peers(*endpoints))

    def bind(self, number, endpoint):
        return self.ask(CHANNEL_BIND, attribute(CHANNEL_NUMBER, struct.pack("!HH", number, 0)) + self.peers(endpoint))

    def send_indication(self, endpoint, payload, extra=b""):
        self.send_raw(self.plain(SEND, self.peers(endpoint) + attribute(DATA_VALUE, payload) + extra, kind=INDICATION))

    def channel_data(self, number, payload, trailer=b""):
        padding = b"\0" * (-len(payload) % 4) if self.tcp else b""
        self.send_raw(struct.pack("!HH", number, len(payload)) + payload + padding + trailer)


def cookie_bits(nonce):
    """The security features of a nonce, or None: bit 0 password algorithms, bit 1 hidden names."""
    if not nonce.startswith(b"obMatJos2") or len(nonce) < 13:
        return None
    return int.from_bytes(base64.b64decode(nonce[9:13]), "big")
