#!/usr/bin/env bash
#
# The checks of make docker-test: .ci/docker.sh runs this in the namespaces
# that it has made, in a copy of the source.  One line for each check, then
# "N passed, N failed"; what the containers have said is left in $LOGS.

set -euo pipefail

PASSED=0
FAILED=0
URL=http://127.0.0.1:9000
ALERTS=http://127.0.0.1:9090
IMAGE=localhost/softfactory
LOCKED=(--read-only --tmpfs /tmp --cap-drop ALL
        --security-opt no-new-privileges --network none)

export API_IMAGE=$IMAGE COMPOSE_PROJECT_NAME=softfactory
export POSTGRES_IMAGE=localhost/standin-postgres
export PROMETHEUS_IMAGE=localhost/standin-prometheus
export DOCKER_HOST=unix://$TMPDIR/podman.sock


# check NAME COMMAND...: what a failing command says is shown

check() {
    local name=$1
    shift

    if "$@" > "$TMPDIR/check" 2>&1; then
        echo "ok - $name"
        PASSED=$((PASSED + 1))
    else
        echo "not ok - $name"
        tail -n 10 "$TMPDIR/check" | cut -c -300 | sed 's/^/    /'
        FAILED=$((FAILED + 1))
    fi
}


# within SECONDS COMMAND...: again and again until it succeeds

within() {
    local end=$((SECONDS + $1))
    shift

    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
}


compose() {
    docker-compose -f docker/compose.yml "$@"
}


# container SERVICE: the id of what compose has made

container() {
    podman ps -aq --filter "label=com.docker.compose.service=$1"
}


# of SERVICE FORMAT: what podman knows of it

of() {
    podman inspect "$(container "$1")" --format "$2"
}


in_nginx() {
    podman exec "$(container nginx)" "$@"
}


sql() {
    podman exec "$(container postgres)" psql -qAtX -v ON_ERROR_STOP=1 \
        -U app -d softfactory -c "$1"
}


# get CODE PATH [ARG...]: whether the answer has that status; it is then in
# $TMPDIR/body, its header in $TMPDIR/head

get() {
    local code path=$2 want=$1
    shift 2

    : > "$TMPDIR/body"
    code=$(curl -s -m 10 -D "$TMPDIR/head" -o "$TMPDIR/body" \
           -w '%{http_code}' "$@" "$URL$path")
    cat "$TMPDIR/head" "$TMPDIR/body"
    [ "$code" = "$want" ]
}


body() {
    jq -e "$@" "$TMPDIR/body"
}


cache_says() {
    grep -qi "^X-Cache: $1" "$TMPDIR/head"
}


# ---- the image ------------------------------------------------------------

image_has() {
    podman image inspect "$IMAGE" --format "$1" | grep -E "$2"
}


# a key signs "HEADER.PAYLOAD"

sign() {
    local text

    text=$(printf '%s' '{"alg":"HS256","typ":"JWT"}' | base64url)
    text+=.$(printf '%s' '{"type":"access","user_id":1}' | base64url)
    echo "$text.$(printf '%s' "$text" |
        openssl dgst -sha256 -hmac "$1" -binary | base64url)"
}


base64url() {
    base64 -w 0 | tr '+/' '-_' | tr -d =
}


no_compiler() {
    podman run --rm "${LOCKED[@]}" --entrypoint sh "$IMAGE" -c '
        ! command -v gcc && ! command -v make && ! [ -e /src ]'
}


needs_a_key() {
    ! podman run --rm "${LOCKED[@]}" "$IMAGE" 2>&1 | tee "$TMPDIR/said" &&
        grep -q PLATFORM_SECRET_KEY "$TMPDIR/said"
}


# alone: no database, no network, the key in a file

alone() {
    echo "key from a file" > "$TMPDIR/key"
    chmod 644 "$TMPDIR/key"

    podman run -d --name alone "${LOCKED[@]}" \
        -v "$TMPDIR/key:/run/secrets/key:ro" \
        -e PLATFORM_SECRET_KEY_FILE=/run/secrets/key "$IMAGE" &&
        within 10 podman healthcheck run alone
}


# ask_alone PATH [HEADER]: by bash, as nothing else is in there

ask_alone() {
    podman exec alone bash -c '
        exec 3<> /dev/tcp/127.0.0.1/9000
        printf "GET %s HTTP/1.0\r\nHost: x\r\n%s\r\n\r\n" "$@" >&3
        cat <&3' bash "$1" "${2:-X: y}"
}


