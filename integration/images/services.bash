# shellcheck shell=bash
# shellcheck disable=SC2016  # backquotes are for the table
# Ordinary services from Debian's packages, unchanged, at the default profile, whatever the engine: each is started, asked something
# by a client, and stopped. What needs more than volumes and ports is shown to fail first, and then to work with what it
# takes. The program of an engine defines these words and then sources this file:
#
#   start NAME IMAGE OPTION... [-- COMMAND...]   in the background; options: port=HOST:CONTAINER, volume=PLACE (fresh, where the
#                                                engine makes none by itself), user=ID, allow=OVERRIDE, cap=NAME
#   once IMAGE OPTION... -- COMMAND...           gives what the command prints
#   inside NAME COMMAND...                       exec
#   logs NAME, gone NAME
#   init_pid NAME, bundle_of NAME                on the host
#   address NAME HOST-PORT PORT                  host/port at which the host reaches the container's port; nothing: not at all
#   VOLUMES                                      `image` when the engine makes the volumes that the image asks for, else `given`
#   NEW_PRIVILEGES, CHROOT                       what gives these to a container, where it is not the usual flags

export TEST_LIMIT=600

# A client in the container: its network may be all that there is.
http() { inside "$1" bash -c "exec 3<>/dev/tcp/127.0.0.1/$2; printf 'GET / HTTP/1.0\r\n\r\n' >&3; timeout 20 cat <&3"; }
answers() { http "$1" "$2" | grep -q "$3"; }
# The same from the host, where the engine gives a way.
reached() {
    local from
    from=$(address "$1" "$2" "$3")
    [ -z "$from" ] || timeout 20 bash -c "exec 3<>/dev/tcp/$from; printf 'GET / HTTP/1.0\r\n\r\n' >&3; cat <&3" | grep -q "$4"
}
# Root of the container is somebody else on the host: the point of it all.
nobody_on_the_host() { [ "$(awk '{ print $2; exit }' "/proc/$(init_pid "$1")/uid_map")" != 0 ]; }
# A service takes its time on a slow host: three minutes.
wait_for() {
    local end=$((SECONDS + 180)) name=$1
    shift
    until "$@" >/dev/null 2>&1; do
        if [ $SECONDS -gt $end ]; then
            printf 'not true after three minutes: %s\n' "$*"
            logs "$name" 2>&1 | tail -n 10
            return 1
        fi
        sleep 1
    done
}
# with_volume PLACE: the option, where the engine does not read the image's own wish.
with_volume() { [ "$VOLUMES" = image ] || printf 'volume=%s' "$1"; }
# says NAME CONTROL OVERRIDE: `casemate explain` tells whoever misses something which control took it, and how to get it.
says() {
    is_casemate || return 0
    expect_match "$("$RUNTIME" explain --bundle "$(bundle_of "$1")" | grep -A 6 "$2 ")" "allow: .*$3"
}
data_volume() { if [ "$VOLUMES" = image ]; then works_with "the volume that its image asks for"; else works_with "a volume for its data"; fi; }

feature "image nginx on port 80, dropping to www-data"

test_nginx_serves_on_port_80() {
    start web nginx port=8080:80
    wait_for web answers web 80 nginx
    wait_for web reached web 8080 80 nginx
    nobody_on_the_host web
    expect_match "$(inside web sh -c 'grep -h ^Uid: /proc/[0-9]*/status')" 'Uid:.33'
    # Bodies of requests go where Debian puts them, and nothing else of the image can be written.
    inside web touch /var/lib/nginx/body/written
    expect_refusal 'Read-only file system' inside web touch /usr/share/nginx/written
    gone web
}

feature "image redis"

test_redis_keeps_what_it_is_given() {
    start store redis "$(with_volume /data)"
    # shellcheck disable=SC2317  # called by wait_for
    ready() { inside store redis-cli ping | grep -q PONG; }
    wait_for store ready
    inside store redis-cli set word spoken
    inside store redis-cli save
    expect_eq "$(inside store redis-cli get word)" spoken
    expect_eq "$(inside store stat -c %U /data/dump.rdb)" redis
    nobody_on_the_host store
    gone store
    data_volume
}

feature "image PostgreSQL, with initdb at the first start"

