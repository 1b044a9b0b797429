#!/bin/bash
# What people do with ctr: containers of Debian's containerd with casemate in place of runc.
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"

engine containerd "$(containerd --version | awk '{ sub(/[~+].*/, "", $3); print "containerd " $3 " of Debian 13" }')"
IMAGE=localhost/busybox:latest
systemctl start containerd

# ct OPTION... IMAGE NAME COMMAND...: ctr run with the runtime under test.
ct() { ctr run --runc-binary "$RUNTIME" "$@"; }
run() { ct --rm "$@"; }
# sleeper NAME OPTION...: a detached container that sleeps.
sleeper() { ct -d "${@:2}" $IMAGE "$1" sleep 1000; }
# run_exec NAME COMMAND...
run_exec() { ctr task exec --exec-id "e$RANDOM" "$@"; }
task_state() { ctr task ls | awk -v name="$1" '$1 == name { print $3 }'; }
is_in_state() { [ "$(task_state "$1")" = "$2" ]; }
pid_of() { ctr task ls | awk -v name="$1" '$1 == name { print $2 }'; }
remove() {
    ctr task kill -s KILL "$1" 2>/dev/null || true
    eventually is_not_running "$1"
    ctr task delete "$1" >/dev/null 2>&1 || true
    ctr container delete "$1"
}
is_not_running() { ! is_in_state "$1" RUNNING; }
cleanup() {
    local name
    for name in $(ctr container ls -q); do remove "$name"; done
}

feature run quick

test_run_prints_what_the_payload_prints_and_gives_its_status() {
    expect_eq "$(run $IMAGE hello echo hello)" hello
    expect_status 7 run $IMAGE seven sh -c 'exit 7'
}

test_run_passes_stdin_environment_user_and_directory() {
    # One line, because the ctr of containerd 1.7 never says that standard input has ended.
    expect_eq "$(echo piped | run $IMAGE piped head -n 1)" piped
    # shellcheck disable=SC2016  # expanded in the container
    expect_eq "$(run --env 'GREETING=hi there' --user 1000:1000 --cwd /tmp $IMAGE settings sh -c 'echo "$GREETING"; id -u; pwd' | tr '\n' ';')" 'hi there;1000;/tmp;'
}

test_a_missing_command_is_an_error_that_names_it() {
    expect_refusal 'no-such-command.*not found' run $IMAGE absent no-such-command
    expect_eq "$(ctr task ls -q | grep -x absent || true)" ''
}

test_a_detached_container_runs_until_it_is_killed() {
    sleeper detached
    is_in_state detached RUNNING
    expect_match "$(tr '\0' ' ' <"/proc/$(pid_of detached)/cmdline")" '^sleep 1000'
    remove detached
    [ ! -e /run/containerd/runc/default/detached ]
}

feature rm

test_a_stopped_task_can_be_deleted_and_started_again() {
    ct -d $IMAGE again sh -c 'exit 3'
    eventually is_in_state again STOPPED
    expect_match "$(ctr task delete again 2>&1)" 'exit code 3'
    ctr task start -d again
    eventually is_in_state again STOPPED
    remove again
}

test_a_running_task_is_not_deleted_without_force() {
    sleeper kept
    expect_refusal 'must be stopped|not stopped' ctr task delete kept
    is_in_state kept RUNNING
    ctr task delete --force kept || true
    ctr container delete kept
    expect_eq "$(find /sys/fs/cgroup -type d -name kept)" ''
}

feature exec quick

test_exec_runs_in_the_container_and_gives_its_status() {
    sleeper target
    expect_eq "$(run_exec target readlink /proc/self/ns/pid)" "$(readlink "/proc/$(pid_of target)/ns/pid")"
    expect_eq "$(run_exec --user 1000 --cwd /tmp target sh -c 'id -u; pwd' | tr '\n' ' ')" '1000 /tmp '
    expect_status 9 run_exec target sh -c 'exit 9'
    expect_refusal 'no-such-command.*not found' run_exec target no-such-command
    remove target
}

test_processes_of_the_container_are_listed() {
    sleeper listed
    run_exec listed sleep 1000 &
    eventually sh -c 'ctr task ps listed | grep -c "^[0-9]" | grep -x 2'
    remove listed
    wait
}

