#!/bin/bash
# Limits and confinement as the payload runs into them: the runtime is called directly, with bundles of hack/bundle.
# Runs as root on the test host of hack/vm, where every cgroup v2 controller is there.
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"

# Limits do not depend on the profile; `privileged` keeps the bundle's own capabilities and writable root.
rt() {
    if is_casemate; then
        "$RUNTIME" --profile privileged --root "$WORK/state" "$@"
    else
        "$RUNTIME" --root "$WORK/state" "$@"
    fi
}

# bundle NAME JQ-FILTER COMMAND...: a bundle in WORK/NAME with the filter applied to its config.json.
bundle() {
    local name=$1 filter=$2
    shift 2
    "$TOP/hack/bundle" plain "$WORK/$name" --id "$name" --oci-version 1.0.2 -- "$@"
    jq -c "$filter" "$WORK/$name/config.json" >"$WORK/$name/new"
    mv "$WORK/$name/new" "$WORK/$name/config.json"
}

cgroup_file() { cat "/sys/fs/cgroup/casemate-$1/$2"; }
cpu_microseconds() { awk '$1 == "usage_usec" { print $2 }' "/sys/fs/cgroup/casemate-$1/cpu.stat"; }
# Of a second by the clock: on a busy host a sleep takes longer than it was asked for.
cpu_milliseconds_of_a_second() {
    local before began
    before=$(cpu_microseconds "$1") began=$(date +%s%N)
    sleep 1
    echo $((($(cpu_microseconds "$1") - before) * 1000000 / ($(date +%s%N) - began)))
}
is_at_work() { [ "$(cpu_milliseconds_of_a_second "$1")" -gt 20 ]; }
start() { rt run --detach --bundle "$WORK/$1" "$1" >"$WORK/$1.out" 2>&1; }
cleanup() {
    local id
    for id in $(rt list -q 2>/dev/null); do rt delete --force "$id"; done
}

test_memory_beyond_the_limit_kills_the_payload() {
    bundle memory '.linux.resources.memory = { limit: 33554432, swap: 33554432 }' /bin/tail /dev/zero
    expect_status 137 rt run --bundle "$WORK/memory" memory
}

test_events_reports_the_oom_kill() {
    rt events --help >/dev/null 2>&1 || skip "this runtime has no events command"
    bundle oom '.linux.resources.memory = { limit: 33554432, swap: 33554432 }' \
        /bin/sh -c 'sleep 5; tail /dev/zero; sleep 1000'
    start oom
    rt events --interval 500ms oom >"$WORK/events" 2>&1 &
    eventually grep -q '"type":"oom"' "$WORK/events"
    rt delete --force oom
    wait
}

test_pids_beyond_the_limit_cannot_be_made() {
    bundle pids '.linux.resources.pids = { limit: 8 }' \
        /bin/sh -c 'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 5 & done; wait'
    rt run --bundle "$WORK/pids" pids >"$WORK/pids.out" 2>&1 || true
    expect_match "$(cat "$WORK/pids.out")" "can't fork"
}

test_cpu_quota_holds_a_busy_loop_back() {
    local used
    bundle cpu '.linux.resources.cpu = { quota: 20000, period: 100000 }' /bin/sh -c 'while :; do :; done'
    start cpu
    expect_eq "$(cgroup_file cpu cpu.max)" '20000 100000'
    eventually is_at_work cpu
    used=$(cpu_milliseconds_of_a_second cpu)
    rt delete --force cpu
    echo "used $used ms of a second, quota 200"
    [ "$used" -le 400 ]
}

test_io_limit_slows_writes_down() {
    local device began took
    device=$(lsblk -dno MAJ:MIN "$(findmnt -no SOURCE /)" | tr -d ' ')
    bundle io ".linux.resources.blockIO = { throttleWriteBpsDevice: [ { major: ${device%%:*}, minor: ${device##*:}, rate: 1048576 } ] }
        | .root.readonly = false" /bin/dd if=/dev/zero of=/file bs=64k count=64 conv=fsync
    began=$(date +%s%N)
    rt run --bundle "$WORK/io" io
    took=$((($(date +%s%N) - began) / 1000000))
    [ "$took" -ge 2000 ] || { echo "4 MiB at 1 MiB/s took $took ms"; return 1; }
}

