#!/bin/bash
# What people do with docker, with the runtime under test as the daemon's default runtime. Runs as root on the test host
# of hack/vm.
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=integration/docker/daemon.bash
. "$HERE/daemon.bash"

configure_docker '.'
engine docker "$(docker version --format 'docker {{.Server.Version}}')"

run() { docker run --rm --network none "$@"; }
# shellcheck disable=SC2120  # the options are for some tests
start() { docker run -d --network none "$@" >/dev/null; }
sleeper() { start --name "$@" $IMAGE sleep 1000; }
state() { docker inspect -f "{{.State.$2}}" "$1"; }
is() { [ "$(state "$1" "$2")" = "$3" ]; }
# shellcheck disable=SC2046  # a list of names
cleanup() { docker rm -f $(docker ps -aq); }

feature run quick

test_the_default_runtime_runs_the_container() {
    expect_eq "$(run $IMAGE echo hello)" hello
    expect_eq "$(docker info -f '{{.DefaultRuntime}}')" "$CASEMATE_RUNTIME"
    sleeper default
    expect_eq "$(docker inspect -f '{{.HostConfig.Runtime}}' default)" "$CASEMATE_RUNTIME"
    docker rm -f default
}

test_run_gives_the_exit_status_of_the_payload() {
    expect_status 7 run $IMAGE sh -c 'exit 7'
}

test_run_passes_stdin_to_the_payload() {
    expect_eq "$(echo piped | run -i $IMAGE cat)" piped
}

test_a_missing_command_is_status_127() {
    expect_status 127 run $IMAGE /no/such/command
}

test_a_command_without_execute_permission_is_status_126() {
    expect_status 126 run $IMAGE /etc/passwd
}

test_a_directory_as_command_is_status_126() {
    expect_status 126 run $IMAGE /etc
}

feature logs

test_logs_keep_stdout_and_stderr_and_nothing_of_the_runtime() {
    start --name talker $IMAGE sh -c 'echo out; echo err >&2'
    docker wait talker
    expect_eq "$(docker logs talker 2>/dev/null)" out
    expect_eq "$(docker logs talker 2>&1 >/dev/null)" err
    docker rm talker
}

feature attach

test_attach_reaches_stdin_and_stdout_of_a_running_container() {
    # shellcheck disable=SC2016  # expanded in the container
    start -i --name attached $IMAGE sh -c 'read line; echo "got $line"; sleep 1000'
    mkfifo "$WORK/words"
    docker attach attached <"$WORK/words" >"$WORK/heard" 2>&1 &
    # Held open: at the end of its input the client may go without waiting for an answer.
    exec 9>"$WORK/words"
    echo word >&9
    eventually grep 'got word' "$WORK/heard"
    docker rm -f attached
    exec 9>&-
    wait
}

feature exec quick

test_exec_runs_in_the_container_and_gives_its_status() {
    sleeper target --hostname inside
    expect_eq "$(docker exec target hostname)" inside
    # shellcheck disable=SC2016  # expanded in the container
    expect_eq "$(docker exec -e GREETING=hello target sh -c 'echo $GREETING')" hello
    expect_eq "$(docker exec -u 1000 -w /tmp target sh -c 'id -u; pwd' | tr '\n' ' ')" '1000 /tmp '
    expect_eq "$(echo piped | docker exec -i target cat)" piped
    expect_status 9 docker exec target sh -c 'exit 9'
    expect_status 126 docker exec target /no/such/command # as with runc
    docker exec -d target sh -c 'echo later >/tmp/later'
    eventually docker exec target grep later /tmp/later
    docker rm -f target
}

feature terminal quick

test_a_terminal_has_the_size_of_the_users_and_follows_it() {
    local out
    out=$("$TOP/integration/terminal.py" 33x99 expect='# ' send='stty size\n' expect='33 99' resize=44x88 send='until stty size | grep 44; do sleep 0.2; done\n' \
        expect='44 88' send='exit 3\n' -- docker run -it --rm --network none $IMAGE sh) && return 1
    expect_match "$out" '44 88'
}