feature terminal

test_a_terminal_is_a_terminal_of_the_asked_size() {
    local out
    out=$(script -qec "stty rows 33 cols 99; ctr run --rm -t --runc-binary $RUNTIME $IMAGE sized sh -c 'test -t 0 && test -t 1 && tty && until stty size | grep 99; do sleep 0.1; done'" /dev/null)
    expect_match "$out" '/dev/(pts/0|console)'
    expect_match "$out" '33 99'
}

test_exec_with_a_terminal_has_one() {
    sleeper typed
    expect_match "$(script -qec "ctr task exec -t --exec-id tty typed tty" /dev/null)" '/dev/pts/0'
    remove typed
}

feature pause quick

test_pause_and_resume_change_the_state() {
    sleeper frozen
    ctr task pause frozen
    is_in_state frozen PAUSED
    expect_eq "$(awk '$1 == "frozen" { print $2 }' "/sys/fs/cgroup$(cut -d : -f 3 "/proc/$(pid_of frozen)/cgroup")/cgroup.events")" 1
    ctr task resume frozen
    is_in_state frozen RUNNING
    remove frozen
}

test_a_paused_container_can_be_killed() {
    sleeper cold
    ctr task pause cold
    ctr task kill -s KILL cold
    ctr task resume cold 2>/dev/null || true
    eventually is_in_state cold STOPPED
    remove cold
}

feature kill

test_kill_delivers_the_named_signal() {
    mkdir -p "$WORK/victim"
    ct -d --mount "type=bind,src=$WORK/victim,dst=/data,options=rbind:rw" $IMAGE victim sh -c 'trap "touch /data/got; exit 3" USR1; touch /data/up; while :; do sleep 0.1; done'
    eventually test -e "$WORK/victim/up"
    ctr task kill -s USR1 victim
    eventually is_in_state victim STOPPED
    [ -e "$WORK/victim/got" ]
    expect_refusal 'not found|already finished|not running' ctr task kill victim
    remove victim
}

feature checkpoint

test_a_checkpoint_is_refused_and_the_container_lives_on() {
    sleeper unique
    expect_refusal 'checkpoint' ctr task checkpoint unique
    expect_eq "$(run_exec unique echo alive)" alive
    remove unique
    no 'casemate does not checkpoint containers'
}

feature stats

test_metrics_say_what_the_container_uses() {
    ct -d $IMAGE busy sh -c 'while :; do :; done'
    local json
    eventually sh -c "ctr task metrics --format json busy | grep -E '\"usage_usec\": ?\"?[1-9]|\"usageUsec\": ?\"?[1-9]'"
    json=$(ctr task metrics --format json busy)
    expect_match "$json" '"pids"'
    remove busy
}

feature limits

test_limits_are_those_of_the_cgroup_of_the_container() {
    local cgroup
    sleeper limited --memory-limit 67108864 --cpu-quota 50000 --cpu-period 100000
    cgroup=/sys/fs/cgroup$(cut -d : -f 3 "/proc/$(pid_of limited)/cgroup")
    expect_eq "$(cat "$cgroup/memory.max" "$cgroup/cpu.max" | tr '\n' ';')" '67108864;50000 100000;'
    remove limited
}

test_the_cgroup_is_the_one_that_was_asked() {
    sleeper placed --cgroup /casemate-ctr/placed
    expect_eq "$(cat "/proc/$(pid_of placed)/cgroup")" 0::/casemate-ctr/placed
    remove placed
    [ ! -e /sys/fs/cgroup/casemate-ctr/placed ]
}

feature 'systemd driver' quick

test_the_systemd_driver_makes_the_scope_that_was_asked() {
    sleeper scoped --runc-systemd-cgroup --cgroup system.slice:casemate:scoped --memory-limit 67108864
    expect_eq "$(cat "/proc/$(pid_of scoped)/cgroup")" 0::/system.slice/casemate-scoped.scope
    expect_eq "$(systemctl show -P MemoryMax casemate-scoped.scope)" 67108864
    remove scoped
    expect_eq "$(systemctl list-units --all --no-legend casemate-scoped.scope)" ''
}

feature 'read-only root'

