#!/bin/bash
# An ordinary user calls casemate: with ids of its own, with ranges, inside and outside of what systemd delegated.
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"
only_casemate

HOME_DIR=/home/user/casemate-test
UNITS=/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service

# bundle NAME JQ-FILTER COMMAND...: what `casemate spec --rootless` writes, with another command, in the user's home.
bundle() {
    local dir=$HOME_DIR/$1 filter=$2
    shift 2
    as_user mkdir -p "$dir"
    as_user rm -f "$dir/config.json"
    as_user sh -c "cd $dir && casemate spec --rootless"
    jq -c --argjson args "$(jq -nc '$ARGS.positional' --args -- "$@")" \
        ".process.terminal = false | .process.args = \$args | .root.path = \"$HOME_DIR/rootfs\" | $filter" \
        "$dir/config.json" >"$WORK/config"
    cp "$WORK/config" "$dir/config.json"
}
RANGES='.linux.uidMappings = [{ containerID: 0, hostID: 1000, size: 1 }, { containerID: 1, hostID: 100000, size: 65535 }]
    | .linux.gidMappings = .linux.uidMappings'
cleanup() {
    local id
    for id in $(as_user casemate list -q 2>/dev/null); do as_user casemate delete --force "$id"; done
    rm -rf "$HOME_DIR"
}

systemctl start user@1000
as_user mkdir -p $HOME_DIR
"$TOP/hack/bundle" plain "$WORK/busybox" >/dev/null
cp -a "$WORK/busybox/rootfs" $HOME_DIR/rootfs
chown -R user: $HOME_DIR

test_a_user_is_root_in_a_container_of_its_own() {
    bundle own . sh -c 'id -u; cat /proc/self/uid_map'
    expect_eq "$(as_user casemate run --bundle $HOME_DIR/own own | tr -s ' \n' ' ')" '0 0 1000 1 '
}

test_the_state_is_in_the_users_runtime_directory() {
    bundle state . sleep 1000
    as_user casemate run -d --bundle $HOME_DIR/state state </dev/null >/dev/null 2>&1
    [ -d /run/user/1000/casemate/state ]
    expect_eq "$(casemate list -q | grep -x state || true)" ''
    as_user casemate delete --force state
    [ ! -e /run/user/1000/casemate/state ]
}