test_exec_with_a_terminal_has_one_that_follows_the_users() {
    sleeper typed
    # docker's client begins to listen for changes of size some time after the shell has begun to talk.
    "$TOP/integration/terminal.py" 33x99 expect='# ' send='tty\n' expect='/dev/pts/' send='sleep 3; echo re""ady\n' expect='ready' resize=44x88 send='until stty size | grep 44; do sleep 0.2; done\n' expect='44 88' \
        send='exit\n' -- docker exec -it typed sh
    docker rm -f typed
}

test_control_c_interrupts_the_payload_on_its_terminal() {
    local status=0
    "$TOP/integration/terminal.py" 24x80 expect='up' send='\x03' expect='interrupted' -- \
        docker run -it --rm --network none $IMAGE sh -c 'trap "echo interrupted; exit 4" INT; echo up; while :; do sleep 0.1; done' || status=$?
    expect_eq "$status" 4
}

feature stop quick

test_stop_sends_the_images_signal_and_keeps_the_status() {
    start --name stopme $IMAGE sh -c 'trap "exit 5" TERM; echo up; while :; do sleep 0.1; done'
    eventually sh -c 'docker logs stopme | grep -q up'
    docker stop -t 10 stopme
    expect_eq "$(state stopme ExitCode)" 5
    docker rm stopme
}

test_stop_kills_what_ignores_its_signal() {
    start --name deaf $IMAGE sh -c 'trap "" TERM; while :; do sleep 0.1; done'
    docker stop -t 1 deaf
    expect_eq "$(state deaf ExitCode)" 137
    docker rm deaf
}

feature kill

test_kill_delivers_the_named_signal() {
    start --name victim $IMAGE sh -c 'trap "echo got; exit 3" USR1; echo up; while :; do sleep 0.1; done'
    eventually sh -c 'docker logs victim | grep -q up'
    docker kill -s USR1 victim
    expect_eq "$(docker wait victim)" 3
    expect_match "$(docker logs victim)" got
    docker rm victim
}

feature pause

test_pause_and_unpause_change_the_state_and_stop_works_on_a_paused_container() {
    sleeper frozen
    docker pause frozen
    expect_eq "$(state frozen Status)" paused
    docker unpause frozen
    expect_eq "$(state frozen Status)" running
    docker pause frozen
    docker rm -f frozen
}

feature limits quick

test_memory_cpu_and_pids_limits_are_what_the_container_sees() {
    expect_eq "$(run --memory 64m --memory-swap 128m --memory-reservation 32m --cpus 0.5 --cpu-shares 512 --pids-limit 33 $IMAGE sh -c \
        'cd /sys/fs/cgroup; cat memory.max memory.swap.max memory.low cpu.max cpu.weight pids.max' | tr '\n' ' ')" \
        '67108864 67108864 33554432 50000 100000 59 33 '
}

test_a_container_beyond_its_memory_is_killed_and_docker_knows() {
    # It lives on for a moment: the engine is told of the kill by a cgroup that is gone with the container.
    # shellcheck disable=SC2016  # expanded in the container
    start --name greedy --memory 16m --memory-swap 16m $IMAGE sh -c 'sleep 2; tail /dev/zero; status=$?; sleep 5; exit $status'
    expect_eq "$(docker wait greedy)" 137
    eventually is greedy OOMKilled true
    docker rm greedy
}

test_ulimits_are_what_the_payload_has() {
    expect_eq "$(run --ulimit nofile=123:456 $IMAGE sh -c 'ulimit -n; ulimit -Hn' | tr '\n' ' ')" '123 456 '
}

feature update

test_update_changes_the_limits_of_a_running_container() {
    sleeper grown --memory 64m --memory-swap 64m
    docker update --memory 128m --memory-swap 128m --cpus 0.25 --pids-limit 44 grown
    expect_eq "$(docker exec grown sh -c 'cd /sys/fs/cgroup; cat memory.max cpu.max pids.max' | tr '\n' ' ')" '134217728 25000 100000 44 '
    docker rm -f grown
}

feature restart

