#!/bin/bash
# The systemd driver and the disabled one, as an engine uses them: units and limits as systemd and the kernel show them.
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"
only_casemate

rt() { "$RUNTIME" --root "$WORK/state" "$@"; }
show() { systemctl show --value -p "$2" "$1"; }
# bundle NAME [JQ-FILTER]: a bundle in WORK/NAME that sleeps.
bundle() {
    "$TOP/hack/bundle" plain "$WORK/$1" --rootfs "$WORK/base/rootfs" --id "$1" -- sleep 1000
    jq -c "del(.linux.cgroupsPath) | ${2:-.}" "$WORK/$1/config.json" >"$WORK/$1/new"
    mv "$WORK/$1/new" "$WORK/$1/config.json"
}
start() { rt --systemd-cgroup run -d --bundle "$WORK/$1" "$1" >"$WORK/$1.out" 2>&1 || { cat "$WORK/$1.out"; return 1; }; }
pid() { rt state "$1" | jq .pid; }
cgroup_of() { sed -n 's/^0:://p' "/proc/$(pid "$1")/cgroup"; }
cleanup() {
    local id
    for id in $(rt list -q 2>/dev/null); do rt delete --force "$id"; done
}

"$TOP/hack/bundle" plain "$WORK/base" >/dev/null

test_the_unit_is_named_by_slice_prefix_and_name() {
    bundle named '.linux.cgroupsPath = "casemate-test.slice:pre:named"'
    start named
    expect_eq "$(cgroup_of named)" /casemate.slice/casemate-test.slice/pre-named.scope
    expect_eq "$(show pre-named.scope Slice)" casemate-test.slice
    expect_eq "$(show pre-named.scope Delegate)" yes
    expect_eq "$(show pre-named.scope ActiveState)" active
    # systemd's own view of what runs in it: init, and not the process that held its place.
    expect_eq "$(cat /sys/fs/cgroup/casemate.slice/casemate-test.slice/pre-named.scope/cgroup.procs)" "$(pid named)"
}

test_without_a_path_it_is_below_the_system_slice() {
    bundle plain
    start plain
    expect_eq "$(cgroup_of plain)" /system.slice/casemate-plain.scope
}

test_an_empty_prefix_and_the_root_slice_are_taken() {
    bundle short '.linux.cgroupsPath = "-::short"'
    start short
    expect_eq "$(cgroup_of short)" /short.scope
}

test_a_path_that_is_no_triple_is_refused_before_anything_is_made() {
    bundle triple '.linux.cgroupsPath = "/a/path"'
    expect_refusal 'linux.cgroupsPath' rt --systemd-cgroup run --bundle "$WORK/triple" triple
    expect_eq "$(rt list -q | grep triple || true)" ''
}

test_each_limit_is_a_property_of_the_unit_and_in_its_file() {
    local directory
    bundle limits '.linux.resources += {
        memory: { limit: 67108864, reservation: 16777216, swap: 100663296 },
        cpu: { shares: 512, quota: 30000, period: 60000, cpus: "0", mems: "0" },
        pids: { limit: 33 },
        blockIO: { weight: 500 },
        unified: { "memory.high": "50331648", "memory.oom.group": "1" } }'
    start limits
    for wanted in MemoryMax=67108864 MemoryLow=16777216 MemorySwapMax=33554432 MemoryHigh=50331648 CPUWeight=59 \
        CPUQuotaPerSecUSec=500ms CPUQuotaPeriodUSec=60ms TasksMax=33 AllowedCPUs=0 AllowedMemoryNodes=0 OOMPolicy=kill; do
        expect_eq "${wanted%%=*}=$(show casemate-limits.scope "${wanted%%=*}")" "$wanted"
    done
    directory=/sys/fs/cgroup$(cgroup_of limits)
    for wanted in memory.max=67108864 memory.low=16777216 memory.swap.max=33554432 memory.high=50331648 cpu.weight=59 \
        'cpu.max=30000 60000' pids.max=33 cpuset.cpus=0 memory.oom.group=1; do
        expect_eq "${wanted%%=*}=$(cat "$directory/${wanted%%=*}")" "$wanted"
    done
}

test_a_reload_of_systemd_changes_no_limit_and_no_device_rule() {
    local directory before
    bundle reload '.linux.resources += { memory: { limit: 67108864 }, pids: { limit: 33 } }'
    start reload
    directory=/sys/fs/cgroup$(cgroup_of reload)
    before=$(cat "$directory"/{memory.max,pids.max,cpu.max})
    systemctl daemon-reload
    systemctl set-property --runtime casemate-reload.scope Description=again 2>/dev/null || true
    expect_eq "$(cat "$directory"/{memory.max,pids.max,cpu.max})" "$before"
    expect_status 1 rt exec reload sh -c 'mknod /tmp/sda b 8 0 2>/dev/null && cat /tmp/sda'
}

