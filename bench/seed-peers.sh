#!/usr/bin/env bash
# Calls a second between two peers that know the seed's protocol alone, with bcrypt of cost 12 (or $1).
# ./test installs what they need.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cost=${1:-12}
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
alice=$(free_port) bob=$(free_port)
peer() {
    target/python/bin/python crates/cli/tests/peers/seed_peer.py \
        "$1" "http://127.0.0.1:$2/receiver" "http://127.0.0.1:$1/webhook" "$cost" >/dev/null 2>&1 &
}
trap 'kill $(jobs -p) 2>/dev/null' EXIT
peer "$alice" "$bob"
peer "$bob" "$alice"
until (exec 3<>"/dev/tcp/127.0.0.1/$alice" && exec 3<>"/dev/tcp/127.0.0.1/$bob") 2>/dev/null; do sleep 0.1; done
wrk -t 1 -c 4 -d 10s --timeout 10s --latency "http://127.0.0.1:$alice/example"
