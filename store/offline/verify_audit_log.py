#!/usr/bin/env python3
"""Checks a Bedside audit log without any of Bedside's code: Python's standard library and `openssl`.

  verify_audit_log.py DATABASE|EXPORT.tar [--genesis HEX] [--anchor FILE]... [--receipt FILE]...
                      [--restored-key HEX]...

A database is opened read-only. --genesis is the first key as it was noted off the host, --anchor a
checkpoint that was kept elsewhere, --receipt what the API gave for a change, --restored-key a key that was noted when a backup was restored.
Exit 0: the log is whole. 1: it is not; it is said where that was noticed. 2: it could not be read. 3: it
is whole, but a backup was restored and nobody gave the key that was noted then, or what was kept
elsewhere cannot be compared with this export. With --many instead of a file, lines "FILE [HEX|- [ANCHOR]]" are read
from standard input and each gets one line."""

import argparse
import base64
import binascii
import hashlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request

STORED_LEVELS = 8
BLOCK = 1 << STORED_LEVELS
OWN_RECORDS = ("epoch.rotated", "storage.recovered")
# DER of an Ed25519 public key up to its 32 bytes (RFC 8410).
ED25519_DER = bytes.fromhex("302a300506032b6570032100")


class Wrong(Exception):
    """Something that was sealed is not as it was."""

    def __init__(self, seq, what):
        super().__init__(what)
        self.seq = seq
        self.proven = 0  # up to this record a signed checkpoint says what was


def leaf_hash(body):
    return hashlib.sha256(b"\x00" + body).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def unhex(text, size):
    if not re.fullmatch("[0-9a-f]{%d}" % (2 * size), text):
        raise ValueError("not that many bytes in lower case")
    return bytes.fromhex(text)


class Tree:
    """RFC 6962 section 2.1, by its right edge: a list of (level, root)."""

    def __init__(self):
        self.size = 0
        self.edge = []
        self.complete = []  # (level, index, root) of stored levels since the last look

    def append(self, root, level=0):
        """A leaf, or the root of a complete subtree whose place is next."""
        index = self.size >> level
        self.size += 1 << level
        while True:
            if level and level % STORED_LEVELS == 0:
                self.complete.append((level, index, root))
            if index % 2 == 0:
                break
            root = node_hash(self.edge.pop()[1], root)
            level, index = level + 1, index // 2
        self.edge.append((level, root))

    def root(self):
        if not self.edge:
            return hashlib.sha256(b"").digest()
        root = self.edge[-1][1]
        for _, left in reversed(self.edge[:-1]):
            root = node_hash(left, root)
        return root


KNOWN_SIGNATURES = {}  # for --many: copies of one log have the same ones


def signature_holds(key, message, signature):
    case = (key, message, signature)
    if case not in KNOWN_SIGNATURES:
        KNOWN_SIGNATURES[case] = ask_openssl(key, message, signature)
    return KNOWN_SIGNATURES[case]


def ask_openssl(key, message, signature):
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("key", "message", "signature")]
        for path, content in zip(paths, (ED25519_DER + key, message, signature)):
            with open(path, "wb") as file:
                file.write(content)
        done = subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", paths[0],
             "-rawin", "-in", paths[1], "-sigfile", paths[2]],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        return done.returncode == 0


# ---- canonical JSON: sorted keys, strings, integers and objects, one spelling ----

def spell(value, depth=0):
    if isinstance(value, dict):
        if depth > 8:
            raise ValueError("too deep")
        parts = (spell(key) + ":" + spell(value[key], depth + 1)
                 for key in sorted(value, key=lambda k: k.encode()))
        return "{" + ",".join(parts) + "}"
    if isinstance(value, str):
        def escape(match):
            char = match.group()
            return "\\" + char if char in '"\\' else f"\\u{ord(char):04x}"
        return '"' + re.sub(r'["\\\x00-\x1f\x7f]', escape, value) + '"'
    if isinstance(value, int) and not isinstance(value, bool) and -2**63 <= value < 2**63:
        return str(value)
    raise ValueError("no such value in the subset")


def read_body(seq, body):
    try:
        text = body.decode("utf-8")
        value = json.loads(text)
        if not isinstance(value, dict) or spell(value) != text:
            raise ValueError
        return value
    except (ValueError, UnicodeDecodeError, RecursionError):
        raise Wrong(seq, "its body is not in canonical form") from None


# ---- checkpoints: C2SP signed notes ----

class Note:
    def __init__(self, text):
        gap = text.rfind("\n\n")
        if gap < 0 or len(text.encode()) > 8192:
            raise ValueError("no note")
        if any(ord(char) < 0x20 and char != "\n" for char in text):
            raise ValueError("control characters")
        self.text = text[:gap + 1]
        self.signatures = []
        lines = text[gap + 2:]
        if not lines.endswith("\n"):
            raise ValueError("cut off")
        for line in lines[:-1].split("\n"):
            match = re.fullmatch("\u2014 ([^ ]+) ([A-Za-z0-9+/=]+)", line)
            if not match:
                raise ValueError("no signature line")
            blob = base64.b64decode(match.group(2), validate=True)
            if len(blob) <= 4 or base64.b64encode(blob).decode() != match.group(2):
                raise ValueError("no signature")
            self.signatures.append((match.group(1), blob[:4], blob[4:]))
        if len(self.signatures) > 16:
            raise ValueError("too many signatures")
        match = re.fullmatch(r"([^\n]+)\n(0|[1-9][0-9]*)\n([A-Za-z0-9+/]{43}=)\n"
                             r"epoch (0|[1-9][0-9]*)\ntime (0|[1-9][0-9]*)\n", self.text)
        if not match:
            raise ValueError("no checkpoint")
        self.origin, self.size = match.group(1), int(match.group(2))
        self.root = base64.b64decode(match.group(3))
        if base64.b64encode(self.root).decode() != match.group(3):
            raise ValueError("no root")
        self.epoch, self.time = int(match.group(4)), int(match.group(5))

    def signed_by(self, key):
        key_id = hashlib.sha256(self.origin.encode() + b"\n\x01" + key).digest()[:4]
        return any(name == self.origin and given == key_id and len(signature) == 64 and
                   signature_holds(key, self.text.encode(), signature)
                   for name, given, signature in self.signatures)


