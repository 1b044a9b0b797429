#!/bin/bash
# CRI-O's side of a container: conmon and the runtime are called as CRI-O calls them (its runtime type "oci", with the
# drop-in of docs/user/engines/crio.md). CRI-O itself is not in Debian. Runs as root on the test host of hack/vm.
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"

engine CRI-O "$(conmon --version | head -n 1), called as CRI-O calls it"

ROOT=/run/crio-test
EXITS=$WORK/exits
mkdir -p "$EXITS" "$ROOT"

# rt COMMAND...: a direct call, with the environment that CRI-O leaves.
rt() { env -i CRI_O_EXTERNAL=1 XDG_RUNTIME_DIR= PATH="$PATH" "$RUNTIME" --root "$ROOT" "$@"; }

# bundle NAME JQ-FILTER COMMAND...: what CRI-O writes for a container of a pod: its annotations, its cgroup in the systemd form.
bundle() {
    local name=$1 filter=$2
    shift 2
    # shellcheck source=hack/lib.sh
    [ -d "$WORK/rootfs" ] || (. "$TOP/hack/lib.sh" && busybox_rootfs "$WORK/rootfs")
    "$TOP/hack/bundle" plain "$WORK/$name" --id "$name" --rootfs "$WORK/rootfs" --oci-version 1.0.2 -- "$@"
    jq -c ".annotations = { \"io.kubernetes.cri-o.ContainerType\": \"container\", \"io.kubernetes.cri-o.Namespace\": \"default\" }
        | .linux.cgroupsPath = \"system.slice:crio:$name\" | $filter" "$WORK/$name/config.json" >"$WORK/$name/new"
    mv "$WORK/$name/new" "$WORK/$name/config.json"
}

# create NAME [OPTION...]: through conmon; prints its answer.
create() {
    local name=$1
    shift
    mkdir -p "$WORK/sockets"
    "$HERE/conmon.py" -b "$WORK/$name" -c "$name" --exit-dir "$EXITS" -l "$WORK/$name/log" --log-level info -n "k8s_$name" \
        -P "$WORK/$name/conmon-pidfile" -p "$WORK/$name/pidfile" --persist-dir "$WORK/$name" -r "$RUNTIME" --runtime-arg "--root=$ROOT" \
        --socket-dir-path "$WORK/sockets" --syslog -u "$name" -s "$@"
}

# up NAME FILTER COMMAND...: a running container.
up() {
    bundle "$@"
    create "$1"
    rt --systemd-cgroup start "$1"
}

# sync NAME TIMEOUT COMMAND...: exec sync; the pid file is there before, and empty.
sync_exec() {
    local name=$1 seconds=$2
    shift 2
    jq -cn --args '{ args: $ARGS.positional, cwd: "/", env: ["PATH=/bin"], user: { uid: 0, gid: 0 } }' -- "$@" >"$WORK/$name/process"
    : >"$WORK/$name/exec.pid"
    "$HERE/conmon.py" -c "$name" -n "k8s_$name" -r "$RUNTIME" -p "$WORK/$name/exec.pid" -e -l "$WORK/$name/exec.log" --log-level info \
        --socket-dir-path "$WORK/sockets" -T "$seconds" --exec-process-spec "$WORK/$name/process" --runtime-arg "--root=$ROOT"
}

state() { rt state "$1" | jq -r ".$2"; }
is() { [ "$(state "$1" status)" = "$2" ]; }
cleanup() {
    local id
    for id in $(rt list -q 2>/dev/null); do rt delete --force "$id"; done
    rm -rf "$ROOT"
}

feature run quick

test_a_container_is_made_started_and_its_exit_status_is_kept() {
    bundle plain . /bin/sh -c 'echo out; echo err >&2; exit 7'
    local answer pid
    answer=$(create plain)
    pid=$(jq .pid <<<"$answer")
    expect_eq "$(cat "$WORK/plain/pidfile")" "$pid"
    expect_eq "$(state plain status)" created
    expect_eq "$(state plain pid)" "$pid"
    rt --systemd-cgroup start plain
    eventually test -s "$EXITS/plain"
    expect_eq "$(cat "$EXITS/plain")" 7
    expect_eq "$(state plain status)" stopped
    expect_eq "$(state plain pid)" 0
    rt --systemd-cgroup delete --force plain
}

