"""Signs a request with an Ed25519 key and sends it. Needs the package `cryptography`.

    sign.py KEY.pem KEY_ID METHOD URL [JSON]
"""

import base64
import hashlib
import secrets
import sys
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import load_pem_private_key


def sign(key, key_id, method, url, body=b""):
    """The headers that a request needs besides its own."""
    parts = urlsplit(url)
    covered = {
        "@method": method,
        "@scheme": parts.scheme,
        "@authority": parts.netloc.lower(),
        "@path": parts.path or "/",
        "@query": f"?{parts.query}",
    }
    headers = {}
    if body:
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        headers = {"Content-Type": "application/json", "Content-Digest": f"sha-256=:{digest}:"}
        covered |= {name.lower(): value for name, value in headers.items()}
    names = " ".join(f'"{name}"' for name in covered)
    now = int(time.time())
    parameters = (
        f'({names});created={now};expires={now + 60}'
        f';nonce="{secrets.token_urlsafe(16)}";keyid="{key_id}";tag="countersign"'
    )
    lines = [f'"{name}": {value}' for name, value in covered.items()]
    base = "\n".join([*lines, f'"@signature-params": {parameters}'])
    signature = base64.b64encode(key.sign(base.encode())).decode()
    return headers | {"Signature-Input": f"sig1={parameters}", "Signature": f"sig1=:{signature}:"}


def main():
    key_file, key_id, method, url, *body = sys.argv[1:]
    body = body[0].encode() if body else b""
    with open(key_file, "rb") as file:
        key = load_pem_private_key(file.read(), password=None)
    headers = sign(key, key_id, method, url, body)
    request = urllib.request.Request(url, body or None, headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            print(answer.read().decode())
    except urllib.error.HTTPError as refused:
        sys.exit(refused.read().decode())


main()