test_pause_stops_a_busy_container_and_resume_continues_it() {
    bundle busy . /bin/sh -c 'while :; do :; done'
    start busy
    eventually is_at_work busy
    rt pause busy
    expect_match "$(rt state busy)" '"status": ?"paused"'
    [ "$(cpu_milliseconds_of_a_second busy)" -lt 20 ]
    rt resume busy
    expect_match "$(rt state busy)" '"status": ?"running"'
    eventually is_at_work busy
    rt delete --force busy
}

test_update_changes_a_limit_of_a_running_container() {
    bundle update '.linux.resources.memory = { limit: 33554432 }' /bin/sleep 1000
    start update
    expect_eq "$(cgroup_file update memory.max)" 33554432
    rt update --memory 67108864 update
    expect_eq "$(cgroup_file update memory.max)" 67108864
    rt delete --force update
}

MKNOD_CAPS='.process.capabilities |= map_values(. + ["CAP_MKNOD"]) | .root.readonly = false'

test_a_device_that_no_rule_allows_cannot_be_opened() {
    bundle device "$MKNOD_CAPS" /bin/sh -c 'mknod /kmsg c 1 11 && dd if=/kmsg of=/dev/null bs=4k count=1'
    expect_status 1 rt run --bundle "$WORK/device" device >"$WORK/device.out" 2>&1
    expect_match "$(cat "$WORK/device.out")" 'Operation not permitted'
}

test_a_device_that_a_rule_allows_can_be_opened() {
    bundle allowed "$MKNOD_CAPS | .linux.resources.devices += [ { allow: true, type: \"c\", major: 1, minor: 11, access: \"rwm\" } ]" \
        /bin/sh -c 'mknod /kmsg c 1 11 && echo hello >/kmsg'
    rt run --bundle "$WORK/allowed" allowed
}

test_a_device_rule_for_reading_does_not_allow_writing() {
    bundle reading "$MKNOD_CAPS | .linux.resources.devices += [ { allow: true, type: \"c\", major: 1, minor: 11, access: \"rm\" } ]" \
        /bin/sh -c 'mknod /kmsg c 1 11 && : </kmsg && ! (echo hello >/kmsg) 2>/dev/null'
    rt run --bundle "$WORK/reading" reading
}

test_an_apparmor_profile_confines_the_payload() {
    [ -e /sys/kernel/security/apparmor/profiles ] || skip "no AppArmor on this host"
    apparmor_parser -r <<'PROFILE'
profile casemate-test flags=(attach_disconnected) {
  file,
  signal,
  deny /secret w,
}
PROFILE
    bundle apparmor '.process.apparmorProfile = "casemate-test" | .root.readonly = false' \
        /bin/sh -c 'cat /proc/self/attr/current; touch /free && ! touch /secret'
    rt run --bundle "$WORK/apparmor" apparmor >"$WORK/apparmor.out" 2>&1
    # Debian's own profile for crun stacks itself on top, so the mode differs between runtimes; the denial does not.
    expect_match "$(cat "$WORK/apparmor.out")" '^casemate-test'
}

test_an_unknown_apparmor_profile_is_an_error() {
    [ -e /sys/kernel/security/apparmor/profiles ] || skip "no AppArmor on this host"
    bundle noprofile '.process.apparmorProfile = "casemate-no-such-profile"' /bin/true
    ! rt run --bundle "$WORK/noprofile" noprofile
}

test_unified_settings_reach_the_cgroup() {
    bundle unified '.linux.resources.unified = { "memory.high": "50331648", "pids.max": "77" }' /bin/sleep 1000
    start unified
    expect_eq "$(cgroup_file unified memory.high)" 50331648
    expect_eq "$(cgroup_file unified pids.max)" 77
    rt delete --force unified
}

test_delete_removes_the_cgroup() {
    bundle removed . /bin/true
    rt run --bundle "$WORK/removed" removed
    [ ! -e /sys/fs/cgroup/casemate-removed ]
}

run_tests
