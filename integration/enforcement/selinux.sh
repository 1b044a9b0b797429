#!/bin/bash
# SELinux: a label of containers confines, others are refused, and a missing one is on record.
# Runs as root on the test host of hack/vm --selinux=enforcing.
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"

LABEL=system_u:system_r:container_t:s0:c1,c2

rt() { "$RUNTIME" --root "$WORK/state" "$@"; }

# bundle NAME JQ-FILTER COMMAND...: its files have the label of the container's files.
bundle() {
    local name=$1 filter=$2
    shift 2
    "$TOP/hack/bundle" plain "$WORK/$name" --id "$name" -- "$@"
    jq -c "$filter" "$WORK/$name/config.json" >"$WORK/$name/new"
    mv "$WORK/$name/new" "$WORK/$name/config.json"
    chcon -R system_u:object_r:container_file_t:s0:c1,c2 "$WORK/$name/rootfs"
}

need_selinux() {
    only_casemate
    [ -e /sys/fs/selinux/enforce ] || skip "SELinux is off"
}

cleanup() {
    local id
    for id in $(rt list -q 2>/dev/null); do rt delete --force "$id"; done
}

test_a_container_and_its_exec_run_with_the_label() {
    need_selinux
    bundle label ".process.selinuxLabel = \"$LABEL\"" sleep 1000
    rt run --detach --bundle "$WORK/label" label </dev/null >/dev/null 2>&1
    expect_eq "$(tr -d '\0' <"/proc/$(rt state label | jq .pid)/attr/current")" "$LABEL"
    expect_eq "$(rt exec label cat /proc/self/attr/current | tr -d '\0')" "$LABEL"
    rt delete --force label
}

test_files_without_the_label_stay_closed() {
    need_selinux
    [ "$(cat /sys/fs/selinux/enforce)" = 1 ] || skip "SELinux does not enforce"
    mkdir -p "$WORK/volume" "$WORK/shared"
    echo secret | tee "$WORK/volume/file" >"$WORK/shared/file"
    chcon -R system_u:object_r:var_lib_t:s0 "$WORK/volume"
    chcon -R system_u:object_r:container_file_t:s0:c1,c2 "$WORK/shared"
    bundle closed ".process.selinuxLabel = \"$LABEL\" | .mounts += [\"volume\", \"shared\"
        | {destination: (\"/mnt/\" + .), type: \"bind\", source: (\"$WORK/\" + .), options: [\"rbind\", \"ro\"]}]" \
        sh -c 'cat /mnt/volume/file; cat /mnt/shared/file'
    local seen
    seen=$(rt run --bundle "$WORK/closed" closed 2>&1) || true
    expect_match "$seen" '/mnt/volume/file.*Permission denied'
    expect_match "$seen" '^secret$'
}

test_a_label_that_is_none_of_containers_is_refused() {
    need_selinux
    bundle spc '.process.selinuxLabel = "system_u:system_r:spc_t:s0"' true
    local refusal
    refusal=$(rt run --bundle "$WORK/spc" spc 2>&1) && return 1
    expect_match "$refusal" 'SELinux label system_u:system_r:spc_t:s0 is none of containers \(rule selinux.label\); allow with annotation org.casemate.allow/selinux.unlabelled=true'
}

test_a_missing_label_is_on_record_and_restricted_refuses_it() {
    need_selinux
    bundle none 'del(.process.selinuxLabel)' true
    expect_match "$(rt explain --bundle "$WORK/none" 2>&1)" 'its files would need one too'
    bundle strict 'del(.process.selinuxLabel) | .process.user = {uid: 1000, gid: 1000}
        | .linux.resources.memory = {limit: 33554432}' true
    local refusal
    refusal=$(rt --profile restricted run --bundle "$WORK/strict" strict 2>&1) && return 1
    expect_match "$refusal" 'denied by profile restricted: no SELinux label \(rule selinux.label\)'
}

run_tests
