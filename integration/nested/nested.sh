#!/bin/bash
# casemate in a container: of casemate itself with the overrides that it takes, and in privileged ones of podman and docker, as CI
# systems have them. What cannot work says why.
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"
only_casemate

IMAGE=localhost/busybox
PROGRAM=$(realpath "$RUNTIME")

# bundle NAME JQ-FILTER COMMAND...: in WORK/NAME.
bundle() {
    local name=$1 filter=$2
    shift 2
    "$TOP/hack/bundle" plain "$WORK/$name" --rootfs "$WORK/base/rootfs" --id "$name" -- "$@" >/dev/null
    jq -c "del(.linux.cgroupsPath) | $filter" "$WORK/$name/config.json" >"$WORK/config"
    cp "$WORK/config" "$WORK/$name/config.json"
}
# outer NAME JQ-FILTER SCRIPT: a bundle that is to run casemate: with the program, the inner bundles, capabilities, room for the
# state, and a cgroup of its own to write to.
outer() {
    bundle "$1" "
        .process.capabilities = ((\"CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP NET_ADMIN NET_RAW
            SYS_ADMIN SYS_PTRACE SYS_RESOURCE MKNOD SETFCAP SYS_CHROOT BPF PERFMON NET_BIND_SERVICE\" | [scan(\"[A-Z_]+\")]
            | map(\"CAP_\" + .)) as \$all | { bounding: \$all, effective: \$all, permitted: \$all })
        | .process.noNewPrivileges = false | .root.readonly = false | del(.linux.maskedPaths, .linux.readonlyPaths)
        | .mounts |= map(if .type == \"cgroup\" then .options -= [\"ro\"] else . end)
        | .mounts += [
            { destination: \"/usr/bin/casemate\", type: \"bind\", source: \"$PROGRAM\", options: [\"bind\", \"ro\"] },
            { destination: \"$WORK\", type: \"bind\", source: \"$WORK\", options: [\"bind\"] },
            { destination: \"/run\", type: \"tmpfs\", source: \"tmpfs\", options: [\"nosuid\", \"nodev\"] }]
        | .root.path = \"$WORK/around\" | $2" sh -c "$3"
}
privileged() { # privileged ENGINE... -- SCRIPT
    local engine=()
    while [ "$1" != -- ]; do engine+=("$1"); shift; done
    "${engine[@]}" run --rm --privileged --network=none -v "$PROGRAM:/usr/bin/casemate:ro" -v "$WORK:$WORK" $IMAGE sh -c "$2"
}
# Every cover on /proc is in the way of the next /proc, and of kernel parameters that the inner container is to have.
NESTING=seccomp.userns,seccomp.mount,seccomp.keyring,userns.nested,paths.unmasked,paths.writable,apparmor.unconfined
# What the entry point of docker's own docker-in-docker image does: a cgroup with processes cannot hand memory limits down.
# shellcheck disable=SC2016  # expanded in the container
MAKE_ROOM='mkdir /sys/fs/cgroup/init && for p in $(cat /sys/fs/cgroup/cgroup.procs); do
    echo $p >/sys/fs/cgroup/init/cgroup.procs 2>/dev/null || true; done'

"$TOP/hack/bundle" plain "$WORK/base" >/dev/null
# A container in a container whose root is the very same directory would be one with the root of its host.
cp -a "$WORK/base/rootfs" "$WORK/around"
bundle inner . sh -c 'id -u; grep -E "^(NoNewPrivs|Seccomp):" /proc/self/status'
bundle limited '.linux.resources += { memory: { limit: 67108864 } }' cat /sys/fs/cgroup/memory.max
HARDENED='0 NoNewPrivs: 1 Seccomp: 2 '
flat() { tr -s ' \t\n' ' '; }

test_in_a_privileged_container_of_podman() {
    expect_eq "$(privileged podman --runtime crun -- "casemate run --bundle $WORK/inner inner" | flat)" "$HARDENED"
}

test_in_a_privileged_container_of_docker() {
    expect_eq "$(privileged docker -- "casemate run --bundle $WORK/inner inner" | flat)" "$HARDENED"
}

test_memory_limits_there_say_what_is_in_the_way() {
    expect_refusal 'move its processes to a cgroup of their own first|has processes of its own' \
        privileged podman --runtime crun -- "casemate run --bundle $WORK/limited limited"
}

test_memory_limits_there_hold_when_the_processes_have_made_room() {
    expect_eq "$(privileged podman --runtime crun -- "$MAKE_ROOM; casemate run --bundle $WORK/limited limited")" 67108864
}

test_in_an_unprivileged_container_it_names_what_is_missing() {
    expect_refusal 'without privilege a container needs a user namespace' \
        podman --runtime crun run --rm --network=none -v "$PROGRAM:/usr/bin/casemate:ro" -v "$WORK:$WORK" $IMAGE \
        casemate run --bundle "$WORK/inner" inner
}

test_in_a_hardened_container_of_its_own_it_names_what_is_missing() {
    outer strict . "casemate run --bundle $WORK/inner inner"
    expect_refusal 'without privilege a container needs a user namespace' casemate run --bundle "$WORK/strict" strict
}

test_in_a_hardened_container_of_its_own_with_overrides() {
    outer allowed . "casemate run --bundle $WORK/inner inner && grep ^NoNewPrivs /proc/self/status"
    expect_eq "$(casemate --allow capabilities.all,cgroup.writable,userns.host,$NESTING run --bundle "$WORK/allowed" allowed | flat)" "${HARDENED}NoNewPrivs: 1 "
}

test_in_a_container_of_its_own_with_the_profile_privileged() {
    outer open . "$MAKE_ROOM; casemate run --bundle $WORK/limited limited"
    expect_eq "$(casemate --profile privileged run --bundle "$WORK/open" open)" 67108864
}

test_an_ordinary_user_of_a_hardened_container_with_overrides() {
    mkdir -p "$WORK/user"
    (cd "$WORK/user" && casemate spec --rootless)
    jq -c ".process.terminal = false | .process.args = [\"id\", \"-u\"] | .root.path = \"$WORK/base/rootfs\"
        | .linux.uidMappings[0].hostID = 1000 | .linux.gidMappings[0].hostID = 1000" "$WORK/user/config.json" >"$WORK/config"
    cp "$WORK/config" "$WORK/user/config.json"
    outer users '.process.user = { uid: 1000, gid: 1000 }' \
        "casemate --root /tmp/state run --bundle $WORK/user user"
    expect_eq "$(casemate --allow $NESTING run --bundle "$WORK/users" users)" 0
}

test_covered_kernel_parameters_are_an_error_that_names_the_override() {
    outer covered . "$MAKE_ROOM; casemate run --bundle $WORK/inner inner"
    expect_refusal 'user/max_user_namespaces=0: .*hint: /proc/sys is closed here; without this: --allow userns.nested' \
        casemate --allow "capabilities.all,cgroup.writable,userns.host,${NESTING/paths.writable,/}" run --bundle "$WORK/covered" covered
}

run_tests