test_a_read_only_root_is_read_only() {
    run --read-only $IMAGE locked sh -c '! touch /file 2>/dev/null && touch /run/file /dev/shm/file'
}

test_the_root_is_read_only_without_being_asked_and_temporary_directories_are_writable() {
    only_casemate
    run $IMAGE sealed sh -c '! touch /file 2>/dev/null && touch /tmp/file /var/tmp/file'
    differs 'the root is read-only unless overridden; /tmp, /var/tmp and /run are writable'
}

feature snapshots

test_a_root_from_a_directory_runs() {
    # shellcheck source=hack/lib.sh
    (. "$TOP/hack/lib.sh" && busybox_rootfs "$WORK/tree")
    expect_match "$(ct --rm --rootfs "$WORK/tree" rooted /bin/id)" 'uid=0'
}

test_the_native_snapshotter_works_too() {
    ctr images unpack --snapshotter native $IMAGE >/dev/null 2>&1 || ctr snapshots --snapshotter native ls >/dev/null
    expect_eq "$(run --snapshotter native $IMAGE copied echo copied)" copied
}

feature volumes

test_a_bind_mount_is_shared_with_the_host() {
    mkdir -p "$WORK/volume"
    echo from-host >"$WORK/volume/in"
    expect_eq "$(run --mount "type=bind,src=$WORK/volume,dst=/data,options=rbind:rw" $IMAGE bound sh -c 'cat /data/in; echo from-container >/data/out')" from-host
    expect_eq "$(cat "$WORK/volume/out")" from-container
    expect_eq "$(stat -c %u:%g "$WORK/volume/out")" 0:0
}

test_a_read_only_bind_mount_cannot_be_written() {
    mkdir -p "$WORK/locked"
    run --mount "type=bind,src=$WORK/locked,dst=/data,options=rbind:ro" $IMAGE reader sh -c '! touch /data/file 2>/dev/null'
}

feature tmpfs

test_a_tmpfs_is_mounted_with_its_size() {
    expect_match "$(run --mount 'type=tmpfs,src=tmpfs,dst=/scratch,options=size=1m' $IMAGE scratch sh -c 'touch /scratch/file; df -k /scratch')" ' 1024 '
}

feature user

test_an_ordinary_user_and_its_groups_are_applied() {
    expect_match "$(run --user 1000:1000 $IMAGE ordinary id)" 'uid=1000.*gid=1000'
}

feature capabilities

test_dropped_capabilities_are_gone() {
    expect_match "$(run --cap-drop CAP_CHOWN $IMAGE dropped sed -n 's/^CapEff:\t//p' /proc/self/status)" '[02468ace]$'
}

test_an_added_capability_beyond_the_profile_is_left_out() {
    only_casemate
    expect_eq "$(run --cap-add CAP_SYS_ADMIN $IMAGE added grep CapEff /proc/self/status)" $'CapEff:\t00000000000004fb'
    differs 'capabilities beyond those of the profile need an override'
}

feature seccomp

test_the_default_filter_of_containerd_is_stacked_with_that_of_casemate() {
    only_casemate
    expect_eq "$(run --seccomp $IMAGE filtered sed -n 's/^Seccomp_filters:\t//p' /proc/self/status)" 2
    expect_eq "$(run $IMAGE unfiltered sed -n 's/^Seccomp_filters:\t//p' /proc/self/status)" 1
}

