#!/bin/bash
# What people do with podman, through the runtime under test. Runs as root on the test host of hack/vm.
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"

IMAGE=localhost/busybox:latest

engine podman "$(podman --version)"

pm() { podman --runtime "$CASEMATE_RUNTIME" "$@"; }
run() { pm run --rm --network=none "$@"; }
running() { [ "$(pm inspect -f '{{.State.Running}}' "$1")" = "$2" ]; }
cleanup() { pm rm -fa -t 0; }

feature run quick

test_run_prints_what_the_payload_prints() {
    expect_eq "$(run $IMAGE echo hello)" hello
}

test_run_gives_the_exit_status_of_the_payload() {
    expect_status 7 run $IMAGE sh -c 'exit 7'
}

test_run_with_the_default_network_reaches_loopback() {
    expect_match "$(pm run --rm $IMAGE sh -c 'ip addr show lo')" 'inet 127.0.0.1'
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

feature stop quick

test_a_detached_container_runs_until_it_is_stopped_with_its_own_signal() {
    pm run -d --name stopme --network=none $IMAGE sh -c 'trap "exit 5" TERM; echo up; while :; do sleep 0.1; done'
    eventually sh -c "podman logs stopme | grep -q up"
    running stopme true
    pm stop -t 10 stopme
    running stopme false
    expect_eq "$(pm inspect -f '{{.State.ExitCode}}' stopme)" 5
    pm rm stopme
}

test_stop_kills_what_ignores_its_signal() {
    pm run -d --name deaf --network=none $IMAGE sh -c 'trap "" TERM; while :; do sleep 0.1; done'
    pm stop -t 1 deaf
    expect_eq "$(pm inspect -f '{{.State.ExitCode}}' deaf)" 137
    pm rm deaf
}

feature logs quick

test_logs_keep_stdout_and_stderr_and_nothing_of_the_runtime() {
    pm run -d --name talker --network=none $IMAGE sh -c 'echo out; echo err >&2'
    pm wait talker
    expect_eq "$(pm logs talker 2>/dev/null)" out
    expect_eq "$(pm logs talker 2>&1 >/dev/null)" err
    pm rm talker
}

feature exec quick

test_exec_runs_in_the_container_and_gives_its_status() {
    pm run -d --name target --hostname inside --network=none $IMAGE sleep 1000
    expect_eq "$(pm exec target hostname)" inside
    # shellcheck disable=SC2016  # expanded in the container
    expect_eq "$(pm exec -e GREETING=hello target sh -c 'echo $GREETING')" hello
    expect_eq "$(pm exec -u 1000 -w /tmp target sh -c 'id -u; pwd' | tr '\n' ' ')" '1000 /tmp '
    expect_status 9 pm exec target sh -c 'exit 9'
    expect_status 127 pm exec target /no/such/command
    pm rm -f -t 0 target
}

feature kill

test_kill_delivers_the_named_signal() {
    pm run -d --name victim --network=none $IMAGE sh -c 'trap "echo got; exit 3" USR1; echo up; while :; do sleep 0.1; done'
    eventually sh -c "podman logs victim | grep -q up"
    pm kill -s USR1 victim
    expect_eq "$(pm wait victim)" 3
    expect_match "$(pm logs victim)" got
    pm rm victim
}

feature rm quick

test_rm_force_removes_a_running_container() {
    pm run -d --name gone --network=none $IMAGE sleep 1000
    pm rm -f -t 0 gone
    expect_status 1 pm container exists gone
}

feature inspect

test_inspect_names_the_runtime_and_the_process() {
    pm run -d --name seen --network=none $IMAGE sleep 1000
    expect_eq "$(pm inspect -f '{{.OCIRuntime}}' seen)" "$CASEMATE_RUNTIME"
    expect_match "$(tr '\0' ' ' <"/proc/$(pm inspect -f '{{.State.Pid}}' seen)/cmdline")" '^sleep 1000'
    pm rm -f -t 0 seen
}

feature limits quick

test_memory_limit_is_what_the_container_sees() {
    expect_eq "$(run --memory 64m $IMAGE cat /sys/fs/cgroup/memory.max)" 67108864
}

test_pids_limit_is_what_the_container_sees() {
    expect_eq "$(run --pids-limit 33 $IMAGE cat /sys/fs/cgroup/pids.max)" 33
}

test_cpu_limit_is_what_the_container_sees() {
    expect_eq "$(run --cpus 0.5 $IMAGE cat /sys/fs/cgroup/cpu.max)" '50000 100000'
}

feature update quick

test_update_changes_the_limits_of_a_running_container() {
    pm run -d --name grown --network=none --memory 64m $IMAGE sleep 1000
    pm update --memory 128m grown
    expect_eq "$(pm exec grown cat /sys/fs/cgroup/memory.max)" 134217728
    pm rm -f -t 0 grown
}

feature 'read-only root'

test_read_only_root_with_writable_tmp() {
    run --read-only $IMAGE sh -c '! touch /file 2>/dev/null && touch /tmp/file /run/file /var/tmp/file'
}

feature terminal quick

test_a_terminal_is_a_terminal_of_the_asked_size() {
    local out
    out=$(script -qec "stty rows 33 cols 99; podman --runtime $CASEMATE_RUNTIME run -it --rm --network=none $IMAGE sh -c 'test -t 0 && test -t 1 && until stty size | grep 99; do sleep 0.1; done'" /dev/null)
    expect_match "$out" '33 99'
}

test_exec_with_a_terminal_has_one() {
    pm run -d --name typed --network=none $IMAGE sleep 1000
    expect_match "$(script -qec "podman --runtime $CASEMATE_RUNTIME exec -it typed tty" /dev/null)" '/dev/pts/'
    pm rm -f -t 0 typed
}

feature volumes quick

test_a_volume_is_shared_with_the_host() {
    mkdir -p "$WORK/volume"
    echo from-host >"$WORK/volume/in"
    expect_eq "$(run -v "$WORK/volume:/data" $IMAGE sh -c 'cat /data/in; echo from-container >/data/out')" from-host
    expect_eq "$(cat "$WORK/volume/out")" from-container
}

test_a_read_only_volume_cannot_be_written() {
    mkdir -p "$WORK/locked"
    run -v "$WORK/locked:/data:ro" $IMAGE sh -c '! touch /data/file 2>/dev/null'
}

test_a_named_volume_outlives_its_container() {
    run -v keep:/data $IMAGE sh -c 'echo kept >/data/file'
    expect_eq "$(run -v keep:/data $IMAGE cat /data/file)" kept
    pm volume rm keep
}

feature import

test_an_imported_busybox_tree_runs() {
    # shellcheck source=hack/lib.sh
    (. "$TOP/hack/lib.sh" && busybox_rootfs "$WORK/tree")
    tar -C "$WORK/tree" -c . | pm import - localhost/imported:latest
    expect_match "$(run localhost/imported:latest /bin/id)" 'uid=0'
    pm rmi localhost/imported:latest
}

feature user

test_an_ordinary_user_id_is_applied() {
    expect_match "$(run --user 1000:1000 $IMAGE id)" 'uid=1000.*gid=1000'
}

feature capabilities quick

test_added_and_dropped_capabilities_are_applied() {
    # CAP_CHOWN is bit 0.
    expect_eq "$(run --cap-drop all --cap-add CHOWN $IMAGE sh -c 'sed -n "s/^CapEff:\t//p" /proc/self/status')" 0000000000000001
}

feature pause quick

test_pause_and_unpause_change_the_state() {
    pm run -d --name frozen --network=none $IMAGE sleep 1000
    pm pause frozen
    expect_eq "$(pm inspect -f '{{.State.Status}}' frozen)" paused
    pm unpause frozen
    expect_eq "$(pm inspect -f '{{.State.Status}}' frozen)" running
    pm rm -f -t 0 frozen
}

feature '--userns=auto' quick

test_a_user_namespace_of_its_own_works() {
    expect_match "$(run --userns=auto $IMAGE sh -c 'id; cat /proc/self/uid_map')" 'uid=0'
}

feature 'cgroupfs driver' quick

test_the_cgroupfs_manager_works_too() {
    expect_eq "$(pm --cgroup-manager cgroupfs run --rm --network=none --memory 32m $IMAGE cat /sys/fs/cgroup/memory.max)" 33554432
}

feature apparmor quick

test_apparmor_confines_the_payload() {
    [ -e /sys/kernel/security/apparmor/profiles ] || skip "no AppArmor on this host"
    expect_match "$(run $IMAGE cat /proc/self/attr/current)" '^containers-default.*\(enforce\)'
}

feature pods quick

test_a_pod_shares_its_network_namespace() {
    pm pod create --name pair --network none --infra-image $IMAGE --infra-command 'sleep 1000' || skip "this podman cannot make a pod of a local image"
    expect_eq "$(pm run --rm --pod pair $IMAGE readlink /proc/self/ns/net)" "$(pm run --rm --pod pair $IMAGE readlink /proc/self/ns/net)"
    pm pod rm -f -t 0 pair
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

test_a_container_is_found_by_its_name_and_listed_with_its_profile() {
    only_casemate
    local id
    id=$(pm run -d --name glance --network=none $IMAGE sleep 1000)
    expect_eq "$("$RUNTIME" state glance 2>/dev/null | sed -n 's/^  "id": "\(.*\)",$/\1/p')" "$id"
    expect_match "$("$RUNTIME" state "${id:0:12}" 2>&1 >/dev/null)" "is $id \(podman glance, in "
    expect_match "$("$RUNTIME" list --all-roots)" "^$id .* hardened .* podman +glance "
    expect_match "$("$RUNTIME" audit --all)" "^podman +glance +${id:0:12} +hardened +[0-9]+ +0 "
    # One that goes by itself is in another list of podman's.
    id=$(pm run -d --rm --name fleeting --network=none $IMAGE sleep 1000)
    expect_match "$("$RUNTIME" audit --all)" "^podman +fleeting +${id:0:12} "
    "$RUNTIME" kill glance KILL
    eventually running glance false
    pm rm -f -t 0 glance fleeting
}

test_why_says_how_a_container_ended_and_what_to_paste() {
    only_casemate
    local said
    pm run --name died --network=none $IMAGE sh -c 'touch /file || exit 3' || true
    eventually sh -c "$RUNTIME why died | tr \"\\n\" \" \" | grep -q 'with profile hardened; it was deleted at'"
    said=$("$RUNTIME" why died)
    printf '%s\n' "$said"
    expect_match "$said" '^  root.readonly '
    expect_match "$(tr -s '\n ' ' ' <<<"$said")" 'override: rootfs.writable'
    expect_match "$said" '^  podman run --runtime casemate --annotation org.casemate.allow/NAME=true'
    pm rm -f -t 0 died
}

test_what_inspect_says_is_explained_before_anything_is_started() {
    only_casemate
    local said
    pm create --name asked --network none $IMAGE true
    said=$(pm inspect asked | "$RUNTIME" explain --brief --inspect -)
    expect_match "$said" '^  tightened root.readonly '
    pm create --name asking --network host --pid host --cap-add NET_ADMIN $IMAGE true
    expect_refusal 'namespaces.host-network,namespaces.host-pid,capabilities.net_admin|namespaces.host-pid,namespaces.host-network,capabilities.net_admin' \
        sh -c "podman --runtime $CASEMATE_RUNTIME inspect asking | $RUNTIME explain --inspect -"
    pm rm -f asked asking
}

feature 'clean up' quick

test_nothing_is_left_behind() {
    pm rm -fa -t 0
    # shellcheck disable=SC2016  # expanded at every try
    eventually sh -c '[ -z "$(find /sys/fs/cgroup -type d -name "libpod-*" ! -name "*conmon*")" ]'
    expect_eq "$(find "/run/$CASEMATE_RUNTIME" -mindepth 1 -maxdepth 1 -type d ! -name '.*' ! -name @past 2>/dev/null | wc -l)" 0
    expect_eq "$(grep -c '/overlay-containers/' /proc/self/mountinfo || true)" 0
}

run_tests
