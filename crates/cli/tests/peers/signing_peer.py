"""Signs and verifies with packages that others wrote: http-message-signatures and eth-account.

    signing_peer.py    reads orders, one on a line, and answers each with one line of JSON

An order is {"do", "method", "url", "headers", "body", …}:
  sign        "algorithm", "key" (PEM, or for HMAC text), "keyid", "components": the request's headers
  verify      the same, for a request that is signed: {"verified"}
  asymmetric  "key" (hex), "target": the seed's header
  erc8128     "key" (hex), "components": the headers, by a wallet
"""

import datetime
import json
import secrets
import sys

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    algorithms,
)

ALGORITHMS = {
    "ed25519": algorithms.ED25519,
    "ecdsa-p256-sha256": algorithms.ECDSA_P256_SHA256,
    "hmac-sha256": algorithms.HMAC_SHA256,
    "rsa-pss-sha512": algorithms.RSA_PSS_SHA512,
}


class Message:
    def __init__(self, order):
        self.method, self.url, self.headers = order["method"], order["url"], dict(order["headers"])


class Keys(HTTPSignatureKeyResolver):
    def __init__(self, order):
        self.key, self.is_text = order["key"].encode(), "BEGIN" not in order["key"]

    def resolve_private_key(self, key_id):
        return self.key if self.is_text else load_pem_private_key(self.key, None)

    def resolve_public_key(self, key_id):
        return self.key if self.is_text else load_pem_private_key(self.key, None).public_key()


def terms():
    now = datetime.datetime.now(datetime.timezone.utc)
    return {"created": now, "expires": now + datetime.timedelta(seconds=50), "nonce": secrets.token_urlsafe(16)}


def sign(order):
    message, body = Message(order), order["body"].encode()
    signer = HTTPMessageSigner(signature_algorithm=ALGORITHMS[order["algorithm"]], key_resolver=Keys(order))
    signer.sign(
        message,
        key_id=order["keyid"],
        label="theirs",
        tag="countersign",
        covered_component_ids=order["components"],
        body=body or None,
        **terms(),
    )
    return message.headers


def verify(order):
    verifier = HTTPMessageVerifier(signature_algorithm=ALGORITHMS[order["algorithm"]], key_resolver=Keys(order))
    try:
        verifier.verify(Message(order), expect_tag="countersign", body=order["body"].encode() or None)
    except Exception as error:
        return {"verified": False, "why": f"{type(error).__name__}: {error}"}
    return {"verified": True}


def asymmetric(order):
    # Here, for it takes a second to load, which other orders need not wait for.
    from eth_account import Account
    from eth_account.messages import encode_defunct

    account = Account.from_key(order["key"])
    now = datetime.datetime.now(datetime.timezone.utc)
    nonce = int(now.timestamp() * 1000)
    message = f"{nonce}|{order['method']}|{order['target']}|{order['body']}"
    token = {
        "PublicKey": account.address,
        "Signature": account.sign_message(encode_defunct(text=message)).signature.to_0x_hex(),
        "Timestamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "Nonce": nonce,
    }
    return {"AsymmetricAuthentication": json.dumps(token)}


def erc8128(order):
    from eth_account import Account
    from eth_account.messages import encode_defunct

    account = Account.from_key(order["key"])
    message, body = Message(order), order["body"].encode()
    # The package prepares the base; the wallet signs it as a personal message.
    signer = HTTPMessageSigner(signature_algorithm=algorithms.HMAC_SHA256)
    prepared = signer.prepare(
        message,
        key_id=f"eip155:1:{account.address.lower()}",
        label="eth",
        tag="erc8128",
        include_alg=False,
        covered_component_ids=order["components"],
        body=body or None,
        **terms(),
    )
    signed = account.sign_message(encode_defunct(primitive=prepared.signature_base))
    signer.apply(message, prepared, bytes(signed.signature))
    return message.headers


DOES = {"sign": sign, "verify": verify, "asymmetric": asymmetric, "erc8128": erc8128}
for line in sys.stdin:
    order = json.loads(line)
    print(json.dumps(DOES[order["do"]](order)), flush=True)
