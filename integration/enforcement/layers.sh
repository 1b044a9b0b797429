#!/bin/bash
# The layers that confine a payload, on a host where every limit can be had: the profile restricted as a whole with its
# Landlock layer, features of the system call filter through podman, and the limit on nested user namespaces.
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"

IMAGE=localhost/busybox:latest

rt() { "$RUNTIME" --root "$WORK/state" "$@"; }
# pm RUNTIME-FLAGS... -- PODMAN-ARGUMENTS...
pm() {
    local flags=()
    while [ "$1" != -- ]; do
        flags+=(--runtime-flag "$1")
        shift
    done
    shift
    podman --runtime "$CASEMATE_RUNTIME" "${flags[@]}" run --rm --network=none "$@"
}
cleanup() {
    local id
    for id in $(rt list -q 2>/dev/null); do rt delete --force "$id"; done
}

# restricted NAME COMMAND...: a bundle in WORK/NAME that the profile restricted takes as it is.
restricted() {
    local name=$1
    shift
    "$TOP/hack/bundle" plain "$WORK/$name" --id "$name" --oci-version 1.0.2 -- "$@"
    jq -c '.process.user = { uid: 1000, gid: 1000 } | .process.capabilities = {}
        | .linux.resources.memory = { limit: 67108864 }' "$WORK/$name/config.json" >"$WORK/$name/new"
    mv "$WORK/$name/new" "$WORK/$name/config.json"
    mkfifo -m 666 "$WORK/$name/rootfs/pipe"
    chmod 755 "$WORK/$name" "$WORK/$name/rootfs"
}

only_with_landlock() {
    only_casemate
    grep -q landlock /sys/kernel/security/lsm || skip "this kernel has no Landlock"
}

test_a_restricted_payload_cannot_write_to_a_pipe_on_a_read_only_mount() {
    only_with_landlock
    restricted layer /bin/sh -c 'exec 3<>/pipe'
    expect_refusal "can't create /pipe: Permission denied" rt --profile restricted run --bundle "$WORK/layer" layer
    rt --profile restricted --allow landlock.off run --bundle "$WORK/layer" layer
}

test_a_restricted_container_of_podman_works_and_has_the_layer() {
    only_with_landlock
    local script='echo x >/dev/null && echo x >/tmp/x && echo x >/dev/shm/x && echo works'
    expect_eq "$(pm profile=restricted -- --user 1000:1000 --memory 64m $IMAGE sh -c "$script")" works
    podman --runtime "$CASEMATE_RUNTIME" --runtime-flag profile=restricted run -d --name layered --network=none \
        --user 1000:1000 --memory 64m $IMAGE sleep 1000
    expect_eq "$(podman --runtime "$CASEMATE_RUNTIME" exec layered sh -c "$script; kill -0 1 && echo reached" | xargs)" \
        'works reached'
    podman --runtime "$CASEMATE_RUNTIME" rm -f -t 0 layered
}

test_podman_exec_into_a_restricted_container_with_a_terminal_can_use_it() {
    only_with_landlock
    podman --runtime "$CASEMATE_RUNTIME" --runtime-flag profile=restricted run -d --name terminal --network=none \
        --user 1000:1000 --memory 64m $IMAGE sleep 1000
    expect_match "$(script -qec "podman --runtime $CASEMATE_RUNTIME exec -it terminal \
        sh -c 'echo again >/dev/tty; stty size >/dev/null && echo sized'" /dev/null </dev/null | tr -d '\r' | xargs)" 'again.* sized'
    podman --runtime "$CASEMATE_RUNTIME" rm -f -t 0 terminal
}

test_a_feature_opens_namespaces_for_a_container_of_podman() {
    only_casemate
    expect_refusal 'Operation not permitted' pm -- $IMAGE unshare -U id -u
    # AppArmor has a say of its own where it is on.
    expect_eq "$(pm allow=seccomp.userns allow=apparmor.unconfined -- --security-opt apparmor=unconfined $IMAGE \
        unshare -U id -u)" 65534
}

test_an_engines_own_filter_stays_beside_a_feature() {
    only_casemate
    # A filter of the engine's that refuses unshare: the feature is granted, and changes nothing.
    printf '%s' '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["unshare"],"action":"SCMP_ACT_ERRNO","errnoRet":1}]}' \
        >"$WORK/own.json"
    expect_refusal 'Operation not permitted' \
        pm allow=seccomp.userns allow=apparmor.unconfined -- --security-opt apparmor=unconfined \
        --security-opt "seccomp=$WORK/own.json" $IMAGE unshare -U id -u
}

test_user_namespaces_cannot_be_nested_without_any_filter() {
    only_casemate
    expect_refusal 'No space left on device' pm allow=seccomp.unconfined -- --security-opt seccomp=unconfined \
        --uidmap 0:100000:65536 $IMAGE unshare -U id -u
}

run_tests
