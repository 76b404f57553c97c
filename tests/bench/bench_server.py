"""What the benches in Python need: a Bedside on free ports of loopback, and what /proc says of a process."""

import contextlib
import http.client
import os
import pathlib
import random
import secrets
import socket
import ssl
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = ROOT / "build" / "server" / "bedside"
PROGRAMS = ROOT / "build" / "tests" / "bench"


def machine():
    load = " ".join(pathlib.Path("/proc/loadavg").read_text().split()[:3])
    return f"{os.cpu_count()} cores, {os.uname().release}, load {load}"


def free_port():
    """Nobody uses it now, over TCP nor UDP; below the ephemeral ports, which the kernel gives to clients."""
    while True:
        port = random.randint(10000, 32767)
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp, contextlib.suppress(OSError):
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
            return port


def certificate(folder):
    """Files of a self-signed certificate for localhost: (certificate, key)."""
    files = folder / "localhost.pem", folder / "localhost.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3",
         "-subj", "/CN=bench", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", str(files[1]), "-out", str(files[0])], check=True, stderr=subprocess.DEVNULL)
    return files


def times(pid):
    """User and system time of a process so far, in seconds."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return tuple(int(field) / os.sysconf("SC_CLK_TCK") for field in fields[11:13])


def cpu_seconds(pid):
    return sum(times(pid))


def user_seconds(pid):
    return times(pid)[0]


def resident_kib(pid):
    """Memory that is the process's own: PSS, which counts shared pages in proportion."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise RuntimeError(f"the kernel does not tell the memory of {pid}")


def percentile(values, share):
    ordered = sorted(values) or [float("inf")]
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class Bedside:
    """Open access, plain and TLS, everything on loopback."""

    def __init__(self, folder):
        self.web, self.plain, self.turn, self.figures = (free_port() for _ in range(4))
        cert, key = certificate(folder)
        self.secret_file = folder / "secret"
        self.secret_file.write_text(secrets.token_hex(16))
        self.secret_file.chmod(0o600)
        config = folder / "bedside.toml"
        config.write_text(
            f'data_dir = "data"\npublic_host = "localhost"\n'
            f'[https]\nlisten = ["127.0.0.1:{self.web}"]\ncertificate = "{cert}"\nprivate_key = "{key}"\n'
            f'[http]\nlisten = ["127.0.0.1:{self.plain}"]\n'
            f'[turn]\nlisten = ["127.0.0.1:{self.turn}"]\nrelay_ports = "50000-54999"\nrealm = "bench"\n'
            f'shared_secret_file = "{self.secret_file}"\nallow_loopback_peers = true\n'
            f'[signaling]\naccess = "open"\n[operator]\nlisten = "127.0.0.1:{self.figures}"\n')
        config.chmod(0o600)
        self.log_file = folder / "bedside.log"
        with open(self.log_file, "w") as log:
            self.process = subprocess.Popen([BINARY, "serve", "--config", str(config)], stdout=log, stderr=log)
        end = time.monotonic() + 60
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"Bedside did not start ({self.process.poll()}):\n" + self.log_file.read_text())
            time.sleep(0.05)

    @property
    def pid(self):
        return self.process.pid

    def answers(self):
        with contextlib.suppress(OSError):
            return bool(self.metrics())

    def metrics(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.figures, timeout=20)
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        if answer.status != 200:
            raise ConnectionError("Bedside is starting")
        lines = answer.read().decode().splitlines()
        return dict(line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))

    def stop(self):
        self.process.terminate()
        return self.process.wait(20)


def untrusting():
    """TLS as a client makes it that does not know the bench's certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
