"""Gets, uses and judges tokens with packages that others wrote: Authlib, PyJWT and eth-account.

    token_peer.py    reads orders, one JSON object on a line, and answers each with one line of JSON

The orders are those of token_peer.js. Authlib makes no DPoP proofs: PyJWT does here.
"""

import json
import os
import sys
import time
import uuid

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

import jwt
import requests
from authlib.integrations.requests_client import AssertionSession, OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from eth_account import Account
from eth_account.messages import encode_defunct
from joserfc.jwk import ECKey, RSAKey

PEM, SPKI = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
PKCS8, OPEN = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
SIWE = "urn:countersign:grant-type:siwe"


class Peer:
    def keys(self, order):
        self.alg = order.get("alg", "ES256")
        if self.alg == "ES256":
            key = ec.generate_private_key(ec.SECP256R1())
        else:
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.pem = key.private_bytes(PEM, PKCS8, OPEN).decode()
        return {"public": key.public_key().public_bytes(PEM, SPKI).decode()}

    def read(self, issuer, how):
        if how == "oidc":
            url = issuer + "/.well-known/openid-configuration"
        else:
            url = get_well_known_url(issuer, external=True)
        self.metadata = AuthorizationServerMetadata(requests.get(url).json())
        self.jwks = jwt.PyJWKClient(self.metadata["jwks_uri"])
        return dict(self.metadata)

    def discover(self, order):
        metadata = self.read(order["issuer"], order["how"])
        self.client = order["client"]
        self.alg = order.get("alg", self.alg)
        endpoint = metadata["token_endpoint"]
        self.session = OAuth2Session(
            self.client, self.key(), token_endpoint_auth_method="private_key_jwt",
            revocation_endpoint_auth_method="private_key_jwt",
        )
        self.session.register_client_auth_method(PrivateKeyJWT(endpoint, alg=self.alg))
        return metadata

    def key(self):
        return (ECKey if self.alg == "ES256" else RSAKey).import_key(self.pem)

    def wallet(self, order):
        metadata = self.read(order["issuer"], "oauth2")
        self.account = Account.from_key(order["key"])
        self.client = self.account.address.lower()
        self.session = OAuth2Session(self.client, token_endpoint_auth_method="none")
        return metadata

    def proof(self, wanted, url):
        if not wanted:
            return {}
        if not hasattr(self, "bound"):
            self.bound = ec.generate_private_key(ec.SECP256R1())
        jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.bound.public_key()))
        jwk = {name: jwk[name] for name in ("kty", "crv", "x", "y")}
        claims = {"jti": str(uuid.uuid4()), "htm": "POST", "htu": url, "iat": int(time.time())}
        header = {"typ": "dpop+jwt", "jwk": jwk}
        return {"DPoP": jwt.encode(claims, self.bound, algorithm="ES256", headers=header)}

    def thumbprint(self):
        return ECKey.import_key(self.bound.private_bytes(PEM, PKCS8, OPEN)).thumbprint()

    def grant(self, order):
        url = self.metadata["token_endpoint"]
        headers, scope = self.proof(order.get("dpop"), url), order.get("scope")
        if order["grant"] == "client_credentials":
            more = {"scope": scope} if scope else {}
            return self.session.fetch_token(url, grant_type="client_credentials", headers=headers, **more)
        own = AssertionSession(
            url, self.client, self.client, self.metadata["issuer"], grant_type=order["grant"], scope=scope,
            header={"alg": self.alg}, key=self.key(), expires_in=60,
        )
        own.headers.update(headers)
        return own.refresh_token()

    def message(self, names):
        issuer = self.metadata["issuer"]
        nonce = requests.post(self.metadata["nonce_endpoint"]).json()["nonce"]
        lines = [
            issuer.split("//")[1] + " wants you to sign in with your Ethereum account:",
            self.account.address, "", "", f"URI: {issuer}", "Version: 1", "Chain ID: 1", f"Nonce: {nonce}",
            "Issued At: " + time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        ]
        if names:
            lines += ["Resources:", f"- urn:ietf:params:oauth:jwk-thumbprint:sha-256:{self.thumbprint()}"]
        return "\n".join(lines)

    def sign_in(self, order):
        url, scope = self.metadata["token_endpoint"], order.get("scope")
        headers = self.proof(order.get("dpop"), url)
        text = self.message(order.get("names_key"))
        signature = "0x" + self.account.sign_message(encode_defunct(text=text)).signature.hex().removeprefix("0x")
        assertion = json.dumps({"message": text, "signature": signature})
        more = {"scope": scope} if scope else {}
        return self.session.fetch_token(url, grant_type=SIWE, assertion=assertion, headers=headers, **more)

    def refresh(self, order):
        url = self.metadata["token_endpoint"]
        return self.session.refresh_token(url, order["token"], headers=self.proof(order.get("dpop"), url))

    def introspect(self, order):
        return self.session.introspect_token(self.metadata["introspection_endpoint"], order["token"]).json()

    def revoke(self, order):
        answer = self.session.revoke_token(self.metadata["revocation_endpoint"], order["token"])
        return {"revoked": answer.status_code == 200} if answer.ok else answer.json()

    def verify(self, order, typ):
        token = order["token"]
        if jwt.get_unverified_header(token)["typ"] != typ:
            raise ValueError("another type")
        key = self.jwks.get_signing_key_from_jwt(token)
        return jwt.decode(token, key, algorithms=["ES256"], audience=order["audience"], issuer=self.metadata["issuer"])

    def access(self, order):
        return self.verify(order, "at+jwt")

    def id(self, order):
        return self.verify(order, "JWT")


def main():
    peer = Peer()
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = getattr(peer, order["do"])(order)
        except Exception as error:
            answer = {"error": getattr(error, "error", None) or type(error).__name__, "why": str(error)}
        print(json.dumps(answer), flush=True)


main()