def notes_in(text):
    """The checkpoints of a file of them, as an anchor file has them; the whole text if it has none."""
    found = re.findall("(?:[^\n]+\n){5}\n(?:\u2014 [^\n]+\n)+", text)
    return [each for each in found if is_note(each)] or [text]


def is_note(text):
    try:
        Note(text)
    except (ValueError, binascii.Error):
        return False
    return True


def read_receipt(text):
    """The number and the leaf of the record of a receipt (C2SP tlog-proof), and the checkpoint, as a
    note, that covers it."""
    head, gap, note = text.partition("\n\n")
    match = re.fullmatch(r"c2sp\.org/tlog-proof@v1\nextra ([A-Za-z0-9+/=]+)\n"
                         r"index (0|[1-9][0-9]*)((?:\n[A-Za-z0-9+/]{43}=)*)", head)
    try:
        if not match or not gap:
            raise ValueError
        body, index = base64.b64decode(match.group(1), validate=True), int(match.group(2))
        proof = read_proof(match.group(3)[1:].replace("\n", " "))
        checkpoint = Note(note)
        value = read_body(0, body)
    except (ValueError, binascii.Error, Wrong):
        raise Wrong(0, "a receipt has no value: it is not readable") from None
    if value.get("seq") != index + 1 or index >= checkpoint.size or checkpoint.root != \
            root_by_inclusion(leaf_hash(body), index, checkpoint.size, proof):
        raise Wrong(0, "a receipt has no value: its checkpoint does not cover its record")
    return index + 1, leaf_hash(body), note


# ---- keys: each vouched for by the one before, or the first one after a restore ----

def read_epoch(detail):
    """(number, origin, key, voucher, gap) as a record announces them. A gap is (first, last or None)."""
    number, origin, key = detail["epoch"], detail["origin"], unhex(detail["public_key"], 32)
    voucher = unhex(detail["signature"], 64) if isinstance(detail.get("signature"), str) else b""
    gap = None
    if isinstance(detail.get("lost_from"), int):
        first, last = detail["lost_from"], detail.get("lost_to")
        last = last if isinstance(last, int) else None
        if first <= 0 or (last is not None and last < first):
            raise ValueError("no gap")
        gap = (first, last)
    if not (isinstance(number, int) and number > 0 and isinstance(origin, str)):
        raise ValueError("no epoch")
    return number, origin, key, voucher, gap


class Keys:
    def __init__(self, genesis, restored):
        self.genesis, self.restored = genesis, restored
        self.links = []  # (origin, key, seq, gap); epoch 1 first

    def __len__(self):
        return len(self.links)

    def announce(self, seq, epoch, root_before):
        number, origin, key, voucher, gap = epoch
        if number != len(self) + 1:
            raise Wrong(seq, f"it announces epoch {number} after epoch {len(self)}")
        last = self.links[-1] if self.links else None
        if last is None:
            if self.genesis and key != self.genesis:
                raise Wrong(seq, "the first key is not the one that was noted")
        elif gap:
            if seq <= last[2] or gap[0] != seq or origin in [each[0] for each in self.links]:
                raise Wrong(seq, "it declares a restore that does not fit its place in the log")
            if self.restored and key not in self.restored:
                raise Wrong(seq, "its key is none of those that were noted at restores")
        else:
            message = (f"bedside audit epoch\n{last[0]}\n{number}\n{key.hex()}\n"
                       f"{seq - 1}\n{root_before.hex()}\n")
            if seq <= last[2] or origin != last[0] or \
                    not signature_holds(last[1], message.encode(), voucher):
                raise Wrong(seq, "the key of the epoch before does not vouch for this one")
        self.links.append((origin, key, seq, gap))

    def objection(self, note):
        if not 0 < note.epoch <= len(self):
            return "is of an epoch that was never announced"
        origin, key, seq, _ = self.links[note.epoch - 1]
        over = note.epoch < len(self) and note.size > self.links[note.epoch][2]
        if over or note.size < seq or note.origin != origin:
            return "is of an epoch that was over or had not begun, or of another log"
        return None if note.signed_by(key) else "is not signed by the key of its epoch"

    def is_lost(self, note):
        """Whether a restore declares that the records of this checkpoint were lost."""
        for before, after in zip(self.links, self.links[1:]):
            gap = after[3]
            if gap and before[0] == note.origin and note.size >= gap[0]:
                if gap[1] is not None and note.size > gap[1]:
                    raise Wrong(after[2], "a restore declares a smaller loss than that of a "
                                          "checkpoint that was kept elsewhere")
                return True
        return False

    def restores(self):
        return [(key, gap) for _, key, _, gap in self.links if gap]


# ---- purged records ----

YEAR_US = 8_766 * 3_600_000_000