test_a_container_that_fails_is_started_again_as_often_as_its_policy_says() {
    start --name flaky --restart on-failure:2 $IMAGE sh -c 'echo try; exit 1'
    eventually is flaky Status exited
    expect_eq "$(docker inspect -f '{{.RestartCount}}' flaky)" 2
    expect_eq "$(docker logs flaky | grep -c try)" 3
    docker rm flaky
}

test_docker_restart_starts_the_container_again() {
    sleeper again
    local first
    first=$(state again Pid)
    docker restart -t 0 again
    expect_eq "$(state again Running)" true
    [ "$(state again Pid)" != "$first" ]
    docker rm -f again
}

test_containers_survive_a_restart_of_the_daemon() {
    configure_docker '."live-restore" = true'
    sleeper survivor
    local first
    first=$(state survivor Pid)
    systemctl restart docker
    expect_eq "$(state survivor Pid)" "$first"
    expect_eq "$(docker exec survivor echo alive)" alive
    docker rm -f survivor
    configure_docker '.'
}

feature volumes quick

test_a_bind_mount_is_shared_with_the_host() {
    mkdir -p "$WORK/volume"
    echo from-host >"$WORK/volume/in"
    expect_eq "$(run -v "$WORK/volume:/data" $IMAGE sh -c 'cat /data/in; echo from-container >/data/out')" from-host
    expect_eq "$(cat "$WORK/volume/out")" from-container
    expect_eq "$(stat -c %u:%g "$WORK/volume/out")" 0:0
}

test_a_read_only_mount_cannot_be_written() {
    mkdir -p "$WORK/locked/below"
    mount -t tmpfs none "$WORK/locked/below"
    run -v "$WORK/locked:/data:ro" $IMAGE sh -c '! touch /data/file 2>/dev/null && ! touch /data/below/file 2>/dev/null'
    umount "$WORK/locked/below"
}

test_a_named_volume_outlives_its_container_and_takes_the_images_content() {
    run -v keep:/etc $IMAGE sh -c 'echo kept >/etc/file'
    expect_match "$(run -v keep:/data $IMAGE cat /data/passwd /data/file | tr '\n' ' ')" 'root:.*kept'
    docker volume rm keep
}

test_a_volume_belongs_to_the_user_who_writes_it() {
    mkdir -p "$WORK/owned"
    chmod 777 "$WORK/owned"
    run --user 1234:4321 -v "$WORK/owned:/data" $IMAGE touch /data/file
    expect_eq "$(stat -c %u:%g "$WORK/owned/file")" 1234:4321
}

feature tmpfs

test_a_tmpfs_has_the_asked_size() {
    expect_match "$(run --tmpfs /scratch:size=1m,mode=1777 $IMAGE sh -c 'df -k /scratch; touch /scratch/file')" '1024 .*/scratch'
}

feature 'read-only root'

test_read_only_root_with_a_writable_tmpfs() {
    run --read-only --tmpfs /scratch $IMAGE sh -c '! touch /file 2>/dev/null && touch /scratch/file'
}

feature user

test_an_ordinary_user_and_added_groups_are_applied() {
    expect_match "$(run --user 1000:1000 --group-add 2000 $IMAGE id)" 'uid=1000.*gid=1000.*2000'
}

test_an_ordinary_user_can_reopen_its_stdout() {
    expect_eq "$(run --user 1000 $IMAGE sh -c 'echo again >/dev/stdout')" again
}

feature capabilities

test_dropped_capabilities_are_gone() {
    # CAP_CHOWN is bit 0.
    expect_eq "$(run --cap-drop all --cap-add CHOWN $IMAGE sed -n 's/^CapEff:\t//p' /proc/self/status)" 0000000000000001
}

feature seccomp

test_an_own_seccomp_profile_is_in_force() {
    printf '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}' >"$WORK/seccomp.json"
    run --security-opt "seccomp=$WORK/seccomp.json" $IMAGE sh -c 'touch /tmp/file && ! mkdir /tmp/dir 2>/dev/null'
}