test_a_filter_from_a_file_is_loaded() {
    cat >"$WORK/seccomp.json" <<'JSON'
{ "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
  "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28 }] }
JSON
    expect_refusal 'No space left on device' run --seccomp --seccomp-profile "$WORK/seccomp.json" $IMAGE own mkdir /tmp/new
}

feature apparmor

test_the_default_profile_of_containerd_confines() {
    [ -e /sys/kernel/security/apparmor/profiles ] || skip "no AppArmor on this host"
    expect_match "$(run --apparmor-default-profile ctr-default $IMAGE confined cat /proc/self/attr/current)" '^ctr-default \(enforce\)'
}

feature 'user namespaces'

test_mappings_that_were_asked_are_those_of_the_container() {
    expect_match "$(run --uidmap 0:100000:65536 --gidmap 0:100000:65536 $IMAGE mapped sh -c 'cat /proc/self/uid_map; id -u; stat -c %u /bin/busybox' | tr -s ' \n' ' ')" '^ ?0 100000 65536 0 0'
}

feature devices

test_the_default_devices_are_there_and_no_other() {
    expect_eq "$(run $IMAGE nodes sh -c 'echo x >/dev/null && head -c 4 /dev/urandom | wc -c; ls /dev/kmsg /dev/mem /dev/vda 2>/dev/null | wc -l' | tr '\n' ' ')" '4 0 '
}

test_a_device_of_the_host_is_refused_with_the_name_of_the_override() {
    only_casemate
    expect_refusal 'denied by profile hardened: .*org.casemate.allow/devices.fuse=true' run --device /dev/fuse $IMAGE fused true
    differs 'devices of the host need an override'
}

feature overrides

test_an_annotation_overrides_one_control() {
    only_casemate
    run --annotation org.casemate.allow/rootfs.writable=true $IMAGE writable touch /file
    expect_refusal 'rootfs.writeable.*unknown' run --annotation org.casemate.allow/rootfs.writeable=true $IMAGE misspelt true
}

feature 'host namespaces'

test_the_network_of_the_host_is_refused_with_the_name_of_the_override() {
    only_casemate
    expect_refusal 'denied by profile hardened: .*org.casemate.allow/namespaces.host-network=true' run --net-host $IMAGE hostly true
    differs 'the network of the host needs an annotation that the node policy permits'
}

feature privileged

test_a_privileged_container_is_narrowed_to_the_profile() {
    only_casemate
    local status
    status=$(run --privileged $IMAGE mighty cat /proc/self/status)
    expect_match "$status" '^CapEff:[[:space:]]00000000000004fb$'
    expect_match "$status" '^NoNewPrivs:[[:space:]]1$'
    differs 'the profile reduces --privileged; a rule of the node policy or a script with --profile privileged lifts it'
}

feature 'hardened by default'

test_the_payload_is_hardened_without_being_asked() {
    only_casemate
    local status
    status=$(run $IMAGE plain cat /proc/self/status)
    expect_match "$status" '^NoNewPrivs:[[:space:]]1$'
    expect_match "$status" '^Seccomp:[[:space:]]2$'
    run $IMAGE fixed sh -c '! touch /file 2>/dev/null && touch /tmp/file'
}

test_a_container_is_found_without_its_root_and_listed_with_its_profile() {
    only_casemate
    local root=/run/containerd/runc/default
    sleeper glance-of-ctr
    expect_match "$("$RUNTIME" state glance-of-ctr 2>&1 >/dev/null)" "is glance-of-ctr \(containerd, in $root\)"
    expect_match "$("$RUNTIME" state glance-o)" '"id": "glance-of-ctr"'
    expect_match "$("$RUNTIME" list --all-roots)" "^glance-of-ctr .* hardened .* containerd +- +$root"
    expect_match "$("$RUNTIME" audit --all)" '^containerd +- +glance-of-ct +hardened +[0-9]+ +0 '
    "$RUNTIME" kill glance-of-ctr KILL
    eventually is_not_running glance-of-ctr
    remove glance-of-ctr
}

test_why_says_what_a_container_that_has_gone_was_not_given_and_what_to_paste() {
    only_casemate
    local said
    ct --rm $IMAGE died sh -c 'touch /file || exit 3' || true
    said=$("$RUNTIME" why died)
    printf '%s\n' "$said"
    expect_match "$said" 'container died'
    expect_match "$said" '^  root.readonly '
    expect_match "$(tr -s '\n ' ' ' <<<"$said")" 'override: rootfs.writable'
    expect_match "$said" '^  ctr run --annotation org.casemate.allow/NAME=true'
}

feature 'clean up' quick

test_nothing_is_left_behind() {
    cleanup
    expect_eq "$(find /run/containerd/runc/default -mindepth 1 -maxdepth 1 -type d ! -name '.*' ! -name @past | wc -l)" 0
    expect_eq "$(find /sys/fs/cgroup/default -mindepth 1 -type d 2>/dev/null | wc -l)" 0
    expect_eq "$(grep -c 'io.containerd.runtime.v2.task/default' /proc/self/mountinfo || true)" 0
}

run_tests