test_postgresql_makes_its_database_and_answers() {
    start sql postgres "$(with_volume /var/lib/postgresql/data)"
    # shellcheck disable=SC2317  # called by wait_for
    ready() { inside sql psql -h 127.0.0.1 -U postgres -c 'select 1'; }
    wait_for sql ready
    expect_eq "$(inside sql psql -h 127.0.0.1 -U postgres -Atc 'create table t(a int); insert into t values (41); select a + 1 from t' | tail -n 1)" 42
    nobody_on_the_host sql
    gone sql
    data_volume
}

feature "image MariaDB, with its first database at the first start"

test_mariadb_makes_its_database_and_answers() {
    start maria mariadb "$(with_volume /var/lib/mysql)"
    # shellcheck disable=SC2317  # called by wait_for
    ready() { inside maria mariadb -e 'select 1'; }
    wait_for maria ready
    expect_eq "$(inside maria mariadb -Ne 'select 41 + 1')" 42
    nobody_on_the_host maria
    gone maria
    data_volume
}

feature 'image `python3 -m http.server`'

test_pythons_server_serves_a_directory() {
    start files python port=8081:8000
    wait_for files answers files 8000 passwd
    wait_for files reached files 8081 8000 passwd
    gone files
}

feature "image Node.js"

test_node_serves() {
    start script node port=8082:8080
    wait_for script answers script 8080 'node v'
    wait_for script reached script 8082 8080 'node v'
    gone script
}

feature "image a script that works by the clock"

test_a_script_that_works_by_the_clock_does() {
    start clock schedule
    wait_for clock inside clock test -s /tmp/schedule
    gone clock
}

feature "image a program that starts as root and becomes a user itself"

test_a_program_that_becomes_a_user_itself_can() {
    start worker worker
    wait_for worker inside worker test -s /tmp/worker
    expect_eq "$(logs worker 2>&1 | tr '\n' ';')" 'root: 0;worker: 1000;'
    expect_match "$(inside worker grep ^Uid: /proc/1/status)" '1000'
    gone worker
}

feature "image ping"

test_ping_works_without_the_capability() {
    expect_match "$(once services -- ping -c 1 127.0.0.1)" '1 received'
}

feature "image su, called by root"

test_root_becomes_a_user_with_su() {
    expect_eq "$(once services -- su user -c 'id -u')" 1000
}

feature "image su, sudo and other set-user-ID programs, called by users"

test_set_user_id_programs_gain_nothing_without_the_override() {
    # passwd(1) reads dates from /etc/shadow, which its caller may not.
    expect_eq "$(once services user=1000 -- sh -c 'passwd -S user; cat /etc/shadow' 2>/dev/null | grep -c '^user.*[0-9]')" 0
    expect_match "$(once services user=1000 allow=process.new-privileges -- passwd -S user)" '^user [A-Z]+ [0-9]'
    start plain schedule
    # ctr has set it itself.
    [ "$(jq .process.noNewPrivileges "$(bundle_of plain)/config.json")" = true ] || says plain process.no-new-privileges process.new-privileges
    gone plain
    no "${NEW_PRIVILEGES:-\`--annotation org.casemate.allow/process.new-privileges=true\`}"
}

feature "image OpenSSH's server"

# A login with a key, made in the container and used there.
login() {
    inside "$1" sh -c 'cd /run/keys && { [ -s user ] || ssh-keygen -q -t ed25519 -N "" -f user; } && cp user.pub authorized && chmod 644 authorized' &&
        inside "$1" ssh -i /run/keys/user -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@127.0.0.1 id -u
}

test_sshd_needs_the_capability_to_chroot_and_lets_users_in_with_it() {
    start shell openssh
    wait_for shell inside shell test -s /run/keys/host
    ! login shell || return 1
    says shell capabilities.ceiling capabilities.sys_chroot
    gone shell
    start shell openssh allow=capabilities.sys_chroot cap=SYS_CHROOT
    wait_for shell login shell
    expect_eq "$(login shell 2>/dev/null)" 0
    gone shell
    no "${CHROOT:-\`--cap-add SYS_CHROOT --annotation org.casemate.allow/capabilities.sys_chroot=true\`}"
}

run_tests
