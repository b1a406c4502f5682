"""A name server that says what a case needs: other answers at each question, chains, crowds, answers nobody asked for.

A name's script: `a` and `aaaa` are lists of answers, taken one per question, the last one stays; `cname` is put in front
of them; `ttl` in seconds; `count` makes so many addresses; `owner` answers for another name; `silent` never answers.
`*.zone` stands for every name below that zone.
"""

import ipaddress
import struct
import threading

A, CNAME, AAAA = 1, 5, 28
NXDOMAIN = 3
# Above this an answer goes over TCP only.
DATAGRAM_BYTES_MAX = 1200


def encoded(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def record(owner, kind, ttl, data):
    return encoded(owner) + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


def question(message):
    """The name and type asked for, and where the question ends."""
    labels, at = [], 12
    while message[at]:
        labels.append(message[at + 1 : at + 1 + message[at]].decode("latin-1"))
        at += 1 + message[at]
    return ".".join(labels), struct.unpack(">H", message[at + 1 : at + 3])[0], at + 5


class NameServer:
    def __init__(self, scripts, log):
        self.scripts = scripts
        self.log = log
        self.asked = {}
        self.lock = threading.Lock()

    def script(self, name):
        lower = name.lower()
        return self.scripts.get(lower) or self.scripts.get("*." + lower.partition(".")[2])

    def step(self, name, kind, answers):
        with self.lock:
            at = self.asked.get((name, kind), 0)
            self.asked[(name, kind)] = at + 1
        return answers[min(at, len(answers) - 1)] if answers else []

    def answers(self, name, kind, script):
        owner, ttl = script.get("owner", name), script.get("ttl", 0)
        found = []
        if "cname" in script:
            found.append(record(owner, CNAME, ttl, encoded(script["cname"])))
            owner = script["cname"]
        if kind == A:
            addresses = self.step(name, kind, script.get("a", []))
            crowd = [str(ipaddress.IPv4Address("93.185.0.1") + n) for n in range(script.get("count", 0))]
            found += [record(owner, A, ttl, ipaddress.IPv4Address(one).packed) for one in addresses + crowd]
        if kind == AAAA:
            addresses = self.step(name, kind, script.get("aaaa", []))
            found += [record(owner, AAAA, ttl, ipaddress.IPv6Address(one).packed) for one in addresses]
        return found

    def reply(self, message, local, peer, over):
        name, kind, end = question(message)
        self.log.write("question", local=local, peer=peer, name=name.lower(), type=kind, over=over)
        script = self.script(name)
        if script and script.get("silent"):
            return None
        found = self.answers(name, kind, script) if script else []
        code = 0 if script else NXDOMAIN
        body = b"".join(found)
        cut = over == "udp" and end + len(body) > DATAGRAM_BYTES_MAX
        if cut:
            found, body = [], b""
        flags = 0x8580 | code | (0x0200 if cut else 0)
        head = message[:2] + struct.pack(">HHHHH", flags, 1, len(found), 0, 0)
        return head + message[12:end] + body

    def serve_datagrams(self, server):
        host, port = server.getsockname()[:2]
        while True:
            message, peer = server.recvfrom(65535)
            reply = self.reply(message, f"{host}:{port}", f"{peer[0]}:{peer[1]}", "udp")
            if reply:
                server.sendto(reply, peer)

    def handle_stream(self, stream, local, peer):
        with stream:
            reader = stream.makefile("rb")
            while len(head := reader.read(2)) == 2:
                reply = self.reply(reader.read(struct.unpack(">H", head)[0]), local, peer, "tcp")
                if not reply:
                    return
                stream.sendall(struct.pack(">H", len(reply)) + reply)
