#!/usr/bin/env python3
"""Checks a Bedside audit log without any of Bedside's code: Python's standard library and `openssl`.

  verify_audit_log.py DATABASE|EXPORT.tar [--genesis HEX] [--anchor FILE]...

A database is opened read-only. --genesis is the first key as it was noted off the host, --anchor a
checkpoint that was kept elsewhere. Exit 0: the log is whole. 1: it is not; the first bad record is
named. 2: it could not be read. With --many instead of a file, lines "FILE [HEX|- [ANCHOR]]" are read
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
import tarfile
import tempfile
import time
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


# ---- exports ----

def shown(file, what):
    return f"{file}: {what}"


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
    PROVEN = REQUIRED[:4] + ("proofs.ndjson", "disclosed.ndjson")

    def __init__(self, path, genesis, anchors):
        self.path, self.genesis, self.anchors = path, genesis, anchors
        self.epochs, self.notes, self.records = [], [], 0
        try:
            self.files = self.read_archive()
        except (tarfile.TarError, ValueError, EOFError) as error:
            raise Wrong(0, f"this is no export, or a damaged one: {error}") from None
        for name in self.REQUIRED:
            if name not in self.files:
                raise Wrong(0, shown(name, "this file is missing"))

    def read_archive(self):
        files, end = {}, 0
        with open(self.path, "rb") as raw, tarfile.open(fileobj=raw, mode="r:",
                                                        errorlevel=2) as archive:
            for member in archive:
                name = member.name.rsplit("/", 1)[-1]
                raw.seek(member.offset_data + member.size)
                padding = -member.size % 512 if member.isreg() else 0
                if not (member.isdir() or member.type == tarfile.REGTYPE) or name in files:
                    raise ValueError("something else than plain files")
                if raw.read(padding) != bytes(padding):
                    raise ValueError("something between files")
                end = member.offset_data + member.size + padding
                if member.isreg():
                    files[name] = (member.offset_data, member.size)
            raw.seek(end)
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

    def signed_in_time(self, note):
        if not 0 < note.epoch <= len(self.epochs):
            return False
        origin, key, seq = self.epochs[note.epoch - 1]
        over = note.epoch < len(self.epochs) and note.size > self.epochs[note.epoch][2]
        return not over and note.size >= seq and note.origin == origin and note.signed_by(key)

    def check_epoch(self, line):
        try:
            body = line["body"].encode()
            value = read_body(0, body)
            seq, detail = value["seq"], value["detail"]
            number, origin, key = detail["epoch"], detail["origin"], unhex(detail["public_key"], 32)
            voucher = unhex(detail.get("signature", ""), 64 if self.epochs else 0)
            if value["type"] != "epoch.rotated" or number != len(self.epochs) + 1:
                raise ValueError
        except (KeyError, AttributeError, TypeError, ValueError, Wrong):
            raise Wrong(0, f"epoch {len(self.epochs) + 1} is not announced") from None
        if not self.included(line, body, seq):
            raise Wrong(seq, "it is not in the log as it was sealed")
        before = b""
        try:
            before, = read_proof(line.get("before", ""))
        except (TypeError, AttributeError, ValueError):
            pass
        if not self.consistent(seq - 1, before, line.get("consistency")):
            raise Wrong(seq, "the records before it are not the beginning of this log")
        if not self.epochs:
            if self.genesis and key != self.genesis:
                raise Wrong(seq, "the first key is not the one that was noted")
        else:
            old = self.epochs[-1]
            message = (f"bedside audit epoch\n{old[0]}\n{number}\n{key.hex()}\n"
                       f"{seq - 1}\n{before.hex()}\n")
            if seq <= old[2] or origin != old[0] or \
                    not signature_holds(old[1], message.encode(), voucher):
                raise Wrong(seq, "the key of the epoch before does not vouch for this one")
        self.epochs.append((origin, key, seq))

    def check_checkpoints(self):
        if not self.signed_in_time(self.note):
            raise Wrong(self.note.size, "the checkpoint is not signed by the key of its epoch")
        self.notes = [self.note]
        for line in self.objects("checkpoints.ndjson"):
            try:
                note = Note(line["note"])
            except (KeyError, AttributeError, TypeError, ValueError, binascii.Error):
                raise Wrong(0, "a checkpoint is not readable") from None
            if not self.consistent(note.size, note.root, line.get("proof")):
                raise Wrong(note.size, "a checkpoint is of other records: one of them was changed")
            if not self.signed_in_time(note):
                raise Wrong(note.size, "a checkpoint is not signed by the key of its epoch")
            self.notes.append(note)
        for text in self.anchors:
            try:
                anchor = Note(text)
            except (ValueError, binascii.Error):
                raise Wrong(0, "what was kept elsewhere is no checkpoint") from None
            same = [note for note in self.notes if note.size == anchor.size]
            if not same:
                raise Wrong(0, "the checkpoint that was kept elsewhere is none of this export's")
            if same[0].root != anchor.root or not self.signed_in_time(anchor):
                raise Wrong(anchor.size, "the checkpoint kept elsewhere is of other records")

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
        return (wanted.get("from_us", -2**63) <= value["t_wall_us"] < wanted.get("to_us", 2**63) and
                wanted.get("room") in (None, value.get("room")) and
                ("person" not in wanted or wanted["person"] in people))

    def check_records(self):
        opened = self.objects("disclosed.ndjson") if "disclosed.ndjson" in self.files else iter(())
        line, last = next(opened, None), 0
        bodies = self.lines("records.ndjson")
        for proof in self.objects("proofs.ndjson"):
            body = next(bodies, None)
            if body is None:
                raise Wrong(int(proof.get("index", -1)) + 1, "it is missing")
            value = read_body(int(proof.get("index", -1)) + 1, body)
            seq = value.get("seq", 0)
            if not self.included(proof, body, seq):
                raise Wrong(seq, "it is not in the log as it was sealed")
            if seq <= last or not self.matches(value):
                raise Wrong(seq, "it does not belong into this export")
            last = seq
            self.records += 1
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

    def verify(self):
        try:
            self.note = Note(b"".join(self.content("checkpoint")).decode())
        except (ValueError, UnicodeDecodeError, binascii.Error):
            raise Wrong(0, "the checkpoint is not readable") from None
        for line in self.objects("epochs.ndjson"):
            self.check_epoch(line)
        if not self.epochs:
            raise Wrong(0, "no epoch was announced")
        self.check_checkpoints()
        self.check_exported()
        self.check_records()
        self.check_digests()
        return (f"PASS: {self.records} exported records of {self.note.size}, {len(self.epochs)} "
                f"epochs, {len(self.notes)} checkpoints\n" +
                told(self.epochs, self.note.root))


def open_database(path):
    if not os.path.exists(path):
        raise OSError(f"no such file: {path}")
    address = "file:" + urllib.request.pathname2url(os.path.abspath(path)) + "?mode=ro"
    return sqlite3.connect(address, uri=True, isolation_level=None)


LAST_PROGRESS = [time.monotonic()]


def report_progress(done, total):
    """On a terminal, every second at most; elsewhere every ten."""
    if done % 1000 == 0:
        terminal = sys.stderr.isatty()
        if time.monotonic() - LAST_PROGRESS[0] > (1 if terminal else 10):
            LAST_PROGRESS[0] = time.monotonic()
            print(f"\r{done} of {total} records", end="" if terminal else "\n", file=sys.stderr,
                  flush=True)


def told(epochs, root):
    return f"log        {epochs[0][0]}\nroot       {root.hex()}\nfirst key  {epochs[0][1].hex()}"


def verify_database(path, genesis, anchors):
    database = open_database(path)
    try:
        database.execute("BEGIN")
        log = Log(database, genesis, anchors)
        total = database.execute("SELECT max(seq) FROM audit").fetchone()[0]
        rows = database.execute("SELECT seq, t_wall_us, type, outcome, reason, actor, room, body "
                                "FROM audit ORDER BY seq")
        for row in rows:
            log.record(*row)
            report_progress(log.tree.size, total)
        log.end()
    finally:
        database.close()
    kept = f", {log.checked[True]} kept elsewhere" if log.checked[True] else ""
    return (f"PASS: {log.tree.size} records, {len(log.epochs)} epochs, {log.checked[False]} "
            f"checkpoints{kept}\n" + told(log.epochs, log.tree.root()))


def verify(path, genesis, anchor_files):
    """What to print, and the exit code."""
    try:
        anchors = []
        for file_name in anchor_files:
            with open(file_name, encoding="utf-8", newline="") as file:
                anchors.append(file.read())
        with open(path, "rb") as file:
            is_database = file.read(16) == b"SQLite format 3\0"
        if is_database:
            return verify_database(path, genesis, anchors), 0
        return Export(path, genesis, anchors).verify(), 0
    except Wrong as wrong:
        return (f"FAIL at record {wrong.seq}: {wrong}" if wrong.seq else f"FAIL: {wrong}"), 1
    except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
        return f"cannot read it: {error}", 2


def verify_many():
    for line in sys.stdin:
        path, genesis, *anchors = (line.split() + ["-"])[:3]
        said, code = verify(path, b"" if genesis == "-" else unhex(genesis, 32),
                            [each for each in anchors if each != "-"])
        print(code, said.split("\n", maxsplit=1)[0], flush=True)
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("file", nargs="?")
    parser.add_argument("--genesis", type=lambda text: unhex(text, 32), default=b"")
    parser.add_argument("--anchor", action="append", default=[])
    parser.add_argument("--many", action="store_true")
    asked = parser.parse_args()
    if asked.many:
        return verify_many()
    if asked.file is None:
        parser.error("which file?")
    said, code = verify(asked.file, asked.genesis, asked.anchor)
    print(said, file=sys.stderr if code == 2 else sys.stdout)
    return code


if __name__ == "__main__":
    sys.exit(main())
