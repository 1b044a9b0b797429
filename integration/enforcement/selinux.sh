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
    ! mountpoint -q "$WORK/layers/merged" || umount "$WORK/layers/merged"
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
    expect_match "$refusal" 'SELinux label system_u:system_r:spc_t:s0 is not one for containers \(rule selinux.label\); allow with --allow selinux.unlabelled, or annotation org.casemate.allow/selinux.unlabelled=true'
}

test_a_missing_label_is_waived_by_name_and_restricted_refuses_it() {
    need_selinux
    bundle none 'del(.process.selinuxLabel)' sh -c 'cat /proc/self/attr/current | tr -d "\0"'
    expect_match "$(rt --allow selinux.unassigned explain --bundle "$WORK/none" 2>&1)" 'without a label of its own'
    expect_match "$(rt --allow selinux.unassigned run --bundle "$WORK/none" none)" 'unconfined_t|initrc_t|container_runtime_t'
    bundle strict 'del(.process.selinuxLabel) | .process.user = {uid: 1000, gid: 1000}
        | .linux.resources.memory = {limit: 33554432}' true
    expect_refusal 'denied by profile restricted: no SELinux label \(rule selinux.label\)' \
        rt --profile restricted --allow selinux.unassigned run --bundle "$WORK/strict" strict
}

need_enforcing() {
    need_selinux
    [ "$(cat /sys/fs/selinux/enforce)" = 1 ] || skip "SELinux does not enforce"
}

# unlabelled NAME COMMAND...: the configuration has no label; the files are those of any container.
unlabelled() {
    local name=$1
    shift
    bundle "$name" 'del(.process.selinuxLabel, .linux.mountLabel)' "$@"
    chcon -R system_u:object_r:container_file_t:s0 "$WORK/$name/rootfs"
}

label_of() { tr -d '\0' <"/proc/$(rt state "$1" | jq .pid)/attr/current"; }
pairs() { find /run/casemate-mcs -type f ! -name lock 2>/dev/null | wc -l; }

test_containers_without_a_label_get_one_each_and_give_it_back() {
    need_enforcing
    local first second before
    before=$(pairs || true)
    for name in one two; do
        unlabelled "$name" sleep 1000
        rt run --detach --bundle "$WORK/$name" "$name" </dev/null >"$WORK/out" 2>&1 || { cat "$WORK/out"; return 1; }
    done
    first=$(label_of one) second=$(label_of two)
    expect_match "$first" '^system_u:system_r:container_t:s0:c[0-9]+,c[0-9]+$'
    expect_match "$second" '^system_u:system_r:container_t:s0:c[0-9]+,c[0-9]+$'
    [ "$first" != "$second" ] || { echo "both have $first"; return 1; }
    expect_eq "$(rt exec one cat /proc/self/attr/current | tr -d '\0')" "$first"
    expect_eq "$(jq -r .selinuxLabel "$WORK/state/one/posture.json")" "$first"
    expect_match "$(jq -r .selinuxRoot "$WORK/state/one/posture.json")" ':container_file_t:s0'
    # Its own mounts are for it alone.
    expect_eq "$(stat -c %C "/proc/$(rt state one | jq .pid)/root/dev")" "system_u:object_r:container_file_t:${first#*container_t:}"
    expect_eq "$(pairs)" $((before + 2))
    rt delete --force one
    rt delete --force two
    expect_eq "$(pairs)" "$before"
}

test_one_container_cannot_read_the_files_of_another() {
    need_enforcing
    mkdir -p "$WORK/both"
    echo secret >"$WORK/both/file"
    unlabelled owner sleep 1000
    bundle other "del(.process.selinuxLabel, .linux.mountLabel) | .mounts += [{destination: \"/mnt\", type: \"bind\",
        source: \"$WORK/both\", options: [\"rbind\", \"ro\"]}]" sh -c 'cat /mnt/file'
    chcon -R system_u:object_r:container_file_t:s0 "$WORK/other/rootfs"
    rt run --detach --bundle "$WORK/owner" owner </dev/null >/dev/null 2>&1
    chcon -R -t container_file_t -l "s0:$(label_of owner | sed 's/.*:s0://')" "$WORK/both"
    expect_refusal 'Permission denied' rt run --bundle "$WORK/other" other
    # With no categories any container may.
    chcon -R -t container_file_t -l s0 "$WORK/both"
    expect_eq "$(rt run --bundle "$WORK/other" other)" secret
    rt delete --force owner
}

test_a_root_that_the_label_cannot_read_is_refused_or_relabelled_as_the_policy_says() {
    need_enforcing
    unlabelled files sh -c 'cat /etc/passwd >/dev/null && echo read'
    chcon -R system_u:object_r:var_lib_t:s0 "$WORK/files/rootfs"
    expect_refusal 'root.path .* has the SELinux label system_u:object_r:var_lib_t:s0, which the container could not use .*relabel.*rule selinux.assign' \
        rt run --bundle "$WORK/files" files
    expect_eq "$(stat -c %C "$WORK/files/rootfs/bin")" system_u:object_r:var_lib_t:s0
    policy '"selinux.relabel" = true'
    expect_eq "$(rt --policy-dir "$WORK/policy" run --bundle "$WORK/files" files)" read
    expect_match "$(stat -c %C "$WORK/files/rootfs/etc")" '^system_u:object_r:container_file_t:s0:c[0-9]+,c[0-9]+$'
}

# policy LINE: a node policy with that line in [values].
policy() {
    mkdir -p "$WORK/policy"
    printf '[values]\n%s\n' "$1" >"$WORK/policy/policy.toml"
}

test_a_type_that_the_loaded_policy_does_not_have_is_an_error_before_anything_is_made() {
    need_enforcing
    unlabelled unknown true
    policy '"selinux.process-type" = "no_such_t"'
    expect_refusal 'the loaded SELinux policy has no label system_u:system_r:no_such_t:s0:c0,c1.*rule selinux.assign' \
        rt --policy-dir "$WORK/policy" run --bundle "$WORK/unknown" unknown
    [ ! -e "$WORK/state/unknown" ]
    # Named by the configuration itself: the kernel refuses the label, and nothing is left.
    bundle named '.process.selinuxLabel = "system_u:system_r:container_init_t:s0:c9999"' true
    expect_refusal 'container_init_t:s0:c9999.*invalid argument' rt run --bundle "$WORK/named" named
    [ ! -e "$WORK/state/named" ]
}

test_an_overlay_is_put_together_with_the_label() {
    need_enforcing
    unlabelled layers sh -c 'cat /etc/passwd >/dev/null && tr -d "\0" </proc/self/attr/current'
    mkdir -p "$WORK/layers/up" "$WORK/layers/work" "$WORK/layers/merged"
    chcon -R system_u:object_r:var_lib_t:s0 "$WORK/layers"
    mount -t overlay -o "lowerdir=$WORK/layers/rootfs,upperdir=$WORK/layers/up,workdir=$WORK/layers/work" overlay "$WORK/layers/merged"
    jq -c '.root.path = "merged"' "$WORK/layers/config.json" >"$WORK/layers/new"
    mv "$WORK/layers/new" "$WORK/layers/config.json"
    expect_match "$(rt run --bundle "$WORK/layers" layers)" ':container_t:s0:c[0-9]+,c[0-9]+$'
    umount "$WORK/layers/merged"
    # On disk nothing has changed.
    expect_eq "$(stat -c %C "$WORK/layers/rootfs/bin")" system_u:object_r:var_lib_t:s0
}

run_tests