class Purge:
    """What the record of a purge declares."""

    def __init__(self, body):
        value = json.loads(body)
        said = value["detail"]["purge"]
        self.seq, self.wall, self.by = value["seq"], value["t_wall_us"], value["actor"]["id"]
        self.first, self.through = said["from"], said["through"]
        self.removed, self.kept, self.kept_digest = \
            said["removed"], said["kept"], said["kept_sha256"]
        self.holds = (said["holds"], said["holds_sha256"])
        self.people = (said["proposed_by"], said["approved_by"])
        self.years, self.archive = said["keep_years"], unhex(said["archive_sha256"], 32)
        self.root = unhex(said["root"], 32)
        if not all(isinstance(said[name], int) for name in ("removed", "kept", "holds")):
            raise ValueError("no purge")
        self.newest = said["newest_us"]
        if value["type"] != "audit.purged" or value["outcome"] != "ok" or not 0 < self.first <= self.through < self.seq or \
                self.through % BLOCK or not 6 <= self.years <= 1000 or \
                said["newest_us"] > self.wall - self.years * YEAR_US or \
                not all(self.people) or self.people[0] == self.people[1]:
            raise ValueError("no purge")

    def in_future(self):
        """By more than a day: who could date a purge so could purge what is young."""
        return self.wall > (time.time() + 86_400) * 1_000_000

    def told(self):
        day = time.strftime("%Y-%m-%d", time.gmtime(self.wall // 1_000_000))
        return (f"purged     records {self.first} to {self.through} on {day}, proposed by "
                f"{self.people[0]}, approved by {self.people[1]};\n           older than "
                f"{self.years} years; {self.removed} removed, archive {self.archive.hex()}")


def read_purge(body):
    try:
        return Purge(body)
    except (KeyError, TypeError, ValueError, UnicodeDecodeError, RecursionError):
        return None


def boot_of(value):
    boot = value.get("boot_id")
    return boot if isinstance(boot, str) else ""


def number_of(detail, name):
    value = detail.get(name)
    return value if isinstance(value, int) else 0


def place_of(proof):
    """Of which record it says to be: the first one, when it says nothing of that kind."""
    index = proof.get("index")
    return index + 1 if type(index) is int and 0 <= index < 2**63 else 1


def digest_of_holds(holds):
    order = sorted(holds, key=lambda text: text.encode(errors="surrogateescape"))
    lines = "".join(spell(holds[each]) + "\n" for each in order)
    spelled = re.sub("[\udc80-\udcff]", "\ufffd", lines)  # as a body spells what is no text
    return len(holds), hashlib.sha256(spelled.encode()).hexdigest()


class Retention:
    """What the records themselves say about holds, proposals and purges."""

    def __init__(self):
        self.holds = {}
        self.proposal = None  # (through, years, by)
        self.purges = []

    def follow(self, seq, kind, value, body):
        if kind == "audit.purged":
            return self.purge(seq, read_purge(body))
        if value.get("outcome") != "ok":
            return
        detail = value.get("detail")
        detail = detail if isinstance(detail, dict) else {}
        if kind == "audit.hold_set":
            hold = detail.get("hold")
            key = hold.get("id") if isinstance(hold, dict) else None
            if not isinstance(key, str) or key != value.get("object") or key in self.holds:
                raise Wrong(seq, "it sets a hold that is there, or does not say which")
            self.holds[key] = hold
        elif kind == "audit.hold_cleared":
            if self.holds.pop(value.get("object", ""), None) is None:
                raise Wrong(seq, "it clears a hold that is not there")
        elif kind == "audit.purge_proposed":
            actor = value.get("actor")
            self.proposal = (number_of(detail, "through"), number_of(detail, "keep_years"),
                             actor.get("id", "") if isinstance(actor, dict) else "")
        elif kind == "audit.purge_withdrawn":
            self.proposal = None

    def purge(self, seq, purge):
        if purge is None:
            raise Wrong(seq, "it declares a purge as none can be")
        if purge.in_future():
            raise Wrong(seq, "it declares a purge, and its time is in the future")
        if self.proposal is None or purge.people[0] != self.proposal[2] or \
                purge.years != self.proposal[1] or self.proposal[0] < purge.through:
            raise Wrong(seq, "it declares a purge that was not proposed like that")
        if purge.by != purge.people[1]:
            raise Wrong(seq, "it was written by another than it says")
        if purge.first != (self.purges[-1].through if self.purges else 0) + 1:
            raise Wrong(seq, "it does not go on where the purge before ended")
        if purge.holds != digest_of_holds(self.holds):
            raise Wrong(seq, "other holds were in force than the purge of this record honoured")
        self.purges.append(purge)

    def end(self, kept, table):
        if digest_of_holds(table) != digest_of_holds(self.holds):
            raise Wrong(0, "holds were set or cleared, and no record tells of it")
        if self.purges and \
                sum(each.removed for each in self.purges) != self.purges[-1].through - kept:
            raise Wrong(0, "the purges declare another number of records than are gone")


def read_holds(database):
    """The table as it is; a database from before there were holds has none."""
    if not database.execute("SELECT 1 FROM sqlite_schema WHERE name = 'audit_holds'").fetchone():
        return {}
    names = ("id", "room", "person", "from_us", "to_us")
    rows = database.execute("SELECT hold_id, room, person, from_us, to_us FROM audit_holds")
    return {row[0]: {name: value for name, value in zip(names, row) if value not in (None, "")}
            for row in rows}


def read_subtrees(database):
    rows = database.execute("SELECT level, idx, root FROM audit_subtree").fetchall()
    if any(not 0 <= level < 64 or len(bytes(root)) != 32 for level, _, root in rows):
        raise Wrong(0, "a stored root is not readable")
    return {(level, index): bytes(root) for level, index, root in rows}


class Log:
    def __init__(self, database, genesis, anchors, restored=()):
        self.keys = Keys(genesis, restored)
        self.tree = Tree()
        self.boot = ("", 0)
        self.boots = {}  # name: [first difference of the clocks, last, told, record of a step]
        self.unproven, self.promised = 0, []  # of exports
        self.proven = 0  # up to this record a signed checkpoint says what was
        self.checked = {False: 0, True: 0}  # checkpoints: of the table, kept elsewhere
        self.records = 0
        self.lost = 0  # kept elsewhere, of records that a restore declares as lost
        self.subtrees = read_subtrees(database)
        self.stored = dict(self.subtrees)
        self.retention, self.holds = Retention(), read_holds(database)
        rows = database.execute("SELECT body FROM audit WHERE type = 'audit.purged' ORDER BY seq")
        self.purges = [each for each in (read_purge(bytes(row[0])) for row in rows) if each]
        self.purge = self.purges[-1] if self.purges else None
        self.newest = {}  # `through` of a purge: the newest time of what stayed of it
        self.has_leaf = False  # every record from here on has its leaf hash beside it
        self.leaves, self.last = {}, 0  # of purged blocks: what stayed of them
        self.kept_digest = hashlib.sha256()
        self.notes = {}
        for size, text in database.execute("SELECT size, note FROM audit_checkpoint ORDER BY size"):
            self.expect(text, size, False)
        for text in anchors:
            self.expect(text, None, True)

    def expect(self, text, size, anchor):
        try:
            note = Note(text)
            if size is not None and note.size != size:
                raise ValueError
        except (ValueError, binascii.Error):
            raise Wrong(0, "a checkpoint is not readable") from None
        self.notes.setdefault(note.size, []).append((note, anchor))

    def record(self, seq, wall, kind, outcome, reason, actor, room, body, stored_leaf):
        purging = self.purge and not self.tree.size
        stays = purging and seq <= self.purge.through
        if purging and not stays:
            self.begin_after_purge()
        if not stays and seq != self.tree.size + 1:
            raise Wrong(self.tree.size + 1, f"record {self.tree.size + 1} is missing")
        value = read_body(seq, bytes(body))
        self.records += 1
        leaf = leaf_hash(bytes(body))
        who = value.get("actor")
        who = f'{who.get("kind", "")}:{who.get("id", "")}' if isinstance(who, dict) else None
        shown = {"seq": seq, "t_wall_us": wall, "type": kind, "outcome": outcome, "reason": reason,
                 "room": room}
        for name, column in shown.items():
            if value.get(name) != column:
                raise Wrong(seq, f"its column {name} is not what its body says")
        if who != actor:
            raise Wrong(seq, "its column actor is not what its body says")
        self.check_leaf(seq, leaf, stored_leaf)
        if stays:
            before = self.stayed(seq, kind, value.get("t_wall_us"), leaf)
        else:
            before = self.tree.root() if kind == "epoch.rotated" else b""
            self.tree.append(leaf)
        self.check_time(seq, value)
        if kind == "epoch.rotated":
            self.check_epoch(seq, value.get("detail"), before)
        if not stays:
            self.check_complete(seq)
            for note, anchor in self.notes.get(seq, ()):
                self.check_note(seq, note, anchor)
        self.retention.follow(seq, kind, value, bytes(body))

    def check_leaf(self, seq, leaf, stored):
        """No part of the proof: it says which record it was. Records of older versions have none."""
        if stored is None and self.has_leaf:
            raise Wrong(seq, "its leaf hash was taken away")
        if stored is not None and bytes(stored) != leaf:
            raise Wrong(seq, "its leaf hash is not that of its body: one of them was changed")
        self.has_leaf = stored is not None

    def check_complete(self, seq):
        for level, index, root in self.tree.complete:
            if self.subtrees.pop((level, index), None) != root:
                raise Wrong(seq, "a stored root is not that of the records: one of them was changed")
        self.tree.complete.clear()

    def stayed(self, seq, kind, wall, leaf):
        """Of a purged block: the hashes beside its path lead to the block's root. Returns the root
        of the records before it when somebody needs that."""
        index, root = seq - 1, leaf
        if seq <= self.last:
            raise Wrong(seq, "it is there twice")
        self.last = seq
        self.leaves[index] = leaf
        self.kept_digest.update(b"%d\n" % seq)
        for level in range(STORED_LEVELS):
            sibling = self.stored.get((level, index ^ 1))
            if sibling is None:
                raise Wrong(seq, "what proves it was taken away")
            self.subtrees.pop((level, index ^ 1), None)
            root = node_hash(sibling, root) if index % 2 else node_hash(root, sibling)
            index //= 2
        if self.stored.get((STORED_LEVELS, index)) != root:
            raise Wrong(seq, "it is not the record that was sealed")
        purge = next(each for each in self.purges if seq <= each.through)
        if not isinstance(wall, int) or wall > purge.newest:
            raise Wrong(seq, "it is younger than the purge declares of the records beside it")
        self.newest[purge.through] = max(wall, self.newest.get(purge.through, 0))
        if kind != "epoch.rotated":
            return b""
        before = self.purged_root(seq - 1)
        if before is None:
            raise Wrong(seq, "what proves the records before it was taken away")
        return before

    def purged_node(self, level, index):
        if level == 0 and index in self.leaves:
            return self.leaves[index]
        if level == 0 or (level, index) in self.stored:
            return self.stored.get((level, index))
        left = self.purged_node(level - 1, 2 * index)
        right = self.purged_node(level - 1, 2 * index + 1) if left else None
        return node_hash(left, right) if right else None

    def purged_root(self, size):
        tree = Tree()
        for level in reversed(range(size.bit_length())):
            if size >> level & 1:
                node = self.purged_node(level, tree.size >> level)
                if node is None:
                    return None
                tree.append(node, level)
        return tree.root()

    def begin_after_purge(self):
        roots = {each.through: each for each in self.purges}
        for block in range(self.purge.through // BLOCK):
            if (STORED_LEVELS, block) not in self.stored:
                raise Wrong(block * BLOCK + 1, "the root of a block is missing")
            self.tree.append(self.stored[(STORED_LEVELS, block)], STORED_LEVELS)
            purge = roots.get(self.tree.size)
            if purge and self.tree.root() != purge.root:
                raise Wrong(purge.seq, "the purged records are not those that the purge declares")
        self.check_complete(0)
        if (len(self.leaves), self.kept_digest.hexdigest()) != \
                (self.purge.kept, self.purge.kept_digest):
            raise Wrong(self.purge.seq, "of the purged records others are left than the purge declares")
        before = 0
        for purge in self.purges:  # give or take a clock that was wrong meanwhile
            if purge.newest + 365 * 86_400_000_000 < before:
                raise Wrong(purge.seq, "it declares that what it purged is older than what was before it")
            before = max(before, self.newest.get(purge.through, 0))
        for size in sorted(each for each in self.notes if each <= self.purge.through):
            for note, anchor in self.notes[size]:
                root = self.purged_root(size)
                if root is None and not anchor:
                    raise Wrong(size, "a checkpoint is of records that are not there")
                if root is not None and note.root != root:
                    raise Wrong(size, "a checkpoint is of other records: one of them was changed")
                if why := self.keys.objection(note):
                    raise Wrong(size, "a checkpoint " + why)
                self.checked[anchor] += 1

    def follow_clock(self, seq, value):
        """The difference of both clocks changes only when somebody sets the wall clock."""
        if not isinstance(value.get("t_boot_us"), int):
            return
        offset = value["t_wall_us"] - value["t_boot_us"]
        boot = self.boots.setdefault(boot_of(value), [offset, offset, 0, 0])
        if not boot[3] and abs(offset - boot[1]) >= 1_500_000:
            boot[3] = seq
        boot[1] = offset
        detail = value.get("detail")
        if value["type"] == "time.step" and isinstance(detail, dict):
            boot[2] += 1000 * number_of(detail, "by_ms")

    def untold_step(self):
        """(record, microseconds) of the first boot whose steps no records tell of."""
        found = [(seq, last - first - told) for first, last, told, seq in self.boots.values()
                 if seq and abs(last - first - told) >= 2_000_000]
        return min(found, default=None)

    def check_time(self, seq, value):
        self.follow_clock(seq, value)
        if value["type"] in OWN_RECORDS or value.get("late") == 1 or \
                not isinstance(value.get("t_boot_us"), int):
            return
        boot, before = boot_of(value), self.boot
        self.boot = (boot, value["t_boot_us"])
        if boot == before[0] and value["t_boot_us"] < before[1]:
            raise Wrong(seq, "its time since boot is before that of the record before")

    def check_epoch(self, seq, detail, root_before):
        try:
            epoch = read_epoch(detail)
        except (KeyError, TypeError, AttributeError, ValueError):
            return  # announces nothing; a checkpoint of that epoch finds no key
        self.keys.announce(seq, epoch, root_before)
        if epoch[4]:
            for size in [each for each in sorted(self.notes) if each >= seq]:
                left = [(note, anchor) for note, anchor in self.notes[size]
                        if not (anchor and self.keys.is_lost(note))]
                self.lost += len(self.notes[size]) - len(left)
                self.notes[size] = left
                if not left:
                    del self.notes[size]

    def refuse_foreign(self, seq, note, anchor):
        """Of a log that this one never was: what to look for is something else than a change."""
        if anchor and all(link[0] != note.origin for link in self.keys.links):
            raise Wrong(seq, f"the checkpoint that was kept elsewhere is not of this log, but of {note.origin}")

    def check_note(self, seq, note, anchor):
        if note.root != self.tree.root():
            self.refuse_foreign(seq, note, anchor)
            raise Wrong(seq, "a checkpoint is of other records: one of them was changed")
        if why := self.keys.objection(note):
            raise Wrong(seq, "a checkpoint " + why)
        self.checked[anchor] += 1
        self.proven = seq

    def end(self):
        if not self.notes:
            raise Wrong(0, "the log was never sealed")
        newest = max(self.notes)
        if self.purge and not self.tree.size:
            raise Wrong(0, "the purge declares more than there is")
        if newest > self.tree.size:
            self.refuse_foreign(self.tree.size + 1, *self.notes[newest][-1])
            raise Wrong(self.tree.size + 1, f"records up to {newest} were sealed and are missing")
        if self.subtrees:
            raise Wrong(0, "roots are stored of records that are not there")
        if self.tree.size not in self.notes:
            raise Wrong(newest + 1, f"the records after {newest} were never sealed")
        if len(self.retention.purges) != len(self.purges):
            raise Wrong(0, "the log declares other purges")
        self.retention.end(len(self.leaves), self.holds)


# ---- exports ----

def shown(file, what):
    return f"{file}: {what}"


# What the extended headers of an archive may tell: when and whose its files are.
INCIDENTAL = (b"mtime", b"atime", b"ctime", b"uid", b"gid", b"uname", b"gname", b"comment")
MAX_PAX = 16 * 1024


def read_octal(field):
    digits = re.split(b"[\0 ]", field, maxsplit=1)[0]
    if not re.fullmatch(b"[0-7]+", digits):
        raise ValueError("a header is damaged")
    return int(digits, 8)


def read_tar_header(block):
    """(type, size, name without folders)"""
    kind, size = block[156:157], read_octal(block[124:136])
    if len(block) != 512 or (kind == b"5" and size) or \
            read_octal(block[148:156]) != sum(block) - sum(block[148:156]) + 8 * ord(" "):
        raise ValueError("a header is damaged")
    name = block[:100].partition(b"\0")[0].rpartition(b"/")[2]
    return kind, size, name.decode(errors="backslashreplace")


def check_pax(records):
    """POSIX.1-2017, pax, "pax Extended Header": "LENGTH KEY=VALUE\\n", again and again."""
    if len(records) > MAX_PAX:
        raise ValueError("an extended header is too long")
    while records:
        digits = records.partition(b" ")[0]
        length = int(digits) if re.fullmatch(b"[0-9]{1,6}", digits) else 0
        record = records[len(digits) + 1:length]
        key, told, _ = record.partition(b"=")
        if length > len(records) or not record.endswith(b"\n") or not told or key not in INCIDENTAL:
            raise ValueError("names or sizes of files in an extended header")
        records = records[length:]


def read_proof(text):
    hashes = [base64.b64decode(part, validate=True) for part in text.split(" ")] if text else []
    if any(len(each) != 32 for each in hashes) or spell_proof(hashes) != text:
        raise ValueError("no proof")
    return hashes


def spell_proof(hashes):
    return " ".join(base64.b64encode(each).decode() for each in hashes)


def root_by_inclusion(leaf, index, size, proof):
    """RFC 9162 section 2.1.3.2."""
    node, last = index, size - 1
    for sibling in proof:
        if last == 0:
            return None
        if node % 2 or node == last:
            leaf = node_hash(sibling, leaf)
            while node % 2 == 0 and node:
                node, last = node // 2, last // 2
        else:
            leaf = node_hash(leaf, sibling)
        node, last = node // 2, last // 2
    return leaf if last == 0 else None


def is_consistent(old_size, old_root, size, root, proof):
    """RFC 9162 section 2.1.4.2."""
    if old_size == 0:
        return not proof and old_root == hashlib.sha256(b"").digest()
    if old_size >= size:
        return old_size == size and not proof and old_root == root
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    node, last = old_size - 1, size - 1
    while node % 2:
        node, last = node // 2, last // 2
    old = new = path[0]
    for each in path[1:]:
        if last == 0:
            return False
        if node % 2 or node == last:
            old, new = node_hash(each, old), node_hash(each, new)
            while node % 2 == 0 and node:
                node, last = node // 2, last // 2
        else:
            new = node_hash(new, each)
        node, last = node // 2, last // 2
    return last == 0 and old == old_root and new == root


class Export:
    """A tar archive of plain files. Whatever cannot be read in it is wrong, not an error."""

    REQUIRED = ("checkpoint", "epochs.ndjson", "checkpoints.ndjson", "export.json",
                "records.ndjson", "proofs.ndjson")
    PROVEN = REQUIRED[:4] + ("proofs.ndjson", "disclosed.ndjson", "purges.ndjson")

    def __init__(self, path, genesis, anchors, restored=()):
        self.path, self.anchors = path, anchors
        self.keys = Keys(genesis, restored)
        self.notes, self.records, self.lost, self.purges = [], 0, 0, []
        self.unproven = 0  # kept elsewhere, and nothing here to compare it with
        self.promised = []  # by receipts: (seq, leaf)
        self.times = []  # of epochs: (seq, wall clock)
        try:
            self.files = self.read_archive()
        except ValueError as error:
            raise Wrong(0, f"this is no export, or a damaged one: {error}") from None
        for name in self.REQUIRED:
            if name not in self.files:
                raise Wrong(0, shown(name, "this file is missing"))

    @staticmethod
    def untold_step():
        return None  # its records are a choice: what is between them is not known

    def read_archive(self):
        """Where each file is. Headers are read here: a library that follows what extended headers
        say of names and sizes could show other files than those that somebody else sees."""
        files, at = {}, 0
        with open(self.path, "rb") as raw:
            whole = os.fstat(raw.fileno()).st_size
            while (block := raw.read(512)).strip(b"\0"):
                kind, size, name = read_tar_header(block)
                at += 512
                if size + -size % 512 > whole - at:
                    raise ValueError("cut off")
                if kind in (b"x", b"g"):
                    check_pax(raw.read(min(size, MAX_PAX + 1)))
                elif kind == b"0" and name not in files and len(files) < 64:
                    files[name] = (at, size)
                elif kind != b"5":
                    raise ValueError("something else than plain files")
                raw.seek(at + size)
                if raw.read(-size % 512).strip(b"\0"):
                    raise ValueError("something between files")
                at += size + -size % 512
            raw.seek(at)
            rest = raw.read()
            if len(rest) < 512 or len(rest) % 512 or rest.strip(b"\0"):
                raise ValueError("something behind its end")
        return files

    def content(self, name):
        offset, left = self.files[name]
        with open(self.path, "rb") as file:
            file.seek(offset)
            while left:
                piece = file.read(min(left, 65536))
                left -= len(piece)
                yield piece

    def lines(self, name):
        rest = b""
        for piece in self.content(name):
            rest += piece
            *whole, rest = rest.split(b"\n")
            yield from whole
        if rest:
            raise Wrong(0, shown(name, "its last line is cut off"))

    def objects(self, name):
        for line in self.lines(name):
            yield read_body(0, line)

    def included(self, line, body, seq):
        try:
            proof = read_proof(line["proof"])
            return (seq > 0 and line["index"] == seq - 1 < self.note.size and self.note.root ==
                    root_by_inclusion(leaf_hash(body), seq - 1, self.note.size, proof))
        except (KeyError, AttributeError, TypeError, ValueError):
            return False

    def consistent(self, size, root, text):
        try:
            return is_consistent(size, root, self.note.size, self.note.root, read_proof(text))
        except (AttributeError, TypeError, ValueError):
            return False

    def check_epoch(self, line):
        try:
            body = line["body"].encode()
            value = read_body(0, body)
            seq, epoch = value["seq"], read_epoch(value["detail"])
            if value["type"] != "epoch.rotated" or epoch[0] != len(self.keys) + 1:
                raise ValueError
        except (KeyError, AttributeError, TypeError, ValueError, Wrong):
            raise Wrong(0, f"epoch {len(self.keys) + 1} is not announced") from None
        if not self.included(line, body, seq):
            raise Wrong(seq, "it is not in the log as it was sealed")
        before = b""
        try:
            before, = read_proof(line.get("before", ""))
        except (TypeError, AttributeError, ValueError):
            pass
        if not self.consistent(seq - 1, before, line.get("consistency")):
            raise Wrong(seq, "the records before it are not the beginning of this log")
        self.keys.announce(seq, epoch, before)
        self.times.append((seq, value.get("t_wall_us", 2**63)))

    def check_checkpoints(self):
        if why := self.keys.objection(self.note):
            raise Wrong(self.note.size, "the checkpoint " + why)
        self.notes = [self.note]
        for line in self.objects("checkpoints.ndjson"):
            try:
                note = Note(line["note"])
            except (KeyError, AttributeError, TypeError, ValueError, binascii.Error):
                raise Wrong(0, "a checkpoint is not readable") from None
            if not self.consistent(note.size, note.root, line.get("proof")):
                raise Wrong(note.size, "a checkpoint is of other records: one of them was changed")
            if why := self.keys.objection(note):
                raise Wrong(note.size, "a checkpoint " + why)
            self.notes.append(note)
        for text in self.anchors:
            try:
                anchor = Note(text)
            except (ValueError, binascii.Error):
                raise Wrong(0, "what was kept elsewhere is no checkpoint") from None
            if self.keys.is_lost(anchor):
                self.lost += 1
                continue
            if why := self.keys.objection(anchor):
                raise Wrong(anchor.size, "the checkpoint that was kept elsewhere " + why)
            if anchor.size > self.note.size and anchor.time + 86_400_000_000 < self.note.time:
                raise Wrong(anchor.size, "the log had these records before this export was made, and "
                                         f"has {self.note.size} in it")
            same = [note for note in self.notes if note.size == anchor.size]
            if same and same[0].root != anchor.root:
                raise Wrong(anchor.size, "the checkpoint that was kept elsewhere is of other records")
            if not same:
                self.unproven += 1

    def check_receipts(self, receipts):
        for seq, leaf, text in receipts:
            note = Note(text)
            if self.keys.is_lost(note):
                self.lost += 1
                continue
            if why := self.keys.objection(note):
                raise Wrong(0, "the checkpoint of a receipt " + why)
            same = [each for each in self.notes if each.size == note.size]
            if same and same[0].root != note.root:
                raise Wrong(0, "the checkpoint of a receipt is of other records")
            if not same:
                self.promised.append((seq, leaf))

    def check_exported(self):
        lines = list(self.objects("export.json"))
        if len(lines) != 1:
            raise Wrong(0, "the export was not recorded")
        try:
            body = lines[0]["body"].encode()
            value = read_body(0, body)
            self.detail = value["detail"]
            if not (isinstance(self.detail["filter"], dict) and
                    isinstance(self.detail["files"], dict)):
                raise ValueError
            if not self.included(lines[0], body, value["seq"]):
                raise Wrong(0, "the record of this export is not in the log")
            if value["type"] != "audit.exported" or value["outcome"] != "ok":
                raise Wrong(value["seq"], "it is not the record of an export")
        except (KeyError, AttributeError, TypeError, ValueError):
            raise Wrong(0, "the export was not recorded") from None

    def matches(self, value):
        wanted = self.detail["filter"]
        actor = value.get("actor")
        people = (actor.get("id") if isinstance(actor, dict) else None, value.get("object"))
        return (value.get("seq", 0) <= wanted.get("through", 2**63) and
                wanted.get("from_us", -2**63) <= value["t_wall_us"] < wanted.get("to_us", 2**63) and
                wanted.get("room") in (None, value.get("room")) and
                ("person" not in wanted or wanted["person"] in people))

    def check_records(self):
        opened = self.objects("disclosed.ndjson") if "disclosed.ndjson" in self.files else iter(())
        line, last = next(opened, None), 0
        bodies = self.lines("records.ndjson")
        for proof in self.objects("proofs.ndjson"):
            body = next(bodies, None)
            if body is None:
                raise Wrong(place_of(proof), "it is missing")
            value = read_body(place_of(proof), body)
            seq = value.get("seq", 0)
            if not self.included(proof, body, seq):
                raise Wrong(seq, "it is not in the log as it was sealed")
            if seq <= last or not self.matches(value):
                raise Wrong(seq, "it does not belong into this export")
            last = seq
            self.records += 1
            self.keep_promises(seq, body)
            while line is not None and line.get("seq") == seq:
                self.check_opened(line, value)
                line = next(opened, None)
            report_progress(self.records, self.detail.get("records"))
        if next(bodies, None) is not None:
            raise Wrong(last + 1, "it has no proof")
        if self.records != self.detail.get("records"):
            raise Wrong(0, f"{self.detail.get('records')} records were exported, "
                           f"{self.records} are here")
        if line is not None:
            raise Wrong(0, "values were opened of records that are not here")

    def keep_promises(self, seq, body):
        """A record that is here is the one a receipt promises, or the receipt shows a change."""
        for each in [each for each in self.promised if each[0] == seq]:
            if each[1] != leaf_hash(body):
                raise Wrong(seq, "a receipt promises another record of this number")
            self.promised.remove(each)

    @staticmethod
    def check_opened(line, value):
        places = (value, value.get("where", {}), value.get("detail", {}))
        try:
            kept = next(place[line["field"]] for place in places if line["field"] in place)
            salt = unhex(line["salt"], len(line["salt"]) // 2)
            if hashlib.sha256(salt + line["value"].encode()).hexdigest() == kept:
                return
        except (KeyError, AttributeError, TypeError, ValueError, StopIteration):
            pass
        raise Wrong(value["seq"], "a value that was opened is not the one that was sealed")

    def check_digests(self):
        for name in self.files:
            if name not in self.PROVEN:
                digest = hashlib.sha256()
                for piece in self.content(name):
                    digest.update(piece)
                if digest.hexdigest() != self.detail["files"].get(name):
                    raise Wrong(0, shown(name, "this file is not as it was exported"))

    def check_purges(self):
        told = self.detail.get("purged_through")
        if (told is None) == ("purges.ndjson" in self.files):
            raise Wrong(0, shown("purges.ndjson", "it is there or not, unlike when exported"))
        for line in self.objects("purges.ndjson") if told is not None else ():
            body = line["body"].encode() if isinstance(line.get("body"), str) else b""
            purge = read_purge(body)
            if purge is None or \
                    purge.first != (self.purges[-1].through if self.purges else 0) + 1:
                raise Wrong(0, "a purge is not readable")
            if purge.in_future():
                raise Wrong(purge.seq, "it declares a purge, and its time is in the future")
            if any(purge.first <= seq <= purge.through and wall > purge.newest
                   for seq, wall in self.times):
                raise Wrong(purge.seq, "it declares that what it purged is older than it was")
            if not self.included(line, body, purge.seq):
                raise Wrong(purge.seq, "it is not in the log as it was sealed")
            self.purges.append(purge)
        if told is not None and (not self.purges or self.purges[-1].through != told):
            raise Wrong(0, "a purge is missing that the export tells of")

    def verify(self, receipts):
        try:
            self.note = Note(b"".join(self.content("checkpoint")).decode())
        except (ValueError, UnicodeDecodeError, binascii.Error):
            raise Wrong(0, "the checkpoint is not readable") from None
        for line in self.objects("epochs.ndjson"):
            self.check_epoch(line)
        if not self.keys:
            raise Wrong(0, "no epoch was announced")
        self.check_checkpoints()
        self.check_receipts(receipts)
        self.check_exported()
        self.check_purges()
        self.check_records()
        self.check_digests()
        return told(self, self.purges, f"{counted(self.records, 'exported record')} of {self.note.size}, "
                          f"{counted(len(self.keys), 'epoch')}, "
                          f"{counted(len(self.notes), 'checkpoint')}", self.note.root)


def open_database(path):
    if not os.path.exists(path):
        raise OSError(f"no such file: {path}")
    address = "file:" + urllib.request.pathname2url(os.path.abspath(path)) + "?mode=ro"
    database = sqlite3.connect(address, uri=True, isolation_level=None)
    # Text that is none differs from what is in a body: that record is named.
    database.text_factory = lambda text: text.decode(errors="surrogateescape")
    return database


LAST_PROGRESS = [time.monotonic()]


def report_progress(done, total):
    """On a terminal, every second at most; elsewhere every ten."""
    if done % 1000 == 0:
        terminal = sys.stderr.isatty()
        if time.monotonic() - LAST_PROGRESS[0] > (1 if terminal else 10):
            LAST_PROGRESS[0] = time.monotonic()
            print(f"\r{done} of {total} records", end="" if terminal else "\n", file=sys.stderr,
                  flush=True)


def counted(number, noun):
    return f"{number} {noun}{'' if number == 1 else 's'}"


def told(checked, purges, counts, root):
    """What to print, and the exit code."""
    restores = checked.keys.restores()
    lost = f", {checked.lost} kept elsewhere of records that were lost" if checked.lost else ""
    lines = [f"PASS{' WITH A DECLARED GAP' if restores else ''}: {counts}{lost}"]
    for key, (first, last) in restores:
        end = f"to {last} are" if last else "on may be"
        lines.append(f"restored   records from {first} {end} lost; key from then on {key.hex()}")
    origin, first_key = checked.keys.links[0][:2]
    lines += [f"log        {origin}", f"root       {root.hex()}", f"first key  {first_key.hex()}"]
    lines += [each.told() for each in purges]
    step = checked.untold_step()
    if step:
        lines.append(f"clock      was set by {step[1] / 1e6:+.1f} s before record {step[0]} without a "
                     "record that tells of it: by\n           whom, and why? (While the server is "
                     "stopped nothing tells.)")
    unproven = checked.unproven + len(checked.promised)
    if unproven:
        lines.append(f"NOT COMPARED: {unproven} kept elsewhere; the signatures are good, and nothing in this "
                     "export shows that the log still has what they promise: ask the database")
    if restores and not checked.keys.restored:
        lines.append("Somebody restored a backup and declared it. If it was the practice, compare the key with "
                     "the one that\nwas noted then, or give it as --restored-key.")
    return "\n".join(lines), 3 if unproven or (restores and not checked.keys.restored) else 0


def check_indexes(database):
    """Lists look records up in indexes: an entry that is not there hides a record that is."""
    found, = database.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise Wrong(0, "the file contradicts itself: " + found)


def verify_database(path, genesis, anchors, restored):
    database, log = open_database(path), None
    try:
        database.execute("BEGIN")
        log = Log(database, genesis, anchors, restored)
        total = database.execute("SELECT max(seq) FROM audit").fetchone()[0]
        columns = [row[1] for row in database.execute("PRAGMA table_info(audit)")]
        leaf = "leaf" if "leaf" in columns else "NULL"
        rows = database.execute("SELECT seq, t_wall_us, type, outcome, reason, actor, room, body, "
                                f"{leaf} FROM audit ORDER BY seq")
        for row in rows:
            log.record(*row)
            report_progress(log.records, total)
        log.end()
        check_indexes(database)
    except Wrong as wrong:
        wrong.proven = log.proven if log else 0
        raise
    finally:
        database.close()
    kept = f", {log.checked[True]} kept elsewhere" if log.checked[True] else ""
    return told(log, log.retention.purges, f"{counted(log.records, 'record')}, "
                f"{counted(len(log.keys), 'epoch')}, "
                f"{counted(log.checked[False], 'checkpoint')}{kept}", log.tree.root())


def not_shown(genesis, anchors):
    """What a PASS leaves open."""
    if not genesis:
        yield "Compare the first key with the one that was noted off the machine, or give it as --genesis: " \
              "whoever\nrewrites a whole log has to make a new one."
    if not anchors:
        yield "Not shown without a checkpoint that was kept elsewhere (--anchor): an end that was cut off, an " \
              "older\ncopy of the log, or records written anew since the last key began."


def verify(path, genesis, anchor_files, restored=(), receipt_files=()):
    """What to print, and the exit code."""
    try:
        anchors = []
        for file_name in anchor_files:
            with open(file_name, encoding="utf-8", newline="") as file:
                found = notes_in(file.read())
            if not is_note(found[0]):
                return f"there is no checkpoint in {file_name}: give the anchor file, or what a webhook was " \
                       "sent or a witness holds, unchanged", 2
            anchors += found
        receipts = []
        for file_name in receipt_files:
            with open(file_name, encoding="utf-8", newline="") as file:
                receipts.append(read_receipt(file.read()))
        with open(path, "rb") as file:
            is_database = file.read(16) == b"SQLite format 3\0"
        if is_database:  # what a receipt promises, the whole log has to keep
            said, code = verify_database(path, genesis, anchors + [each[2] for each in receipts], restored)
        else:
            said, code = Export(path, genesis, anchors, restored).verify(receipts)
        return "\n".join([said, *not_shown(genesis, anchors)]), code
    except Wrong as wrong:
        said = f"FAIL at record {wrong.seq}: {wrong}" if wrong.seq else f"FAIL: {wrong}"
        return said + (f"\nRecords 1 to {wrong.proven} are as they were sealed." if wrong.proven else ""), 1
    except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
        return f"cannot read it: {error}", 2


def verify_many():
    for line in sys.stdin:
        path, genesis, *anchors = (line.split() + ["-"])[:3]
        said, code = verify(path, b"" if genesis == "-" else unhex(genesis, 32),
                            [each for each in anchors if each != "-"])
        print(code, said.replace("\n", "; "), flush=True)
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("file", nargs="?")
    parser.add_argument("--genesis", type=lambda text: unhex(text, 32), default=b"")
    parser.add_argument("--anchor", action="append", default=[])
    parser.add_argument("--restored-key", type=lambda text: unhex(text, 32), action="append",
                        default=[])
    parser.add_argument("--receipt", action="append", default=[])
    parser.add_argument("--many", action="store_true")
    asked = parser.parse_args()
    sys.stdout.reconfigure(errors="backslashreplace")  # of a file that was tampered with
    if asked.many:
        return verify_many()
    if asked.file is None:
        parser.error("which file?")
    try:
        said, code = verify(asked.file, asked.genesis, asked.anchor, asked.restored_key, asked.receipt)
    except Exception as error:  # whatever it is: nobody writes such a file but by changing it
        said, code = f"FAIL: it is damaged ({type(error).__name__}: {error})", 1
    print(said, file=sys.stderr if code == 2 else sys.stdout)
    return code


if __name__ == "__main__":
    sys.exit(main())
