"""Processes that try to run code on a Dask cluster to which they do not belong."""

import subprocess
import sys

STRANGER = """
import os, sys
from distributed import Client
from distributed.security import Security
address, certificate, user = sys.argv[1:]
own = Security.temporary() if certificate == "own" else None
if user == "nobody":
    os.setgid(65534)
    os.setuid(65534)
try:
    client = Client(address, timeout=2, security=own)
    print("ran code as user", client.submit(os.getuid).result(timeout=5), flush=True)
except Exception as error:
    print("refused", flush=True)
os._exit(0)
"""
"""Another process that tries to run code on a cluster, without a certificate or with one of its own."""


def attempts(address: str, user: str) -> set[str]:
    """What comes of it, over TLS and without."""
    said = set()
    for scheme, certificate in (("tls", "none"), ("tls", "own"), ("tcp", "none")):
        tried = [address.replace("tls:", f"{scheme}:"), certificate, user]
        result = subprocess.run([sys.executable, "-c", STRANGER, *tried], capture_output=True, text=True, timeout=60)
        said.add(result.stdout.strip() or result.stderr)
    return said