degraded() {
    ask_alone /softfactory/live | tee "$TMPDIR/said"
    grep -q '^HTTP/1.1 200' "$TMPDIR/said" && grep -q degraded "$TMPDIR/said"
}


# tokens: a good one needs the database, a bad one does not

tokens() {
    local path=/api/review/bookmarks

    ask_alone $path "Authorization: Bearer $(sign 'key from a file')" |
        grep -E '^HTTP/1.1 50[34]' &&
        ask_alone $path "Authorization: Bearer $(sign 'another key')" |
        grep '^HTTP/1.1 401'
}


ends_alone() {
    podman stop -t 10 alone &&
        [ "$(podman inspect alone --format '{{.State.ExitCode}}')" = 0 ]
}


# ---- compose --------------------------------------------------------------

# Its own builder, at podman's socket; all layers are there already.

export COMPOSE_DOCKER_CLI_BUILD=0


# probe: podman leaves it to systemd to run health checks; here is none

probe() {
    local id

    while sleep 0.5; do
        for id in $(podman ps -q --filter label=com.docker.compose.project); do
            podman healthcheck run "$id" > /dev/null 2>&1 || true
        done
    done
}


up() {
    timeout 180 docker-compose -f docker/compose.yml up -d --build
}


healthy() {
    [ "$(of "$1" '{{.State.Healthcheck.Status}}')" = healthy ]
}


published() {
    get "$@" > /dev/null
}


data() {
    get 200 /api/review/campaigns && body '.campaigns | length > 5' &&
        get 200 /api/review/campaigns && cache_says HIT
}


user() {
    get 200 /api/dashboard/kpis -H 'Authorization: Bearer demo_token' &&
        body '.total_users > 0'
}


# coherent: an answer is kept for longer than it would be without a listener

coherent() {
    get 200 /softfactory/status && body '.sources[0].coherent' &&
        get 200 /api/review/campaigns && sleep 2.5 &&
        get 200 /api/review/campaigns && cache_says HIT
}


shows() {
    get 200 /api/review/campaigns &&
        body --arg title "$1" '.campaigns[0].title == $title'
}


# dropped: a change by somebody else, in the database, is seen at once

dropped() {
    local id

    coherent && id=$(body '.campaigns[0].id') &&
        sql "UPDATE campaigns SET title = 'Seen at once' WHERE id = $id" &&
        within 1 shows "Seen at once"
}


metrics() {
    get 200 /metrics && grep '^softfactory_requests_total{' "$TMPDIR/body" &&
        grep -E '^softfactory_db_up\{.*\} 1' "$TMPDIR/body"
}


# operator: not at the port that is published, but on the network

operator() {
    local address

    address=$(of nginx \
        '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}')

    curl -sf -m 5 "http://$address:9001/metrics" > "$TMPDIR/body" &&
        grep softfactory_ "$TMPDIR/body" && ! published 200 / &&
        ! curl -s -m 5 http://127.0.0.1:9001/metrics
}


page() {
    get 200 /softfactory/ &&
        grep -qi '^Content-Type: text/html' "$TMPDIR/head" &&
        grep -qi "^Content-Security-Policy: .*frame-ancestors 'none'" \
            "$TMPDIR/head" &&
        get 200 /softfactory/dashboard.js &&
        grep -qi '^Content-Type: .*javascript' "$TMPDIR/head"
}


report() {
    get 200 /softfactory/report && body '.summary.total_requests > 0'
}


locked() {
    [ "$(of "$1" '{{.HostConfig.ReadonlyRootfs}}')" = true ] &&
        podman exec "$(container "$1")" sh -c '
            id; grep -E "^(Cap(Eff|Prm|Bnd)|NoNewPrivs)" /proc/1/status
            [ "$(id -u)" != 0 ] && ! touch /usr/x && ! touch /x &&
            grep -q "^CapBnd:[[:blank:]]*0*$" /proc/1/status &&
            grep -q "^NoNewPrivs:[[:blank:]]*1" /proc/1/status'
}


# logs: requests are on standard output, and standard error has no complaint

logs() {
    podman logs "$(container nginx)" > "$TMPDIR/out" 2> "$TMPDIR/err"
    grep '"endpoint":"review_campaigns"' "$TMPDIR/out" | tail -n 1 |
        jq -e '.status == 200' &&
        ! grep -E '\[(warn|error|crit|alert|emerg)\]' "$TMPDIR/err"
}


# follows: the database comes back at another address

follows() {
    local before after

    before=$(of postgres \
        '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}')
    compose rm -sf postgres && within 60 up &&
        after=$(of postgres \
            '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}') &&
        echo "$before $after" && [ "$before" != "$after" ] &&
        within 60 get 200 "/api/review/campaigns?page=2"
}


