#!/bin/sh
# Both faces of the tools API as somebody with curl sees them: $1 is the program, $2 its configuration.
set -eu
line=$(mktemp)
"$1" serve --config "$2" --listen 127.0.0.1:0 >"$line" &
server=$!
trap 'kill $server; wait $server 2>/dev/null; rm -f "$line"' EXIT
for _ in $(seq 1800); do
    url=$(cat "$line")
    [ -z "$url" ] || break
    sleep 0.1
done

# check WHAT WANTED GOT
check() {
    if [ "$2" != "$3" ]; then
        printf 'FAILED %s\n  wanted %s\n  got    %s\n' "$1" "$2" "$3"
        exit 1
    fi
    echo "ok     $1"
}

post() {
    path=$1
    shift
    curl -sS -w ' %{http_code}' -H 'Content-Type: application/json' "$@" "$url$path"
}

check "a tool is described" '200' "$(curl -sS -o /dev/null -w '%{http_code}' "$url/api/v1/tools/counted")"
check "tools are listed for a model" '200' "$(curl -sS -o /dev/null -w '%{http_code}' "$url/api/v1/tools?format=anthropic")"
check "a tool is run" \
    '{"tool":"counted","output":"{\"count\":7}","success":true,"is_error":false,"structured":{"count":7}} 200' \
    "$(post /api/v1/tools/counted/execute -d '{"parameters":{"count":7}}')"
check "a failure is an answer" \
    '{"tool":"fail","output":"Error: It broke.","success":false,"is_error":true,"code":"tool.failed"} 200' \
    "$(post /api/v1/tools/fail/execute -d '{"parameters":{"how":"plainly"}}')"
check "an unknown tool is none" '{"detail":"Tool '"'x'"' not found"} 404' "$(post /api/v1/tools/x/execute -d '{}')"
check "a broken body is told so" \
    '{"detail":"Validation error","errors":[{"field":"body","message":"EOF while parsing an object at line 1 column 1","type":"json_invalid"}]} 422' \
    "$(post /api/v1/tools/counted/execute -d '{')"
check "another method is refused" '{"detail":"Method Not Allowed"} 405' "$(post /api/v1/tools/counted/execute -X PUT -d '{}')"
check "calls are answered" \
    '{"format":"openai","messages":[{"role":"tool","tool_call_id":"a","content":"{\"count\":7}"}],"count":1} 200' \
    "$(post /api/v1/tool-calls -d '{"tool_calls":[{"id":"a","type":"function","function":{"name":"counted","arguments":"{\"count\":7}"}}]}')"
check "a text gets the plugins" '{"text":"[\"datetime\",\"files\",\"polite\",\"web-fetch\"]"} 200' \
    "$(post /api/v1/render -d '{"text":"{{toolservice:tools}}"}')"

check "Auxot: tools are listed" '200' "$(curl -sS -o /dev/null -w '%{http_code}' "$url/api/tools/v1/list")"
for name in arguments input parameters; do
    check "Auxot: a tool is run, \`$name\`" '{"tool":"counted","result":{"count":7}} 200' \
        "$(post /api/tools/v1/execute -d '{"tool":"counted","'$name'":{"count":7}}')"
done
check "Auxot: no tool is named" '{"error":{"message":"tool name is required","type":"invalid_request_error"}} 400' \
    "$(post /api/tools/v1/execute -d '{}')"
check "Auxot: an unknown tool is none" \
    '{"error":{"message":"no tools worker connected that supports \"x\"","type":"not_found","code":"tool.unknown"}} 404' \
    "$(post /api/tools/v1/execute -d '{"tool":"x"}')"
check "Auxot: a failure" '{"error":{"message":"It broke.","type":"tool_error","code":"tool.failed"}} 500' \
    "$(post /api/tools/v1/execute -d '{"tool":"fail","input":{"how":"plainly"}}')"