test_what_cannot_be_made_says_why_through_conmon() {
    bundle broken . /no/such/program
    expect_match "$(create broken)" 'no such file or directory'
    [ ! -e "$WORK/broken/pidfile" ] || [ ! -s "$WORK/broken/pidfile" ]
}

test_version_and_features_are_what_cri_o_reads_when_it_starts() {
    "$RUNTIME" --version 2>&1 | grep -q version
    expect_eq "$("$RUNTIME" features 2>&1 | jq -r '(.ociVersionMin != "") and (.ociVersionMax != "") and .linux.mountExtensions.idmap.enabled')" true
}

feature logs

test_logs_are_in_the_format_of_the_kubelet() {
    up logged . /bin/sh -c 'echo out; echo err >&2'
    eventually test -s "$EXITS/logged"
    expect_match "$(cat "$WORK/logged/log")" '^[0-9T:.+-]+Z? ?[^ ]* stdout F out$'
    expect_match "$(cat "$WORK/logged/log")" 'stderr F err$'
    expect_eq "$(wc -l <"$WORK/logged/log")" 2
    rt delete --force logged
}

feature exec quick

test_an_exec_in_the_foreground_passes_streams_and_status() {
    up target . /bin/sleep 1000
    printf '{"args":["sh","-c","cat; exit 9"],"cwd":"/","env":["PATH=/bin"],"user":{"uid":0,"gid":0}}' >"$WORK/process.json"
    local out status=0
    out=$(echo piped | rt exec --process "$WORK/process.json" target) || status=$?
    expect_eq "$out $status" 'piped 9'
    rt delete --force target
}

test_an_exec_sync_keeps_output_and_status() {
    up synced . /bin/sleep 1000
    local answer
    answer=$(sync_exec synced 10 sh -c 'echo out; exit 4')
    expect_eq "$(tail -n 1 <<<"$answer" | jq .exit_code)" 4
    expect_match "$(cat "$WORK/synced/exec.log")" 'stdout F out$'
    rt delete --force synced
}

test_an_exec_sync_that_takes_too_long_is_killed_with_all_that_it_started() {
    up slow . /bin/sleep 1000
    local answer
    answer=$(sync_exec slow 1 sh -c 'sleep 777; true')
    expect_match "$answer" 'timed out|exit_code":-1|exit_code": ?-1'
    # shellcheck disable=SC2016  # expanded at every try
    eventually sh -c '! grep -l "^sleep.777" /proc/[0-9]*/cmdline 2>/dev/null'
    rt delete --force slow
}

test_an_exec_that_cannot_be_says_why_and_leaves_the_pid_file_empty() {
    up wrong . /bin/sleep 1000
    expect_match "$(sync_exec wrong 10 /no/such/program)" 'no such file or directory'
    [ ! -s "$WORK/wrong/exec.pid" ]
    rt delete --force wrong
}

feature attach

# CRI-O writes what kubectl attach sends to the socket that conmon makes: a packet each.
test_attach_reaches_stdin_and_stdout() {
    # shellcheck disable=SC2016  # expanded in the container
    bundle attached . /bin/sh -c 'read line; echo "got $line"; exit 3'
    create attached -i
    rt --systemd-cgroup start attached
    expect_match "$(python3 - "$WORK/sockets/attached/attach" <<'PY'
import socket, sys
attach = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
attach.settimeout(30)
attach.connect(sys.argv[1])
attach.send(b"word\n")
# The first byte says which stream it is.
print(attach.recv(8192)[1:].decode())
PY
    )" 'got word'
    eventually test -s "$EXITS/attached"
    expect_eq "$(cat "$EXITS/attached")" 3
    rt delete --force attached
}

feature terminal quick

test_an_exec_with_a_terminal_takes_the_callers() {
    up typed . /bin/sleep 1000
    printf '{"terminal":true,"args":["sh"],"cwd":"/","env":["PATH=/bin","PS1=# "],"user":{"uid":0,"gid":0}}' >"$WORK/process.json"
    expect_status 3 "$TOP/integration/terminal.py" 33x99 expect='# ' send='tty\n' expect='/dev/(pts|console)' send='stty size\n' expect='33 99' \
        resize=44x88 send='until stty size | grep 44; do sleep 0.2; done\n' expect='44 88' send='exit 3\n' -- \
        env -i XDG_RUNTIME_DIR= PATH="$PATH" "$RUNTIME" --root "$ROOT" exec --process "$WORK/process.json" typed
    rt delete --force typed
}

