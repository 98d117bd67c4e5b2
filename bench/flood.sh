#!/usr/bin/env bash
# A flood of webhook credentials that all name one listed victim, each with a hash of its own: how many
# refusals a second, how often the victim is asked, what memory they take, and what a bystander with an API
# key notices of it. Takes the gateway's program; ours is built with `cargo build --release`.
set -euo pipefail
program=$(realpath -s "${1:-target/release/countersign}")
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$folder"' EXIT
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
gateway=$(free_port) victim=$(free_port)

# The victim takes 100 ms to say no, and counts; it is the API behind the gateway too.
cat >"$folder/victim.py" <<'PYTHON'
import http.server, sys, time

class Victim(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        time.sleep(0.1)
        print("asked", flush=True)
        self.send_response(404)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Victim).serve_forever()
PYTHON
python3 "$folder/victim.py" "$victim" >"$folder/asked" 2>/dev/null &

cat >"$folder/countersign.toml" <<TOML
[server]
listen = "127.0.0.1:$gateway"
public_url = "http://127.0.0.1:$gateway"
[store]
url = "memory:"
[audit]
decisions = false
[limits]
unproven = "100000000/min"
[egress]
allow_http_loopback = true
[webhook]
callers = ["http://127.0.0.1:$victim/hook"]
[[route]]
path = "/orders/*"
upstream = "http://127.0.0.1:$victim"
accept = ["webhook"]
[[route]]
path = "/bystander/*"
upstream = "http://127.0.0.1:$victim"
accept = ["api-key"]
anyone = true
TOML
cd "$folder"
"$program" serve --config countersign.toml >serve.log 2>&1 &
server=$!
until (exec 3<>"/dev/tcp/127.0.0.1/$gateway") 2>/dev/null; do
    kill -0 "$server" 2>/dev/null || { cat serve.log; exit 1; }
    sleep 0.1
done
key=$("$program" key new --label bystander --json | sed 's/.*"key": *"\([^"]*\)".*/\1/' | tr -d '\n')
cat >flood.lua <<LUA
function request()
  local hash = {}
  for place = 1, 42 do hash[place] = string.char(math.random(97, 122)) end
  return wrk.format(nil, nil, { Authorization = "Webhook http://127.0.0.1:$victim/hook sha-256." .. table.concat(hash) .. "A" })
end
LUA
memory() { awk '/^VmRSS/ { print $2 / 1024 " MiB" }' "/proc/$server/status"; }
bystander() {
    wrk -t 1 -c 4 -d "$1" --latency -H "Authorization: Bearer $key" "http://127.0.0.1:$gateway/bystander/1" |
        grep -E '50%|99%|Requests/sec'
}
echo "== the bystander alone"; bystander 5s
echo "== before: $(memory)"
wrk -t 1 -c 64 -d 12s -s flood.lua "http://127.0.0.1:$gateway/orders/1" >flood.log &
flood=$!
sleep 1
echo "== the bystander under the flood"; bystander 8s
wait "$flood"
echo "== the flood: all are refusals"; grep -E 'requests in|Non-2xx|Requests/sec' flood.log
echo "== after: $(memory); the victim was asked $(wc -l <asked) times"
