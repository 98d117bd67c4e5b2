"""A peer that knows the webhook protocol's first description and nothing else.

    seed_peer.py PORT RECEIVER_URL WEBHOOK_URL [COST] [IDLE]

POST /webhook   answers {"hash", "url"} with the plain token, once, if it sent that hash to that url
     /example   calls RECEIVER_URL with `Authorization: Webhook WEBHOOK_URL <bcrypt>`
     /receiver  lets a request pass whose webhook answers with the token behind its hash

With IDLE it closes a connection on which nothing was said for so many seconds.
"""

import http.server
import json
import secrets
import sys
import threading
import urllib.error
import urllib.request

import bcrypt

PORT, RECEIVER_URL, WEBHOOK_URL = int(sys.argv[1]), sys.argv[2], sys.argv[3]
COST = int(sys.argv[4]) if len(sys.argv) > 4 else 12
IDLE = float(sys.argv[5]) if len(sys.argv) > 5 else None

tokens, lock = {}, threading.Lock()
asked = []


def call():
    token = secrets.token_urlsafe(32)
    hashed = bcrypt.hashpw(token.encode(), bcrypt.gensalt(COST)).decode()
    with lock:
        tokens[hashed] = (token, RECEIVER_URL)
    request = urllib.request.Request(RECEIVER_URL, headers={"Authorization": f"Webhook {WEBHOOK_URL} {hashed}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status == 200
    except urllib.error.HTTPError as error:
        error.read()
        return False


def redeem(question):
    with lock:
        token, url = tokens.get(question["hash"], (None, None))
        if token is None or url != question["url"]:
            return None
        del tokens[question["hash"]]
        return token


def receive(authorization, own_url):
    scheme, webhook_url, hashed = authorization.split(" ")
    if scheme != "Webhook":
        return False
    body = json.dumps({"hash": hashed, "url": own_url}).encode()
    request = urllib.request.Request(webhook_url, body, {"Content-Type": "application/json"})
    asked.append(webhook_url)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bcrypt.checkpw(answer.read(), hashed.encode())
    except urllib.error.HTTPError as error:
        error.read()
        return False


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE

    def reply(self, status, text):
        body = text.encode()
        head = f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\nContent-Type: text/plain\r\n\r\n"
        self.wfile.write(head.encode() + body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/webhook":
            token = redeem(json.loads(body))
            return self.reply(200, token) if token else self.reply(401, "no")
        self.do_GET()

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/example":
            self.reply(200, json.dumps({"allowed": call()}))
        elif path == "/asked":
            self.reply(200, json.dumps(asked))
        elif path == "/receiver":
            own_url = f"http://127.0.0.1:{PORT}/receiver"
            authorization = self.headers.get("Authorization")
            good = bool(authorization) and receive(authorization, own_url)
            self.reply(200, "welcome") if good else self.reply(401, "who are you?")
        else:
            self.reply(404, "")

    def log_message(self, *arguments):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
