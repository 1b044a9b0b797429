#!/bin/bash
# A rootless engine's surroundings, as rootless containerd and docker make them: rootlesskit enters a user namespace with the
# user's ranges and a mount namespace, and casemate is root there.
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"
only_casemate

HOME_DIR=/home/user/kit-test
IMAGE=localhost/busybox:latest
install -m 755 "$PREPARED/rootlesskit" /usr/bin/rootlesskit

kit() { as_delegated rootlesskit --state-dir="$HOME_DIR/kit" --net=host --copy-up=/etc --copy-up=/run "$@"; }
# bundle NAME JQ-FILTER COMMAND...: what an engine writes, without a user namespace.
bundle() {
    local dir=$HOME_DIR/$1 filter=$2
    shift 2
    "$TOP/hack/bundle" plain "$dir" --rootfs "$HOME_DIR/rootfs" --id "${dir##*/}" -- "$@" >/dev/null
    jq -c "del(.linux.cgroupsPath) | $filter" "$dir/config.json" >"$WORK/config"
    cp "$WORK/config" "$dir/config.json"
}
cleanup() {
    [ ! -e "$WORK/containerd.pid" ] || kill "$(cat "$WORK/containerd.pid")"
    rm -rf $HOME_DIR
}

systemctl start user@1000
as_user mkdir -p $HOME_DIR
"$TOP/hack/bundle" plain "$WORK/busybox" >/dev/null
cp -a "$WORK/busybox/rootfs" $HOME_DIR/rootfs
chown -R user: $HOME_DIR

test_a_container_runs_as_root_of_the_user_namespace() {
    bundle run . sh -c 'id -u; ls -l /dev/null | cut -c1; echo x >/dev/null'
    chown -R user: $HOME_DIR
    expect_eq "$(kit casemate run --bundle $HOME_DIR/run run | tr '\n' ' ')" '0 c '
}

test_a_mapped_user_of_the_container_is_one_of_the_users_range() {
    bundle ids '.process.user = { uid: 33, gid: 33 }' sh -c 'id -u; cat /proc/self/uid_map'
    expect_eq "$(kit casemate run --bundle $HOME_DIR/ids ids | tr -s ' \n' ' ')" '33 0 1000 1 1 100000 65536 '
}

test_limits_hold_with_either_driver() {
    bundle limits '.linux.resources += { memory: { limit: 67108864 }, pids: { limit: 20 } }' \
        sh -c 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max'
    expect_eq "$(kit casemate run --bundle $HOME_DIR/limits limits | tr '\n' ' ')" '67108864 20 '
    expect_eq "$(kit env DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus \
        casemate --systemd-cgroup run --bundle $HOME_DIR/limits limits | tr '\n' ' ')" '67108864 20 '
}

test_life_goes_on_over_several_commands() {
    bundle life . sleep 1000
    expect_eq "$(kit sh -c "casemate create --bundle $HOME_DIR/life life </dev/null >/dev/null && casemate start life &&
        casemate exec life id -u && casemate pause life && casemate resume life && casemate kill life KILL && sleep 1 &&
        casemate delete life && casemate list -q")" 0
}

# in_kit COMMAND...: in the namespaces of the rootlesskit that containerd runs in.
in_kit() {
    nsenter --user --mount --target "$(cat $HOME_DIR/kit/child_pid)" \
        setpriv --reset-env env XDG_RUNTIME_DIR=/run/user/1000 "$@"
}
rootless_ctr() { in_kit ctr --address $HOME_DIR/run/containerd.sock "$@"; }

test_rootless_containerd_runs_containers() {
    cat >$HOME_DIR/containerd.toml <<TOML
version = 2
root = "$HOME_DIR/root"
state = "$HOME_DIR/run"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$HOME_DIR/run/containerd.sock"
TOML
    chmod 644 $HOME_DIR/containerd.toml
    kit containerd --config $HOME_DIR/containerd.toml >"$WORK/containerd.log" 2>&1 &
    echo $! >"$WORK/containerd.pid"
    eventually rootless_ctr version
    cp /var/lib/vmtest/busybox.tar $HOME_DIR/busybox.tar
    chmod 644 $HOME_DIR/busybox.tar
    rootless_ctr images import $HOME_DIR/busybox.tar >/dev/null
    expect_match "$(rootless_ctr run --rm --runc-binary /usr/local/bin/casemate --cgroup '' $IMAGE one id)" 'uid=0'
}

run_tests
