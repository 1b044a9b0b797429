#!/bin/bash
# podman without root, as the ordinary user `user` of the test host of hack/vm.
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"

IMAGE=localhost/busybox:latest

engine 'podman rootless' "$(podman --version)"

# A login session without a login: the user's systemd, its bus and its runtime directory.
as_user() {
    setpriv --reuid 1000 --regid 1000 --init-groups --reset-env env -C /home/user \
        XDG_RUNTIME_DIR=/run/user/1000 DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus "$@"
}
run() { as_user podman --runtime "$CASEMATE_RUNTIME" run --rm --network=none "$@"; }
cleanup() { as_user podman rm -fa -t 0; }

feature run quick

test_a_user_runs_a_container() {
    expect_match "$(run $IMAGE id)" 'uid=0'
}

feature limits quick

test_the_memory_limit_holds_in_the_users_own_slice() {
    expect_eq "$(run --memory 64m $IMAGE cat /sys/fs/cgroup/memory.max)" 67108864
}

feature exec quick

test_exec_stop_and_rm_work_without_root() {
    as_user podman --runtime "$CASEMATE_RUNTIME" run -d --name mine --network=none $IMAGE sleep 1000
    expect_match "$(as_user podman exec mine id)" 'uid=0'
    as_user podman stop -t 0 mine
    as_user podman rm mine
}

feature '--userns=keep-id' quick

test_a_kept_user_id_is_the_users_own() {
    expect_eq "$(run --userns=keep-id $IMAGE id -u)" 1000
}

systemctl start user@1000
run_tests
