#!/usr/bin/env python3
"""Checks a Bedside audit log without any of Bedside's code: Python's standard library and `openssl`.

  verify_audit_log.py DATABASE [--genesis HEX] [--anchor FILE]...

DATABASE is opened read-only. --genesis is the first key as it was noted off the host, --anchor a
checkpoint that was kept elsewhere. Exit 0: the log is whole. 1: it is not; the first bad record is
named. 2: it could not be read."""

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
import urllib.request

STORED_LEVELS = 8
OWN_RECORDS = ("epoch.rotated", "storage.recovered")
# DER of an Ed25519 public key up to its 32 bytes (RFC 8410).
ED25519_DER = bytes.fromhex("302a300506032b6570032100")


class Wrong(Exception):
    """Something that was sealed is not as it was."""

    def __init__(self, seq, what):
        super().__init__(what)
        self.seq = seq


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

    def append(self, leaf):
        level, index, root = 0, self.size, leaf
        self.size += 1
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


def signature_holds(key, message, signature):
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
        if depth > 9:
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
        self.epoch = int(match.group(4))

    def signed_by(self, key):
        key_id = hashlib.sha256(self.origin.encode() + b"\n\x01" + key).digest()[:4]
        return any(name == self.origin and given == key_id and len(signature) == 64 and
                   signature_holds(key, self.text.encode(), signature)
                   for name, given, signature in self.signatures)


class Log:
    def __init__(self, database, genesis, anchors):
        self.genesis = genesis
        self.tree = Tree()
        self.epochs = []  # (origin, key, seq)
        self.boot = ("", 0)
        self.checked = {False: 0, True: 0}  # checkpoints: of the table, kept elsewhere
        self.subtrees = {(level, index): bytes(root) for level, index, root in
                         database.execute("SELECT level, idx, root FROM audit_subtree")}
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

    def record(self, seq, wall, kind, outcome, reason, actor, room, body):
        if seq != self.tree.size + 1:
            raise Wrong(self.tree.size + 1, f"record {self.tree.size + 1} is missing")
        value = read_body(seq, bytes(body))
        before = self.tree.root() if kind == "epoch.rotated" else b""
        self.tree.append(leaf_hash(bytes(body)))
        who = value.get("actor")
        who = f'{who.get("kind", "")}:{who.get("id", "")}' if isinstance(who, dict) else None
        shown = {"seq": seq, "t_wall_us": wall, "type": kind, "outcome": outcome, "reason": reason,
                 "room": room}
        for name, column in shown.items():
            if value.get(name) != column:
                raise Wrong(seq, f"its column {name} is not what its body says")
        if who != actor:
            raise Wrong(seq, "its column actor is not what its body says")
        self.check_time(seq, value)
        if kind == "epoch.rotated":
            self.check_epoch(seq, value.get("detail"), before)
        for level, index, root in self.tree.complete:
            if self.subtrees.pop((level, index), None) != root:
                raise Wrong(seq, "a stored root is not that of the records: one of them was changed")
        self.tree.complete.clear()
        for note, anchor in self.notes.get(seq, ()):
            self.check_note(seq, note, anchor)

    def check_time(self, seq, value):
        if value["type"] in OWN_RECORDS or value.get("late") == 1 or "t_boot_us" not in value:
            return
        boot, before = value.get("boot_id", ""), self.boot
        self.boot = (boot, value["t_boot_us"])
        if boot == before[0] and value["t_boot_us"] < before[1]:
            raise Wrong(seq, "its time since boot is before that of the record before")

    def check_epoch(self, seq, detail, root_before):
        try:
            number, origin = detail["epoch"], detail["origin"]
            key = unhex(detail["public_key"], 32)
            voucher = unhex(detail["signature"], 64) if "signature" in detail else b""
        except (KeyError, TypeError, ValueError):
            return  # announces nothing; a checkpoint of that epoch finds no key
        if number != len(self.epochs) + 1:
            raise Wrong(seq, f"it announces epoch {number} after epoch {len(self.epochs)}")
        if not self.epochs:
            if self.genesis and key != self.genesis:
                raise Wrong(seq, "the first key is not the one that was noted")
        else:
            before = self.epochs[-1]
            message = (f"bedside audit epoch\n{before[0]}\n{number}\n{key.hex()}\n"
                       f"{seq - 1}\n{root_before.hex()}\n")
            if origin != before[0] or not signature_holds(before[1], message.encode(), voucher):
                raise Wrong(seq, "the key of the epoch before does not vouch for this one")
        self.epochs.append((origin, key, seq))

    def check_note(self, seq, note, anchor):
        if note.root != self.tree.root():
            raise Wrong(seq, "a checkpoint is of other records: one of them was changed")
        if not 0 < note.epoch <= len(self.epochs):
            raise Wrong(seq, "a checkpoint is of an epoch that was never announced")
        origin, key, _ = self.epochs[note.epoch - 1]
        over = note.epoch < len(self.epochs) and seq > self.epochs[note.epoch][2]
        if over or note.origin != origin:
            raise Wrong(seq, "a checkpoint is of an epoch that was over, or of another log")
        if not note.signed_by(key):
            raise Wrong(seq, "a checkpoint is not signed by the key of its epoch")
        self.checked[anchor] += 1

    def end(self):
        if not self.notes:
            raise Wrong(0, "the log was never sealed")
        newest = max(self.notes)
        if newest > self.tree.size:
            raise Wrong(self.tree.size + 1, f"records up to {newest} were sealed and are missing")
        if self.subtrees:
            raise Wrong(0, "roots are stored of records that are not there")
        if self.tree.size not in self.notes:
            raise Wrong(newest + 1, f"the records after {newest} were never sealed")


def open_database(path):
    if not os.path.exists(path):
        raise OSError(f"no such file: {path}")
    address = "file:" + urllib.request.pathname2url(os.path.abspath(path)) + "?mode=ro"
    return sqlite3.connect(address, uri=True, isolation_level=None)


def verify(path, genesis, anchors):
    database = open_database(path)
    database.execute("BEGIN")
    log = Log(database, genesis, anchors)
    total = database.execute("SELECT max(seq) FROM audit").fetchone()[0]
    rows = database.execute("SELECT seq, t_wall_us, type, outcome, reason, actor, room, body "
                            "FROM audit ORDER BY seq")
    for row in rows:
        log.record(*row)
        if sys.stderr.isatty() and log.tree.size % 20000 == 0:
            print(f"\r{log.tree.size} of {total} records", end="", file=sys.stderr, flush=True)
    log.end()
    return log


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("database")
    parser.add_argument("--genesis", type=lambda text: unhex(text, 32), default=b"")
    parser.add_argument("--anchor", action="append", default=[])
    asked = parser.parse_args()
    try:
        anchors = []
        for path in asked.anchor:
            with open(path, encoding="utf-8", newline="") as file:
                anchors.append(file.read())
        log = verify(asked.database, asked.genesis, anchors)
    except Wrong as wrong:
        print(f"FAIL at record {wrong.seq}: {wrong}" if wrong.seq else f"FAIL: {wrong}")
        return 1
    except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
        print(f"cannot read it: {error}", file=sys.stderr)
        return 2
    print(f"PASS: {log.tree.size} records, {len(log.epochs)} epochs, {log.checked[False]} checkpoints"
          + (f", {log.checked[True]} kept elsewhere" if log.checked[True] else ""))
    print(f"log        {log.epochs[0][0]}\nroot       {log.tree.root().hex()}\n"
          f"first key  {log.epochs[0][1].hex()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
