"""An API behind the gateway: it believes what the gateway asserts of a request, and nobody who comes around it.

    pip install flask 'pyjwt[crypto]'
    GATEWAY=https://api.example ORIGIN=http://127.0.0.1:3000 PORT=3000 python flask_app.py

GATEWAY is the gateway's `public_url`, ORIGIN is this API as the route's `upstream` writes it.
"""

import base64
import hashlib
import os

import jwt
from flask import Flask, abort, g, request

GATEWAY, ORIGIN = os.environ["GATEWAY"], os.environ["ORIGIN"]
keys = jwt.PyJWKClient(f"{GATEWAY}/.well-known/jwks.json")
gateway = {"issuer": f"{GATEWAY}/assertion", "audience": ORIGIN, "options": {"require": ["sub", "exp"]}}
app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024


@app.before_request
def asserted():
    try:
        token = request.headers.get("Countersign-Assertion", "")
        key = keys.get_signing_key_from_jwt(token)
        whole = jwt.decode_complete(token, key, algorithms=["EdDSA"], leeway=30, **gateway)
    except jwt.PyJWTError:
        abort(401)
    claims, typ = whole["payload"], whole["header"].get("typ")
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(request.get_data()).digest()).decode()}:"
    about = (typ, claims.get("htm"), claims.get("htu"), claims.get("digest", digest))
    # RAW_URI is the path and query as they were sent: werkzeug and gunicorn have it.
    if about != ("countersign-assertion+jwt", request.method, GATEWAY + request.environ["RAW_URI"], digest):
        abort(401)
    g.caller = claims


@app.route("/", defaults={"path": ""}, methods=["GET", "POST", "PUT", "DELETE"])
@app.route("/<path:path>", methods=["GET", "POST", "PUT", "DELETE"])
def orders(path):
    return {"subject": g.caller["sub"], "permissions": g.caller.get("permissions")}


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ["PORT"]))
