#!/bin/bash
# Containers of docker that share namespaces with another, restart policies over a restart of the daemon, and a pair of services with a
# published port. Runs as root on the test host of hack/vm.
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=integration/docker/daemon.bash
. "$HERE/daemon.bash"

configure_docker '.'
engine docker "$(docker version --format 'docker {{.Server.Version}}')"

run() { docker run --rm --network none "$@"; }
start() { docker run -d --network none "$@" >/dev/null; }
state() { docker inspect -f "{{.State.$2}}" "$1"; }
is() { [ "$(state "$1" "$2")" = "$3" ]; }
# shellcheck disable=SC2046  # a list of names
cleanup() { docker rm -f $(docker ps -aq); }
SERVE='mkdir -p /tmp/www; echo served >/tmp/www/index.html; exec httpd -f -p 80 -h /tmp/www'

feature 'joined namespaces'

test_a_container_joins_the_processes_of_another_and_signals_them() {
    start --name first $IMAGE sh -c 'trap "echo signalled; exit 6" USR1; echo up; while :; do sleep 0.1; done'
    eventually sh -c 'docker logs first | grep -q up'
    expect_eq "$(run --pid container:first $IMAGE readlink /proc/self/ns/pid)" "$(docker exec first readlink /proc/self/ns/pid)"
    expect_match "$(run --pid container:first $IMAGE ps)" 'signalled'
    run --pid container:first $IMAGE kill -USR1 1
    expect_eq "$(docker wait first)" 6
    docker rm first
}

test_a_container_joins_the_shared_memory_of_another_and_both_write() {
    start --name first --ipc shareable $IMAGE sh -c 'echo shared >/dev/shm/file; sleep 1000'
    eventually docker exec first test -s /dev/shm/file
    expect_eq "$(run --ipc container:first $IMAGE sh -c 'cat /dev/shm/file; echo back >/dev/shm/answer')" shared
    expect_eq "$(docker exec first cat /dev/shm/answer)" back
    docker rm -f first
}

test_a_container_joins_the_network_of_another_and_reaches_it_by_loopback() {
    start --name first $IMAGE sh -c "$SERVE"
    eventually docker run --rm --network container:first $IMAGE wget -T 2 -qO- http://127.0.0.1/
    expect_eq "$(docker run --rm --network container:first $IMAGE wget -T 5 -qO- http://127.0.0.1/)" served
    docker rm -f first
}

test_volumes_of_another_container_are_shared() {
    start --name first -v /data $IMAGE sh -c 'echo text >/data/file; sleep 1000'
    eventually docker exec first test -s /data/file
    expect_eq "$(run --volumes-from first $IMAGE sh -c 'cat /data/file; echo more >/data/answer')" text
    expect_eq "$(docker exec first cat /data/answer)" more
    docker rm -f -v first
}

test_a_container_joins_all_at_once_as_sidecars_do() {
    start --name first --ipc shareable -v /data $IMAGE sleep 1234
    docker run -d --name side --network container:first --ipc container:first --pid container:first --volumes-from first \
        $IMAGE sleep 1000 >/dev/null
    expect_match "$(docker exec side ps)" 'sleep 1234'
    docker exec side touch /data/file
    expect_eq "$(docker exec first stat -c %u:%g /data/file)" 0:0
    docker rm -f -v side first
}

feature restart

test_policies_hold_over_a_restart_of_the_daemon() {
    start --name always --restart always $IMAGE sleep 1000
    start --name stopped --restart unless-stopped $IMAGE sleep 1000
    start --name never $IMAGE sleep 1000
    docker stop -t 0 stopped
    systemctl restart docker
    eventually is always Running true
    expect_eq "$(state stopped Running)" false
    expect_eq "$(state never Running)" false
    docker rm -f always stopped never
}

test_what_was_killed_from_outside_is_started_again() {
    start --name always --restart always $IMAGE sleep 1000
    local first
    first=$(state always Pid)
    kill -KILL "$first"
    # shellcheck disable=SC2016  # expanded at every try
    eventually sh -c '[ "$(docker inspect -f "{{.State.Running}} {{.RestartCount}}" always)" = "true 1" ]'
    [ "$(state always Pid)" != "$first" ]
    docker rm -f always
}

feature cp

test_cp_copies_directories_and_streams() {
    mkdir -p "$WORK/tree/deep"
    echo text >"$WORK/tree/deep/file"
    start --name copied -v /data $IMAGE sleep 1000
    docker cp "$WORK/tree" copied:/data/
    expect_eq "$(docker exec copied sh -c 'cat /data/tree/deep/file; stat -c %u:%g /data/tree' | tr '\n' ' ')" 'text 0:0 '
    tar -C "$WORK" --owner 1234 --group 4321 -c tree | docker cp -a - copied:/root/
    expect_eq "$(docker exec copied stat -c %u:%g /root/tree/deep/file)" 1234:4321
    docker cp copied:/root/tree - | tar -t | grep -q 'tree/deep/file'
    docker cp copied:/data/tree/deep/file "$WORK/back"
    expect_eq "$(cat "$WORK/back")" text
    docker rm -f -v copied
}

feature networks

test_a_pair_on_a_network_of_the_users_with_a_published_port_answers() {
    docker network create web >/dev/null
    docker run -d --name backend --network web --network-alias data $IMAGE sh -c "$SERVE" >/dev/null
    docker run -d --name frontend --network web -p 127.0.0.1:8091:80 $IMAGE sh -c \
        'mkdir /tmp/www; until wget -T 2 -qO /tmp/www/index.html http://data/; do sleep 0.2; done; exec httpd -f -p 80 -h /tmp/www' >/dev/null
    eventually curl -sf -m 2 http://127.0.0.1:8091/
    expect_eq "$(curl -sf -m 5 http://127.0.0.1:8091/)" served
    docker network disconnect web backend
    expect_status 1 docker exec frontend wget -T 2 -qO- http://data/
    docker rm -f backend frontend
    docker network rm web
}

run_tests