test_seccomp_unconfined_leaves_the_runtimes_own_filter() {
    expect_eq "$(run --security-opt seccomp=unconfined $IMAGE sed -n 's/^Seccomp:\t//p' /proc/self/status)" 2
    differs "seccomp=unconfined removes docker's filter but not casemate's"
}

feature apparmor

test_dockers_apparmor_profile_confines_the_payload() {
    [ -e /sys/kernel/security/apparmor/profiles ] || skip 'no AppArmor on this host'
    expect_match "$(run $IMAGE cat /proc/self/attr/current)" '^docker-default.*\(enforce\)'
}

feature no-new-privileges

test_no_new_privileges_is_set() {
    expect_eq "$(run --security-opt no-new-privileges $IMAGE sed -n 's/^NoNewPrivs:\t//p' /proc/self/status)" 1
}

feature devices

test_a_device_is_there_as_asked_or_refused_by_name() {
    local out
    if out=$(run --device /dev/fuse $IMAGE sh -c 'test -c /dev/fuse && : </dev/fuse' 2>&1); then return; fi
    expect_match "$out" 'org.casemate.allow/devices'
    run --device /dev/fuse --annotation org.casemate.allow/devices.fuse=true $IMAGE sh -c 'test -c /dev/fuse && : </dev/fuse' ||
        no "devices other than the standard ones are refused, and the built-in policy does not permit the override: $(reason "$out")"
    differs 'needs --annotation org.casemate.allow/devices.CLASS=true'
}

feature init

test_init_reaps_orphans() {
    expect_match "$(run --init $IMAGE ps)" '1 root .*docker-init'
}

feature privileged

test_privileged_starts_and_stays_confined() {
    local out
    if ! out=$(run --privileged $IMAGE sed -n 's/^CapEff:\t//p' /proc/self/status 2>&1); then
        expect_match "$out" 'denied by profile'
        no "refused: $(reason "$out")"
    fi
    [ "$out" != 000001ffffffffff ]
    differs 'starts, but the profile reduces capabilities, devices and writable paths'
}

feature networks quick

test_a_published_port_answers() {
    docker run -d --name web -p 8080:80 $IMAGE sh -c 'mkdir -p /tmp/www; echo served >/tmp/www/index.html; exec httpd -f -p 80 -h /tmp/www' >/dev/null
    eventually curl -sf -m 2 http://127.0.0.1:8080/
    expect_eq "$(curl -sf -m 5 http://127.0.0.1:8080/)" served
    docker rm -f web
}

test_two_containers_of_a_network_find_each_other_by_name() {
    docker network create pair >/dev/null
    docker run -d --name backend --network pair $IMAGE sh -c 'mkdir -p /tmp/www; echo named >/tmp/www/index.html; exec httpd -f -p 80 -h /tmp/www' >/dev/null
    eventually docker run --rm --network pair $IMAGE wget -qO- http://backend/
    expect_eq "$(docker run --rm --network pair $IMAGE wget -qO- http://backend/)" named
    docker rm -f backend
    docker network rm pair
}

test_a_container_joins_the_network_of_another() {
    docker run -d --name first --network none $IMAGE sleep 1000 >/dev/null
    expect_eq "$(docker run --rm --network container:first $IMAGE readlink /proc/self/ns/net)" "$(docker exec first readlink /proc/self/ns/net)"
    docker rm -f first
}

test_a_container_can_be_connected_to_another_network_while_it_runs() {
    docker network create later >/dev/null
    docker run -d --name mover --network bridge $IMAGE sleep 1000 >/dev/null
    docker network connect later mover
    expect_match "$(docker exec mover ip addr)" 'eth1'
    docker rm -f mover
    docker network rm later
}

feature 'host network'

test_the_hosts_network_is_given_or_refused_by_name() {
    local out
    if out=$(docker run --rm --network host $IMAGE readlink /proc/self/ns/net 2>&1); then
        expect_eq "$out" "$(readlink /proc/self/ns/net)"
        return
    fi
    expect_match "$out" 'namespaces.host-network'
    no "refused: $(reason "$out")"
}

feature cp

