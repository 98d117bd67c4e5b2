"""A requester with introduced keys, written from docs/reference/schemes/webhook.md and vectors/requests/ alone.

    webhook_peer.py    says {"url"}, where it answers questions, and takes orders, one JSON object a line:

{"vectors": PATH}                               builds each base of that file, verifies each signature that passes there
{"method", "url", "body", "how", "exp"}         sends a request; `how`: introduce, later, plain, or whichever is due
{"again": true}                                 sends the last one once more, byte for byte
"""

import base64
import hashlib
import http.client
import http.server
import json
import secrets
import struct
import sys
import threading
import time
import urllib.parse

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


key = Ed25519PrivateKey.generate()
x = base64url(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
jkt = base64url(hashlib.sha256(b'{"crv":"Ed25519","kty":"OKP","x":"%s"}' % x.encode()).digest())
tokens, lock, asked = {}, threading.Lock(), []


class Questions(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked.append(question)
        with lock:
            token = tokens.pop((question["hash"], question["url"]), None) if self.path == "/hook" else None
        body = (token or "").encode()
        self.send_response(200 if token else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Questions)
WEBHOOK_URL = f"http://127.0.0.1:{server.server_port}/hook"


def parts(url):
    """The receiver URL, and what it is in a signature."""
    split = urllib.parse.urlsplit(url)
    usual = {"http": 80, "https": 443}[split.scheme]
    authority = split.hostname if split.port in (None, usual) else f"{split.hostname}:{split.port}"
    path = split.path or "/"
    query = url.partition("?")[2]
    receiver = f"{split.scheme}://{authority}{path}"
    return receiver, {
        "@scheme": split.scheme,
        "@authority": authority,
        "@path": path,
        "@query": f"?{query}",
        "@target-uri": f"{receiver}?{query}" if "?" in url else receiver,
    }


def base(method, url, headers, components, parameters):
    values = {"@method": method, **parts(url)[1]}
    values.update({name.lower(): value for name, value in headers.items()})
    lines = [f'"{name}": {values[name]}' for name in components]
    return "\n".join([*lines, f'"@signature-params": {parameters}'])


def sign(method, url, headers, also, parameters):
    components = ["@method", "@scheme", "@authority", "@path", "@query"]
    components += [name for name in ("content-type", "content-digest") if name in headers] + also
    parameters = "(" + " ".join(f'"{name}"' for name in components) + ")" + parameters
    signature = key.sign(base(method, url, headers, components, parameters).encode())
    headers["signature-input"] = f"cb={parameters}"
    headers["signature"] = f"cb=:{base64.b64encode(signature).decode()}:"


def promise(token, receiver):
    hashed = "sha-256." + base64url(hashlib.sha256(token.encode()).digest())
    with lock:
        tokens[hashed, receiver] = token
    return f"Webhook {WEBHOOK_URL} {hashed}"


def introduce(method, url, headers, exp):
    receiver, target = parts(url)
    bound = ["cik/1", WEBHOOK_URL, receiver, jkt, "ed25519", str(exp), method, target["@target-uri"]]
    bound += [headers.get("content-digest", ""), ""]
    prefixed = b"".join(struct.pack(">I", len(part.encode())) + part.encode() for part in bound)
    token = f"{base64url(secrets.token_bytes(16))}.{base64url(hashlib.sha256(prefixed).digest())}"
    headers["authorization"] = promise(token, receiver)
    headers["signature-key"] = f'cb=hwk;kty="OKP";crv="Ed25519";x="{x}"'
    headers["webhook-key"] = f"exp={exp}"
    parameters = f';created={int(time.time())};keyid="{jkt}";tag="webhook-intro"'
    sign(method, url, headers, ["authorization", "signature-key", "webhook-key"], parameters)


def later(method, url, headers):
    headers["signature-agent"] = f'cb="{WEBHOOK_URL}";type=webhook'
    now = int(time.time())
    parameters = f';created={now};expires={now + 60};nonce="{secrets.token_urlsafe(16)}";keyid="{jkt}";tag="webhook-key"'
    sign(method, url, headers, ["signature-agent"], parameters)


known_until, last = {}, None


def call(order):
    global last
    method, url, body = order["method"], order["url"], order.get("body", "").encode()
    origin = urllib.parse.urlsplit(url).netloc
    how = order.get("how") or ("later" if time.time() + 60 < known_until.get(origin, 0) else "introduce")
    headers = {}
    if body:
        headers["content-type"] = "application/json"
        headers["content-digest"] = f"sha-512=:{base64.b64encode(hashlib.sha512(body).digest()).decode()}:"
    exp = order.get("exp", int(time.time()) + 3600)
    if how == "introduce":
        introduce(method, url, headers, exp)
    elif how == "later":
        later(method, url, headers)
    else:
        headers["authorization"] = promise(base64url(secrets.token_bytes(32)), parts(url)[0])
    last = (method, url, body, headers)
    status, code = send(*last)
    if how == "introduce" and status == 200:
        known_until[origin] = exp
    if how == "later" and status == 401:
        known_until.pop(origin, None)
    return {"how": how, "status": status, "code": code, "asked": len(asked)}


def send(method, url, body, headers):
    split = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(split.hostname, split.port, timeout=10)
    connection.request(method, url[len(f"{split.scheme}://{split.netloc}") :], body or None, headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text)["code"] if answer.status >= 400 else None


def check(path):
    with open(path) as opened:
        file = json.load(opened)
    scalar = base64.urlsafe_b64decode(file["callers"]["alice"]["key"]["d"] + "=")
    public = Ed25519PrivateKey.from_private_bytes(scalar).public_key()
    verified = 0
    for step in (step for story in file["stories"] for step in story["steps"] if "base" in step):
        head = step["request"].split("\r\n\r\n")[0].split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:])}
        parameters = headers["signature-input"].split("=", 1)[1]
        components = [name.strip('"') for name in parameters[1 : parameters.index(")")].split(" ")]
        built = base(method, file["receiver"]["public_url"] + target, headers, components, parameters)
        assert built == step["base"], built
        public.verify(base64.b64decode(headers["signature"].split(":")[1]), built.encode())
        verified += 1
    return {"verified": verified}


threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"url": WEBHOOK_URL}), flush=True)
for line in sys.stdin:
    order = json.loads(line)
    if "vectors" in order:
        answer = check(order["vectors"])
    elif "again" in order:
        status, code = send(*last)
        answer = {"status": status, "code": code, "asked": len(asked)}
    else:
        answer = call(order)
    print(json.dumps(answer), flush=True)
