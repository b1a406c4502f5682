"""The world that an agent's node sees from inside a network namespace: name servers, web servers and canaries.

Started as `world.py CONFIG`. Everything that arrives is one line of JSON in the log that CONFIG names; the story reads
it as evidence, beside the counters of the kernel. Nothing here knows what is allowed.
"""

import json
import socket
import sys
import threading
import time

import names
import web

LISTEN_BACKLOG = 256


class Log:
    """Lines of JSON, each written whole."""

    def __init__(self, path):
        self.file = open(path, "a", buffering=1)
        self.lock = threading.Lock()

    def write(self, event, **fields):
        with self.lock:
            self.file.write(json.dumps({"event": event, "at": time.time(), **fields}) + "\n")


def text(address):
    """`IP:PORT` with brackets around IPv6, and IPv4 inside IPv6 written as what it is."""
    host, port = address[0].split("%")[0], address[1]
    if host.startswith("::ffff:") and "." in host:
        host = host[7:]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def listener(family, kind, address, port):
    server = socket.socket(family, kind)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    server.bind((address, port))
    if kind == socket.SOCK_STREAM:
        server.listen(LISTEN_BACKLOG)
    return server


def serve_streams(server, log, handle):
    while True:
        stream, peer = server.accept()
        local = text(stream.getsockname())
        log.write("connect", local=local, peer=text(peer))
        threading.Thread(target=handle, args=(stream, local, text(peer)), daemon=True).start()


def serve_datagrams(server, log):
    """A canary: what comes is written down and never answered."""
    while True:
        data, peer = server.recvfrom(65535)
        log.write("datagram", local=text(server.getsockname()), peer=text(peer), bytes=len(data))


def main():
    with open(sys.argv[1]) as file:
        config = json.load(file)
    log = Log(config["log"])
    threads = []

    def start(target, *arguments):
        threads.append(threading.Thread(target=target, args=arguments, daemon=True))

    resolver = names.NameServer(config["names"], log)
    for address in config["name_servers"]:
        start(resolver.serve_datagrams, listener(socket.AF_INET, socket.SOCK_DGRAM, address, 53))
    servers = web.WebServers(config["certificates"], log)

    def handle(stream, local, peer):
        if local in [f"{address}:53" for address in config["name_servers"]]:
            resolver.handle_stream(stream, local, peer)
        else:
            servers.handle(stream, local, peer)

    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        for port in config["ports"]:
            start(serve_streams, listener(family, socket.SOCK_STREAM, address, port), log, handle)
        for port in config["datagram_ports"]:
            start(serve_datagrams, listener(family, socket.SOCK_DGRAM, address, port), log)

    for thread in threads:
        thread.start()
    log.write("ready")
    threading.Event().wait()


main()