test_cp_copies_both_ways() {
    sleeper copied
    docker cp copied:/etc/passwd "$WORK/passwd"
    expect_match "$(cat "$WORK/passwd")" '^root:'
    echo sent >"$WORK/sent"
    docker cp "$WORK/sent" copied:/root/sent
    expect_eq "$(docker exec copied cat /root/sent)" sent
    expect_eq "$(docker exec copied stat -c %u:%g /root/sent)" 0:0
    docker rm -f copied
}

test_cp_to_a_tmpfs_stays_outside_as_dockers_manual_says() {
    sleeper copied
    echo sent >"$WORK/sent"
    docker cp "$WORK/sent" copied:/tmp/sent
    expect_status 1 docker exec copied test -e /tmp/sent
    docker rm -f copied
    differs 'docker cp cannot write into a tmpfs, and /tmp, /run and /var/tmp are tmpfs by default'
}

feature diff

test_diff_shows_what_changed() {
    sleeper changed
    echo sent >"$WORK/sent"
    docker cp "$WORK/sent" changed:/root/sent
    expect_match "$(docker diff changed)" 'A /root/sent'
    docker rm -f changed
}

feature commit

test_commit_keeps_what_changed() {
    sleeper kept
    echo sent >"$WORK/sent"
    docker cp "$WORK/sent" kept:/root/sent
    docker commit kept localhost/committed >/dev/null
    expect_eq "$(run localhost/committed cat /root/sent)" sent
    docker rm -f kept
    docker rmi localhost/committed
}

feature top

test_top_shows_the_processes() {
    sleeper topped
    expect_match "$(docker top topped)" 'sleep 1000'
    docker rm -f topped
}

feature stats

test_stats_reads_the_containers_cgroup() {
    sleeper measured --memory 64m
    expect_match "$(docker stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.PIDs}}' measured)" 'measured .*64MiB 1'
    docker rm -f measured
}

feature events

test_events_tell_the_life_of_a_container() {
    local since
    since=$(date +%s)
    docker run --name lived --network none $IMAGE true
    docker rm lived
    expect_match "$(docker events --since "$since" --until $(($(date +%s) + 1)) --filter container=lived --format '{{.Action}}' | tr '\n' ' ')" \
        'create .*start .*die .*destroy'
}

feature healthcheck

test_a_healthcheck_runs_in_the_container() {
    start --name healthy --health-cmd 'test -e /tmp/fine' --health-interval 1s $IMAGE sh -c 'touch /tmp/fine; sleep 1000'
    # shellcheck disable=SC2016  # expanded at every try
    eventually sh -c '[ "$(docker inspect -f "{{.State.Health.Status}}" healthy)" = healthy ]'
    docker rm -f healthy
}

feature secrets

test_a_read_only_file_is_a_secret_as_compose_mounts_it() {
    echo hidden >"$WORK/secret"
    chmod 400 "$WORK/secret"
    expect_eq "$(run -v "$WORK/secret:/run/secrets/key:ro" $IMAGE cat /run/secrets/key)" hidden
}

feature sysctls

test_a_parameter_of_the_containers_own_network_is_set() {
    expect_eq "$(docker run --rm --sysctl net.ipv4.ip_forward=1 $IMAGE cat /proc/sys/net/ipv4/ip_forward)" 1
}

test_ports_below_1024_are_for_ordinary_users_too() {
    docker run --rm --user 1000 $IMAGE sh -c 'nc -l -p 80 & sleep 0.5; kill %1'
}

feature 'shared memory'

test_shared_memory_has_the_asked_size_and_can_be_shared() {
    expect_match "$(run --shm-size 8m $IMAGE df -k /dev/shm)" '8192 '
    docker run -d --name owner --network none --ipc shareable $IMAGE sh -c 'echo shared >/dev/shm/file; sleep 1000' >/dev/null
    expect_eq "$(run --ipc container:owner $IMAGE cat /dev/shm/file)" shared
    docker rm -f owner
}

feature checkpoint