test_a_container_with_a_terminal_writes_its_log() {
    bundle screen '.process.terminal = true' /bin/sh -c 'tty; exit 3'
    create screen -t
    rt --systemd-cgroup start screen
    eventually test -s "$EXITS/screen"
    expect_eq "$(cat "$EXITS/screen")" 3
    expect_match "$(cat "$WORK/screen/log")" 'stdout F /dev/(pts/0|console)'
    rt delete --force screen
}

feature stop quick

test_stop_sends_the_signal_then_kills() {
    up stopped . /bin/sh -c 'trap "exit 5" TERM; echo up; while :; do sleep 0.1; done'
    eventually grep -q up "$WORK/stopped/log"
    rt --systemd-cgroup kill stopped 15
    eventually test -s "$EXITS/stopped"
    expect_eq "$(cat "$EXITS/stopped")" 5
    up deaf . /bin/sleep 1000
    rt --systemd-cgroup kill deaf KILL
    eventually test -s "$EXITS/deaf"
    expect_eq "$(cat "$EXITS/deaf")" 137
    # CRI-O looks for these words, in these letters.
    expect_refusal 'container not running' rt --systemd-cgroup kill deaf KILL
    rt --systemd-cgroup delete --force deaf
    rt --systemd-cgroup delete --force stopped
}

feature kill

test_kill_all_ends_every_process_of_a_container_in_the_hosts_pid_namespace() {
    bundle nopid '.linux.namespaces |= map(select(.type != "pid"))' /bin/sh -c 'sleep 7766 & sleep 7767'
    "$HERE/conmon.py" -b "$WORK/nopid" -c nopid --exit-dir "$EXITS" -l "$WORK/nopid/log" --log-level info -n k8s_nopid \
        -P "$WORK/nopid/conmon-pidfile" -p "$WORK/nopid/pidfile" --persist-dir "$WORK/nopid" -r "$RUNTIME" --runtime-arg "--root=$ROOT" \
        --runtime-arg --allow=namespaces.host-pid --socket-dir-path "$WORK/sockets" --syslog -u nopid -s
    rt --systemd-cgroup start nopid
    eventually pgrep -f 'sleep 7766'
    rt --systemd-cgroup kill -a nopid 9
    eventually sh -c '! pgrep -f "sleep 776[67]"'
    eventually test -s "$EXITS/nopid"
    rt --systemd-cgroup delete --force nopid
}

feature state

test_the_state_never_fails_while_a_container_ends_or_goes() {
    up fleeting . /bin/sh -c 'sleep 2'
    local said
    while said=$(rt state fleeting) && [ "$(jq -r .status <<<"$said")" != stopped ]; do :; done
    expect_eq "$(jq -r .status <<<"$said")" stopped
    rt --systemd-cgroup delete --force fleeting
    expect_refusal 'does not exist|no such' rt state fleeting
}

test_the_state_has_nothing_that_overwrites_cri_os_record() {
    up recorded . /bin/sleep 1000
    expect_eq "$(rt state recorded | jq '[keys[] | ascii_downcase] | map(select(IN("started", "finished", "exitcode", "oomkilled",
        "seccompkilled", "error", "initpid", "initstarttime", "checkpointedtime", "containermonitorprocess"))) | length')" 0
    expect_match "$(state recorded created)" '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$'
    rt delete --force recorded
}

feature update quick

test_update_reads_standard_input_and_needs_no_driver() {
    up grown '.linux.resources.memory = { limit: 67108864 }' /bin/sleep 1000
    echo '{"memory":{"limit":134217728},"cpu":{"shares":512},"devices":[{"allow":true,"access":"rwm"}]}' | rt update --resources - grown
    expect_eq "$(cat /sys/fs/cgroup/system.slice/crio-grown.scope/memory.max)" 134217728
    rt delete --force grown
}

feature pause