test_unified_limits_of_the_processor_outlive_a_reload_and_a_change_of_the_unit() {
    local directory
    bundle unified '.linux.resources.unified = { "cpu.max": "30000 60000", "memory.high": "50331648" }'
    start unified
    directory=/sys/fs/cgroup$(cgroup_of unified)
    expect_eq "$(show casemate-unified.scope CPUQuotaPerSecUSec)" 500ms
    systemctl daemon-reload
    expect_eq "$(cat "$directory/cpu.max")" '30000 60000'
    systemctl set-property --runtime casemate-unified.scope CPUWeight=50
    expect_eq "$(cat "$directory"/{cpu.max,cpu.weight,memory.high} | tr '\n' ';')" '30000 60000;50;50331648;'
}

test_update_without_flag_and_environment_reaches_the_unit() {
    local directory
    bundle updated '.linux.resources += { memory: { limit: 67108864 } }'
    start updated
    env -i "$RUNTIME" --root "$WORK/state" update --memory 33554432 --pids-limit 44 --cpu-share 2048 updated
    directory=/sys/fs/cgroup$(cgroup_of updated)
    expect_eq "$(show casemate-updated.scope MemoryMax) $(cat "$directory/memory.max")" '33554432 33554432'
    expect_eq "$(show casemate-updated.scope TasksMax) $(cat "$directory/pids.max")" '44 44'
    expect_eq "$(show casemate-updated.scope CPUWeight)" "$(cat "$directory/cpu.weight")"
    systemctl daemon-reload
    expect_eq "$(cat "$directory/memory.max")" 33554432
}

test_delete_without_flag_and_environment_takes_the_unit_away() {
    local directory
    bundle gone
    start gone
    directory=/sys/fs/cgroup$(cgroup_of gone)
    env -i "$RUNTIME" --root "$WORK/state" delete --force gone
    [ ! -e "$directory" ]
    expect_eq "$(show casemate-gone.scope LoadState)" not-found
}

test_a_unit_that_failed_is_forgotten_and_its_name_free_again() {
    bundle oom '.linux.resources += { memory: { limit: 16777216, swap: 16777216 } } | .process.args = ["tail", "/dev/zero"]'
    start oom || true
    eventually sh -c "\"$RUNTIME\" --root \"$WORK/state\" state oom | grep -q stopped"
    rt delete oom
    expect_eq "$(show casemate-oom.scope LoadState)" not-found
    bundle oom
    start oom
    expect_eq "$(show casemate-oom.scope ActiveState)" active
}

test_a_unit_that_is_in_use_is_left_alone() {
    local first
    bundle taken
    start taken
    first=$(pid taken)
    bundle second '.linux.cgroupsPath = "system.slice:casemate:taken"'
    expect_refusal 'casemate-taken.scope' rt --systemd-cgroup run -d --bundle "$WORK/second" second
    expect_eq "$(cat /sys/fs/cgroup/system.slice/casemate-taken.scope/cgroup.procs)" "$first"
    expect_eq "$(rt list -q | grep second || true)" ''
}

test_a_stopped_unit_stops_its_container() {
    bundle stopped '.process.args = ["sh", "-c", "trap \"exit 0\" TERM; while :; do sleep 0.1; done"]'
    start stopped
    systemctl stop casemate-stopped.scope
    eventually sh -c "\"$RUNTIME\" --root \"$WORK/state\" state stopped | grep -q '\"status\": \"stopped\"'"
    rt delete stopped
}

test_unit_properties_of_annotations_that_no_engine_sets_count_with_privileged_only() {
    bundle annotated '.annotations = { "org.systemd.property.RuntimeMaxUSec": "uint64 3600000000" }'
    rt --profile privileged --systemd-cgroup run -d --bundle "$WORK/annotated" annotated >/dev/null 2>&1
    expect_eq "$(show casemate-annotated.scope RuntimeMaxUSec)" 1h
    rt delete --force annotated
    start annotated
    [ "$(show casemate-annotated.scope RuntimeMaxUSec)" != 1h ]
}

test_without_systemd_the_driver_says_what_it_could_not_reach() {
    bundle nobus
    expect_refusal 'D-Bus at unix:path=/nonexistent' env DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent \
        "$RUNTIME" --root "$WORK/state" --systemd-cgroup run -d --bundle "$WORK/nobus" nobus
    expect_eq "$(rt list -q | grep nobus || true)" ''
}

test_disabled_leaves_the_container_in_the_callers_cgroup() {
    bundle none 'del(.linux.resources)'
    rt --cgroup-manager disabled run -d --bundle "$WORK/none" none >"$WORK/none.out" 2>&1
    expect_eq "$(cgroup_of none)" "$(sed -n 's/^0:://p' /proc/self/cgroup)"
    expect_match "$(rt exec none id)" 'uid=0'
    rt kill none KILL
    eventually sh -c "\"$RUNTIME\" --root \"$WORK/state\" state none | grep -q stopped"
    rt delete none
}

run_tests