test_checkpoint_is_refused_with_a_reason() {
    configure_docker '.experimental = true'
    sleeper still
    expect_refusal 'checkpoint' docker checkpoint create still one
    expect_eq "$(state still Running)" true
    docker rm -f still
    configure_docker '.'
    no 'casemate has no checkpoint and restore'
}

feature 'hardened by default' quick

test_the_payload_is_hardened_without_being_asked() {
    only_casemate
    local status
    status=$(run $IMAGE cat /proc/self/status)
    expect_match "$status" '^NoNewPrivs:[[:space:]]1$'
    expect_match "$status" '^Seccomp:[[:space:]]2$'
    expect_match "$status" '^Seccomp_filters:[[:space:]]2$'
    run $IMAGE sh -c '! touch /file 2>/dev/null && touch /tmp/file'
}

test_an_annotation_lifts_one_control() {
    only_casemate
    run --annotation org.casemate.allow/rootfs.writable=true $IMAGE touch /file
    run $IMAGE sh -c '! touch /file 2>/dev/null'
}

test_a_container_is_found_by_its_name_and_listed_with_its_profile() {
    only_casemate
    local id root=/run/docker/runtime-runc/moby
    sleeper glance
    id=$(docker inspect -f '{{.Id}}' glance)
    expect_eq "$("$RUNTIME" state glance 2>/dev/null | sed -n 's/^  "id": "\(.*\)",$/\1/p')" "$id"
    expect_match "$("$RUNTIME" state "${id:0:12}" 2>&1 >/dev/null)" "is $id \(docker glance, in $root\)"
    expect_match "$("$RUNTIME" list --all-roots)" "^$id .* hardened .* docker +glance +$root"
    expect_match "$("$RUNTIME" audit --all)" "^docker +glance +${id:0:12} +hardened +[0-9]+ +0 "
    "$RUNTIME" kill glance KILL
    eventually is glance Running false
    docker rm -f glance
}

test_why_says_how_a_container_ended_and_what_to_paste() {
    only_casemate
    local said
    docker run --name died --network none $IMAGE sh -c 'touch /file || exit 3' || true
    said=$("$RUNTIME" why died)
    printf '%s\n' "$said"
    expect_match "$(tr '\n' ' ' <<<"$said")" 'made with profile hardened; it was deleted .* ended with status 3'
    expect_match "$said" '^  root.readonly '
    expect_match "$(tr -s '\n ' ' ' <<<"$said")" 'override: rootfs.writable'
    expect_match "$said" '^  docker run --runtime casemate --annotation org.casemate.allow/NAME=true'
    # One that was never made is known to docker alone.
    ! docker run --name refused --pid host $IMAGE true || return 1
    said=$("$RUNTIME" why refused)
    printf '%s\n' "$said"
    expect_match "$(tr '\n' ' ' <<<"$said")" 'it was never made .*denied by profile hardened'
    docker rm -f died refused
}

test_what_inspect_says_is_explained_before_anything_is_started() {
    only_casemate
    local said
    docker create --name asked --network none $IMAGE true
    said=$(docker inspect asked | "$RUNTIME" explain --brief --inspect -)
    expect_match "$said" '^  tightened root.readonly '
    docker create --name asking --network host --pid host --cap-add NET_ADMIN $IMAGE true
    expect_refusal 'namespaces.host-network,namespaces.host-pid,capabilities.net_admin|namespaces.host-pid,namespaces.host-network,capabilities.net_admin' \
        sh -c "docker inspect asking | $RUNTIME explain --inspect -"
    docker rm -f asked asking
}

feature 'clean up' quick

test_nothing_is_left_behind() {
    cleanup 2>/dev/null || true
    # shellcheck disable=SC2016  # expanded at every try
    eventually sh -c '[ -z "$(find /sys/fs/cgroup -type d -name "docker-*.scope")" ]'
    expect_eq "$(find /run/docker/runtime-runc/moby -mindepth 1 -maxdepth 1 -type d ! -name @past 2>/dev/null | wc -l)" 0
    expect_eq "$(grep -c '/overlay2/.*/merged' /proc/self/mountinfo || true)" 0
}

run_tests