target() {
    curl -sf -m 5 "$ALERTS/api/v1/targets?state=active" > "$TMPDIR/body" &&
        body '[.data.activeTargets[] | select(.health == "up")] | length == 1'
}


rules() {
    curl -sf -m 5 "$ALERTS/api/v1/rules?type=alert" > "$TMPDIR/body" &&
        body '[.data.groups[].rules[]]
              | length > 10 and all(.[]; .health == "ok")'
}


locks() {
    [ "$(sql "SELECT count(*) FROM pg_locks
              WHERE relation = 'campaigns'::regclass AND $1")" = 1 ]
}


logged() {
    podman logs "$(container "$1")" 2>&1 | grep -q "$2"
}


# finishes: a request that is under way when the stop comes is answered; it
# waits for a lock, which is held until nginx has been told

finishes() {
    local request stop status=0

    rm -f "$TMPDIR/lock"
    mkfifo "$TMPDIR/lock"
    podman exec -i "$(container postgres)" psql -qX -U app -d softfactory \
        < "$TMPDIR/lock" &
    exec 7> "$TMPDIR/lock"
    echo 'BEGIN; LOCK campaigns;' >&7
    within 20 locks "mode = 'AccessExclusiveLock' AND granted" || status=1

    get 200 '/api/review/campaigns?per_page=7' & request=$!
    within 5 locks "mode = 'AccessShareLock' AND NOT granted" || status=1

    compose stop nginx & stop=$!
    within 5 logged nginx 'gracefully shutting down' || status=1
    kill -0 $request || status=1
    echo 'COMMIT; \q' >&7
    exec 7>&-

    wait $request || status=1
    wait $stop || status=1
    [ "$(of nginx '{{.State.ExitCode}}')" = 0 ] && return $status
}


image_checks() {
    local size

    size=$(podman image inspect "$IMAGE" --format '{{.Size}}')
    echo "the image has $((size / 1000000)) MB, its base" \
         "$(($(podman image inspect "localhost/$BASE_IMAGE" \
               --format '{{.Size}}') / 1000000)) MB"

    check "the user is no root" image_has '{{.Config.User}}' '^33:33$'
    check "stops by SIGQUIT" image_has '{{.Config.StopSignal}}' 'SIGQUIT|^3$'
    check "has a health check" image_has '{{.HealthCheck}}' healthcheck
    check "has labels" image_has '{{.Config.Labels}}' 'licenses:BSD-2-Clause'
    check "has no variables but PATH" image_has '{{.Config.Env}}' \
        '^\[PATH=[^ ]*\]$'
    check "has no compiler and no source" no_compiler
    check "does not start without a key" needs_a_key
    check "starts without a database" alone
    check "says that it is degraded" degraded
    check "takes its key from a file" tokens
    check "ends with 0" ends_alone
    podman rm -f alone > /dev/null 2>&1
}


compose_checks() {
    check "compose.yml is valid" compose config -q
    check "docker-compose up --build" up
    check "PostgreSQL is healthy" healthy postgres
    check "nginx is healthy" within 20 healthy nginx
    check "the API answers, then from its cache" data
    check "a user's figures" user
    check "the listener is heard" within 20 coherent
    check "a write in the database is seen at once" dropped
    check "live" published 200 /softfactory/live
    check "metrics" metrics
    check "report" report
    check "the live page" page
    check "operator's port" operator
    check "nginx is locked in" locked nginx
    check "PostgreSQL is locked in" locked postgres
    check "Prometheus is locked in" locked prometheus
    check "logs go to the container's output" logs
    check "Prometheus reads the metrics" within 30 target
    check "Prometheus has the rules" within 30 rules
    check "Prometheus is healthy" within 20 healthy prometheus
    check "a database that has moved is found" follows
    check "a request under way is finished, then 0" finishes
}


finish() {
    trap - EXIT
    local service

    for service in nginx postgres prometheus; do
        podman logs "$(container $service)" > "$LOGS/$service.log" 2>&1 ||
            true
    done

    compose down -v -t 5 > "$LOGS/down.log" 2>&1 || true
    podman rm -af -t 5 > /dev/null 2>&1 || true
    exit "$1"
}


ip link set lo up

podman system service --time 0 "$DOCKER_HOST" > "$LOGS/service.log" 2>&1 &
probe &
trap 'finish $?' EXIT

image_checks
compose_checks

echo
echo "$PASSED passed, $FAILED failed"
[ $FAILED = 0 ]
