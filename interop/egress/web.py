"""Web servers on every address and port: the path says how to behave, the log says what came.

Ports 443 and 8443 speak TLS; the first label of the client's server name chooses the certificate, anything unknown gets
the good one. Port 8444 speaks TLS 1.1 and nothing newer.
"""

import ssl
import time
import warnings

TLS_PORTS = ("443", "8443", "8444")
HEAD_BYTES_MAX = 1 << 20
# No behaviour goes on for longer.
SECONDS_MAX = 150


class WebServers:
    def __init__(self, certificates, log):
        self.log = log
        self.contexts = {}
        for name, files in certificates.items():
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            if name == "old":
                warnings.simplefilter("ignore", DeprecationWarning)
                context.set_ciphers("ALL:@SECLEVEL=0")
                context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
            context.load_cert_chain(files["certificate"], files["key"])
            context.set_alpn_protocols(["h2", "http/1.1"])
            self.contexts[name] = context

    def handle(self, stream, local, peer):
        connection = Connection(stream, local, peer, self.log)
        try:
            if local.rpartition(":")[2] in TLS_PORTS:
                connection.secure(self.contexts)
            connection.serve()
        except (OSError, ValueError) as error:
            connection.why = f"{type(error).__name__}: {error}"
        finally:
            connection.close()


class Connection:
    def __init__(self, stream, local, peer, log):
        self.stream, self.local, self.peer, self.log = stream, local, peer, log
        self.server_name = None
        self.sent = 0
        self.why = "ended"
        stream.settimeout(SECONDS_MAX)

    def secure(self, contexts):
        def choose(tls, name, _):
            self.server_name = name
            self.log.write("hello", local=self.local, peer=self.peer, server_name=name)
            first = (name or "").split(".")[0]
            tls.context = contexts.get(first, contexts["good"])

        outer = contexts["old" if self.local.endswith(":8444") else "good"]
        outer.sni_callback = choose
        self.stream = outer.wrap_socket(self.stream, server_side=True)
        self.log.write("tls", local=self.local, peer=self.peer, version=self.stream.version(),
                       protocol=self.stream.selected_alpn_protocol())

    def send(self, data):
        self.stream.sendall(data)
        self.sent += len(data)

    def endless(self, piece, wait):
        end = time.time() + SECONDS_MAX
        while time.time() < end:
            self.send(piece)
            if wait:
                time.sleep(wait)

    def serve(self):
        self.reader = self.stream.makefile("rb")
        for index in range(1000000):
            line = self.reader.readline(HEAD_BYTES_MAX)
            if not line:
                return
            headers = []
            while (field := self.reader.readline(HEAD_BYTES_MAX)) not in (b"\r\n", b"\n", b""):
                headers.append(field.decode("latin-1").rstrip("\r\n"))
            body = self.body(headers)
            first = line.decode("latin-1").rstrip("\r\n")
            self.log.write("request", local=self.local, peer=self.peer, server_name=self.server_name, index=index,
                           line=first, headers=headers, body=body)
            parts = first.split(" ")
            if not self.answer(parts[1] if len(parts) > 1 else ""):
                return

    def body(self, headers):
        """Length of the body that was read."""
        fields = {}
        for field in headers:
            name, _, value = field.partition(":")
            fields[name.lower()] = value.strip()
        if fields.get("transfer-encoding") == "chunked":
            total = 0
            while size := int(self.reader.readline(), 16):
                total += len(self.reader.read(size))
                self.reader.readline()
            self.reader.readline()
            return total
        return len(self.reader.read(int(fields.get("content-length", "0"))))

    def answer(self, target):
        """Whether the connection is to be kept."""
        path, _, argument = target.partition("?")
        chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        if path.startswith("/redirect/"):
            code = path.removeprefix("/redirect/")
            self.send(f"HTTP/1.1 {code} Moved\r\nlocation: {argument}\r\ncontent-length: 0\r\n\r\n".encode())
        elif path == "/endless":
            self.send(chunked)
            self.endless(b"4000\r\n" + b"x" * 0x4000 + b"\r\n", 0)
        elif path == "/slow":
            self.send(chunked)
            self.endless(b"1\r\nx\r\n", 1)
        elif path == "/head":
            self.send(b"HTTP/1.1 200 OK\r\n")
            self.endless(b"x-filler: " + b"a" * 1000 + b"\r\n", 0)
        elif path == "/silent":
            time.sleep(SECONDS_MAX)
        elif path == "/gzip":
            packed = bytes.fromhex("1f8b0800000000000003edc1010d000000c2a0f74f6d0e37a00000000000000000")
            self.send(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed) + packed)
        elif path == "/both":
            self.send(chunked.replace(b"\r\n\r\n", b"\r\ncontent-length: 5\r\n\r\n") + b"5\r\nhello\r\n0\r\n\r\n")
        elif path == "/lengths":
            self.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!")
        elif path == "/trailers":
            self.send(chunked.replace(b"\r\n\r\n", b"\r\ntrailer: host\r\n\r\n") + b"5\r\nhello\r\n0\r\nhost: evil\r\n\r\n")
        elif path == "/switch":
            self.send(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
        else:
            self.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 6\r\n\r\nhello\n")
        return True

    def close(self):
        self.log.write("end", local=self.local, peer=self.peer, sent=self.sent, why=self.why)
        try:
            self.stream.close()
        except OSError:
            pass
