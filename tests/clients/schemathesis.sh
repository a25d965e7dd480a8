#!/bin/sh
# Asks everything that /openapi.json says can be asked, and much that it does not: $1 is the program, $2 its configuration.
# No answer is a 5xx the description does not know, none has a shape it does not know.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
line=$(mktemp)
"$1" serve --config "$2" --listen 127.0.0.1:0 >"$line" &
server=$!
trap 'kill $server; wait $server 2>/dev/null; rm -f "$line"' EXIT
for _ in $(seq 1800); do
    url=$(cat "$line")
    [ -z "$url" ] || break
    sleep 0.1
done
"$here/models/.venv/bin/schemathesis" run "$url/openapi.json" --no-color --seed 1 --generation-with-security-parameters false --max-examples "${EXAMPLES:-100}" \
    --checks status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,unsupported_method
