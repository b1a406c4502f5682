"""Reads a URL per line as urllib does and answers with host and port, or `-` where it reads something else than both."""

import sys
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443}

for line in sys.stdin:
    try:
        url = urlsplit(line.rstrip("\n"))
        plain = url.username is None and url.password is None and not url.fragment and url.hostname
        print(f"{url.hostname} {url.port if url.port is not None else PORTS[url.scheme]}" if plain else "-")
    except (KeyError, ValueError):
        print("-")
