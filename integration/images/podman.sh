#!/bin/bash
# Ordinary services from Debian's packages, unchanged, at the default profile: each is started, asked something by a client, and
# stopped. What needs more than volumes and ports is shown to fail first, and then to work with its override.
# slow
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"

engine podman "$(podman --version)"
export TEST_LIMIT=300
IMAGE=localhost/services:latest
podman image exists $IMAGE || podman import -q "$PREPARED/services.tar" $IMAGE >/dev/null

pm() { podman --runtime "$CASEMATE_RUNTIME" "$@"; }
start() { pm run -d --name "$@" >/dev/null; }
gone() { pm rm -f -v -t 2 "$1" >/dev/null; }
allow() { printf -- '--annotation=org.casemate.allow/%s=true' "$1"; }
cleanup() { pm rm -fa -t 0; }
# A client on the host, without other programs than bash.
http() { exec 3<>"/dev/tcp/127.0.0.1/$1" && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && timeout 5 cat <&3; }
answers() { http "$1" | grep -q "$2"; }
redis() { exec 3<>/dev/tcp/127.0.0.1/6379 && printf '%s\r\n' "$1" >&3 && head -n 1 <&3; }
pongs() { redis PING | grep -q PONG; }
# Root of the container is somebody else on the host: the point of it all.
nobody_on_the_host() {
    local pid
    pid=$(pm inspect -f '{{.State.Pid}}' "$1")
    [ "$(awk '{ print $2; exit }' "/proc/$pid/uid_map")" != 0 ]
}

feature "image nginx"

test_nginx_serves_on_port_80() {
    start nginx -p 8080:80 -v /var/lib/nginx $IMAGE nginx -g 'daemon off;'
    eventually answers 8080 nginx
    nobody_on_the_host nginx
    # The workers have become www-data.
    expect_match "$(pm exec nginx sh -c 'grep -h ^Uid: /proc/[0-9]*/status')" '33'
    gone nginx
}

feature "image redis"

test_redis_keeps_what_it_is_given() {
    start redis -p 6379:6379 -v /var/lib/redis $IMAGE redis-server --protected-mode no --dir /var/lib/redis
    eventually pongs
    expect_match "$(redis 'SET word spoken')" OK
    pm exec redis redis-cli save
    expect_eq "$(pm exec redis redis-cli get word)" spoken
    nobody_on_the_host redis
    gone redis
}

feature "image postgresql"

test_postgresql_makes_its_database_and_answers() {
    start postgres -v /var/lib/postgresql/data $IMAGE start-postgres
    # shellcheck disable=SC2317  # called by wait_for
    ready() { pm exec postgres psql -h 127.0.0.1 -U postgres -c 'select 1'; }
    wait_for ready
    expect_eq "$(pm exec postgres psql -h 127.0.0.1 -U postgres -Atc 'create table t(a int); insert into t values (41); select a + 1 from t' | tail -n 1)" 42
    nobody_on_the_host postgres
    gone postgres
}

# wait_for COMMAND...: as eventually, for what takes minutes on a slow host.
wait_for() {
    local try
    for try in {1..120}; do
        "$@" >/dev/null 2>&1 && return
        sleep 1
    done
    printf 'after %s tries still not true: %s\n' "$try" "$*"
    pm ps -a
    pm logs -l
    return 1
}

feature "image mariadb"

test_mariadb_makes_its_database_and_answers() {
    start mariadb -v /var/lib/mysql/data $IMAGE start-mariadb
    # shellcheck disable=SC2317  # called by wait_for
    ready() { pm exec mariadb mariadb -e 'select 1'; }
    wait_for ready
    expect_eq "$(pm exec mariadb mariadb -Ne 'select 41 + 1')" 42
    nobody_on_the_host mariadb
    gone mariadb
}

feature "image python"

test_pythons_server_serves_a_directory() {
    start python -p 8081:8000 -w /etc $IMAGE python3 -m http.server 8000
    eventually answers 8081 passwd
    gone python
}

feature "image node"

test_node_serves() {
    start node -p 8082:8080 $IMAGE start-node
    eventually answers 8082 'node v'
    gone node
}

feature "image schedule"

test_a_script_that_works_by_the_clock_does() {
    start schedule $IMAGE start-schedule
    eventually pm exec schedule test -s /tmp/schedule
    gone schedule
}

feature "image that drops to a user"

test_a_program_that_becomes_a_user_itself_can() {
    start worker $IMAGE start-worker
    eventually pm exec worker test -s /tmp/worker
    expect_eq "$(pm logs worker | tr '\n' ';')" 'root: 0;worker: 1000;'
    expect_match "$(pm exec worker grep ^Uid: /proc/1/status)" '1000'
    gone worker
}

feature "image openssh"

# A login with a key, made in the container and used there.
login() {
    pm exec "$1" sh -c 'cd /run/keys && { [ -s user ] || ssh-keygen -q -t ed25519 -N "" -f user; } && cp user.pub authorized && chmod 644 authorized'
    eventually pm exec "$1" ssh -i /run/keys/user -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@127.0.0.1 id -u
    expect_eq "$(pm exec "$1" ssh -i /run/keys/user -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@127.0.0.1 id -u 2>/dev/null)" 0
}

test_sshd_needs_the_capability_to_chroot_and_lets_users_in_with_it() {
    start sshd "$(allow capabilities.sys_chroot)" --cap-add=SYS_CHROOT $IMAGE start-sshd
    login sshd
    gone sshd
}

feature "image with set-user-ID programs"

test_su_needs_new_privileges_and_works_with_them() {
    # An ordinary user calls su: without the override the bit has no effect.
    local said
    said=$(pm run --rm --user 1000 $IMAGE sh -c 'grep NoNewPrivs /proc/self/status; su -c id root </dev/null' 2>&1 || true)
    expect_match "$said" 'NoNewPrivs:.*1'
    # As root, su gives a user's shell without the bit.
    expect_eq "$(pm run --rm $IMAGE su user -c 'id -u')" 1000
    expect_eq "$(pm run --rm --user 1000 "$(allow process.new-privileges)" $IMAGE sh -c 'cp /usr/bin/id /tmp 2>/dev/null; grep -c "NoNewPrivs.*0" /proc/self/status')" 1
}

test_ping_works_without_the_capability() {
    expect_match "$(pm run --rm $IMAGE ping -c 1 127.0.0.1)" '1 received'
}

run_tests
