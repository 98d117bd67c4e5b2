#!/usr/bin/env bash
# Signs a request with openssl and sends it with curl, and needs nothing else.
#
#     sign.sh KEY.pem KEY_ID METHOD URL [JSON]
#
# KEY.pem is an Ed25519 private key (openssl genpkey -algorithm ed25519 -out KEY.pem); KEY_ID is what
# `countersign key add --public` printed for its public half.
set -euo pipefail
key=$1 key_id=$2 method=$3 url=$4 body=${5-}

scheme=${url%%://*} rest=${url#*://}
authority=${rest%%[/?]*} target=${rest#"${rest%%[/?]*}"}
path=${target%%\?*} query='?'
[[ $target == *\?* ]] && query="?${target#*\?}"

components='"@method" "@scheme" "@authority" "@path" "@query"'
base="\"@method\": $method
\"@scheme\": $scheme
\"@authority\": $authority
\"@path\": ${path:-/}
\"@query\": $query"
headers=()
if [[ -n $body ]]; then
    digest="sha-256=:$(printf %s "$body" | openssl dgst -sha256 -binary | base64 -w0):"
    components+=' "content-type" "content-digest"'
    base+="
\"content-type\": application/json
\"content-digest\": $digest"
    headers+=(-H 'Content-Type: application/json' -H "Content-Digest: $digest" --data-binary "$body")
fi
now=$(date +%s)
parameters="($components);created=$now;expires=$((now + 60))"
parameters+=";keyid=\"$key_id\";nonce=\"$(openssl rand -hex 16)\";tag=\"countersign\""
base+="
\"@signature-params\": $parameters"

# Ed25519 signs a whole file at once.
file=$(mktemp)
trap 'rm -f "$file"' EXIT
printf %s "$base" >"$file"
signature=$(openssl pkeyutl -sign -inkey "$key" -rawin -in "$file" | base64 -w0)
curl -sS -X "$method" ${headers[@]+"${headers[@]}"} \
    -H "Signature-Input: sig1=$parameters" -H "Signature: sig1=:$signature:" "$url"