test_ranges_of_subuid_are_mapped_by_newuidmap() {
    as_user mkdir -p -m 777 $HOME_DIR/volume
    bundle ranges "$RANGES | .process.user = { uid: 33, gid: 33 }
        | .mounts += [{ destination: \"/mnt\", type: \"bind\", source: \"$HOME_DIR/volume\", options: [\"rbind\"] }]" \
        sh -c 'id -u; touch /mnt/file'
    as_user mkdir -p $HOME_DIR/rootfs/mnt
    expect_eq "$(as_user casemate run --bundle $HOME_DIR/ranges ranges)" 33
    expect_eq "$(stat -c %u:%g $HOME_DIR/volume/file)" 100032:100032
}

test_without_newuidmap_a_range_is_refused_by_name_and_the_own_id_works() {
    bundle ranges "$RANGES" id -u
    expect_refusal 'newuidmap' as_user env PATH=/nonexistent /usr/local/bin/casemate run --bundle $HOME_DIR/ranges ranges
    expect_eq "$(as_user casemate list -q)" ''
    bundle own . id -u
    expect_eq "$(as_user env PATH=/nonexistent /usr/local/bin/casemate run --bundle $HOME_DIR/own own)" 0
}

test_a_range_of_somebody_else_is_refused() {
    bundle foreign '.linux.uidMappings = [{ containerID: 0, hostID: 0, size: 1 }]' id -u
    expect_refusal 'uidMappings|uid_map|newuidmap' as_user casemate run --bundle $HOME_DIR/foreign foreign
}

test_outside_of_the_delegation_a_container_without_limits_runs_where_the_caller_is() {
    bundle free 'del(.linux.resources)' sleep 1000
    as_user casemate run -d --bundle $HOME_DIR/free free </dev/null >/dev/null 2>&1
    expect_eq "$(cat "/proc/$(as_user casemate state free | jq .pid)/cgroup")" "$(cat /proc/self/cgroup)"
    as_user casemate delete --force free
}

test_outside_of_the_delegation_limits_are_refused_with_the_reason() {
    bundle limited '.linux.resources.memory = { limit: 67108864 }' true
    expect_refusal 'rootless needs no limits' as_user casemate run --bundle $HOME_DIR/limited limited
    expect_eq "$(as_user casemate list -q)" ''
}

test_inside_of_the_delegation_limits_hold_without_systemds_driver() {
    bundle limited '.linux.resources.memory = { limit: 67108864 } | .linux.resources.pids = { limit: 20 }' \
        sh -c 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max'
    expect_eq "$(as_delegated casemate run --bundle $HOME_DIR/limited limited | tr '\n' ' ')" '67108864 20 '
}

test_a_login_session_runs_a_container_with_limits_by_systemds_driver() {
    bundle session '.linux.resources.memory = { limit: 67108864 } | .linux.resources.pids = { limit: 20 }' \
        sh -c 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max'
    expect_eq "$(as_login casemate --systemd-cgroup run --bundle $HOME_DIR/session session | tr '\n' ' ')" '67108864 20 '
    expect_eq "$(as_user systemctl --user show --value -p LoadState casemate-session.scope)" not-found
}

test_a_login_sessions_container_is_managed_like_any_other() {
    local scope=$UNITS/user.slice/casemate-managed.scope
    bundle managed "$RANGES" sh -c 'while :; do sleep 1; done'
    as_login casemate --systemd-cgroup run -d --bundle $HOME_DIR/managed managed
    expect_eq "$(cat $scope/cgroup.procs | head -n 1)" "$(as_user casemate state managed | jq .pid)"
    as_login casemate exec -d --user 33:33 managed sleep 777
    eventually pgrep -f 'sleep 777'
    expect_match "$(cat "/proc/$(pgrep -f 'sleep 777')/cgroup")" 'casemate-managed.scope$'
    expect_eq "$(stat -c %u "/proc/$(pgrep -f 'sleep 777')")" 100032
    as_login casemate pause managed
    expect_match "$(as_user casemate state managed)" '"status": "paused"'
    as_login casemate resume managed
    as_login casemate update --memory 50331648 managed
    expect_eq "$(cat $scope/memory.max)" 50331648
    as_login casemate kill managed KILL
    eventually sh -c "[ ! -s $scope/cgroup.procs ]"
    as_login casemate delete managed
    [ ! -e $scope ]
}

test_a_joining_process_meets_the_limits_of_a_login_sessions_container() {
    bundle pids '.linux.resources.pids = { limit: 4 }' sleep 1000
    as_login casemate --systemd-cgroup run -d --bundle $HOME_DIR/pids pids
    expect_match "$(as_login casemate exec pids sh -c 'for i in 1 2 3 4 5 6; do sleep 3 & done' 2>&1 || true)" "can't fork"
    as_login casemate delete --force pids
}

test_without_a_session_bus_systemds_driver_says_so() {
    bundle nobus . true
    expect_refusal 'DBUS_SESSION_BUS_ADDRESS' as_user env -u DBUS_SESSION_BUS_ADDRESS -u XDG_RUNTIME_DIR \
        casemate --root $HOME_DIR/root --systemd-cgroup run --bundle $HOME_DIR/nobus nobus
}

# A container with a systemd of its own (LXC, nspawn): the bus there belongs to the root of its user namespace. What listens here
# is no bus, so the messages tell which of the two was asked.
test_root_of_a_user_namespace_asks_the_systemd_that_is_its_own() {
    bundle whose 'del(.linux.uidMappings, .linux.gidMappings) | .linux.namespaces |= map(select(.type != "user"))' true
    cat >$HOME_DIR/listen.py <<'PY'
import os, socket, sys
bus = socket.socket(socket.AF_UNIX)
bus.bind(sys.argv[1])
bus.listen()
bus.settimeout(20)
if os.fork() == 0:
    os.closerange(0, 3)
    while True:
        bus.accept()[0].close()
PY
    chmod 644 $HOME_DIR/listen.py
    local try="casemate --systemd-cgroup run --bundle $HOME_DIR/whose whose"
    expect_refusal "D-Bus at unix:path=$HOME_DIR/bus" as_user env DBUS_SYSTEM_BUS_ADDRESS=unix:path=$HOME_DIR/bus \
        unshare -r sh -c "python3 $HOME_DIR/listen.py $HOME_DIR/bus; $try"
    expect_refusal 'D-Bus at unix:path=/nonexistent/user' as_user env DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent/user \
        unshare -r sh -c "$try"
}

run_tests