test_pause_and_resume_change_the_state() {
    up frozen . /bin/sleep 1000
    rt --systemd-cgroup pause frozen
    expect_eq "$(state frozen status)" paused
    rt --systemd-cgroup resume frozen
    expect_eq "$(state frozen status)" running
    rt delete --force frozen
}

feature stats

test_the_cgroup_is_where_cri_o_reads_statistics() {
    up measured . /bin/sleep 1000
    expect_eq "$(cat /sys/fs/cgroup/system.slice/crio-measured.scope/cgroup.procs)" "$(cat "$WORK/measured/pidfile")"
    [ ! -e /sys/fs/cgroup/system.slice/crio-measured.scope/container ]
    rt delete --force measured
}

feature limits

test_memory_beyond_the_limit_is_told_to_conmon() {
    up greedy '.linux.resources.memory = { limit: 16777216, swap: 16777216 }' /bin/sh -c 'sleep 1; tail /dev/zero; sleep 1000'
    # On a busy host conmon does not always leave its note; what it reads has to say so in any case.
    eventually sh -c "test -e '$WORK/greedy/oom' || grep -q '^oom_kill [1-9]' /sys/fs/cgroup/system.slice/crio-greedy.scope/memory.events"
    rt delete --force greedy
}

feature pods quick

test_a_second_container_joins_the_namespaces_of_the_first() {
    up infra '.annotations["io.kubernetes.cri-o.ContainerType"] = "sandbox"' /bin/sleep 1000
    local pid kind
    pid=$(cat "$WORK/infra/pidfile")
    bundle member "(.linux.namespaces[] | select(.type | IN(\"network\", \"ipc\", \"uts\"))) |= (.path = \"/proc/$pid/ns/\" + (if .type == \"network\" then \"net\" else .type end))
        | .annotations[\"io.kubernetes.cri-o.SandboxID\"] = \"infra\" | del(.hostname)" /bin/sleep 1000
    create member
    rt --systemd-cgroup start member
    for kind in net ipc uts; do
        expect_eq "$(rt exec member readlink /proc/self/ns/$kind)" "$(readlink "/proc/$pid/ns/$kind")"
    done
    rt delete --force member
    rt delete --force infra
}

feature 'user namespaces'

test_a_pod_with_a_user_namespace_has_path_and_mappings() {
    local map='[{ containerID: 0, hostID: 700000, size: 65536 }]'
    bundle mapped ".linux.uidMappings = $map | .linux.gidMappings = $map | .linux.namespaces += [{ type: \"user\" }]" /bin/sleep 1000
    chown -hR 700000:700000 "$WORK/rootfs"
    create mapped
    rt --systemd-cgroup start mapped
    local pid
    pid=$(cat "$WORK/mapped/pidfile")
    bundle joined ".linux.uidMappings = $map | .linux.gidMappings = $map | .linux.namespaces += [{ type: \"user\", path: \"/proc/$pid/ns/user\" }]" \
        /bin/cat /proc/self/uid_map
    create joined
    rt --systemd-cgroup start joined
    eventually test -s "$EXITS/joined"
    expect_match "$(cat "$WORK/joined/log")" '0 +700000 +65536'
    rt delete --force joined
    rt delete --force mapped
    chown -hR 0:0 "$WORK/rootfs"
}

feature checkpoint

test_cri_o_sees_that_there_is_no_checkpoint() {
    expect_status 1 rt checkpoint --help >/dev/null 2>&1
    no 'casemate has no checkpoint and restore'
}

feature 'hardened by default' quick

test_the_payload_is_hardened_without_being_asked() {
    only_casemate
    up hardened . /bin/sleep 1000
    local status
    status=$(rt exec hardened cat /proc/1/status)
    expect_match "$status" '^NoNewPrivs:[[:space:]]1$'
    expect_match "$status" '^Seccomp:[[:space:]]2$'
    expect_status 1 rt exec hardened touch /file
    rt delete --force hardened
}

feature 'clean up' quick

test_nothing_is_left_behind() {
    eventually sh -c "[ -z \"\$(find /sys/fs/cgroup -type d -name 'crio-*.scope')\" ]"
    expect_eq "$(find "$ROOT" -mindepth 1 -maxdepth 1 ! -name '.*' ! -name @past | wc -l)" 0
}

run_tests
