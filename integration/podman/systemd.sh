#!/bin/bash
# An image whose first program is Debian's systemd, with journald, logind and the bus, under podman as root. Runs on the test host of
# hack/vm.
# slow
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"

IMAGE=localhost/systemd:latest
engine podman "$(podman --version)"
"$HERE/systemd-image.py" | podman import -q --change 'CMD ["/sbin/init"]' --change 'STOPSIGNAL 37' - $IMAGE >/dev/null

pm() { podman --runtime "$CASEMATE_RUNTIME" "$@"; }
gone() { pm rm -f -t 0 "$@" >/dev/null; }
cleanup() { pm rm -fa -t 0; }
# What systemd needs beyond the profile, in one line.
LIFTED=(--annotation org.casemate.allow/capabilities.setpcap=true --annotation org.casemate.allow/rootfs.writable=true)
is_active() { pm exec "$1" systemctl is-active "$2"; }
# boot NAME OPTION...: a container that has come up as far as it does.
boot() {
    pm run -d --name "$1" --network none "${@:2}" $IMAGE >/dev/null
    eventually is_active "$1" basic.target
}

feature systemd

test_the_services_of_debians_systemd_run_with_two_overrides() {
    local unit
    boot booted "${LIFTED[@]}"
    for unit in systemd-journald dbus systemd-logind; do
        eventually is_active booted $unit
    done
    expect_match "$(pm exec booted journalctl -b --no-pager)" 'systemd\[1\]'
    pm exec booted systemd-cat -t payload echo spoken
    eventually sh -c 'podman exec booted journalctl -t payload | grep -q spoken'
    # podman ends it with the signal that systemd takes as an order to power off.
    pm stop -t 30 booted
    expect_eq "$(pm inspect -f '{{.State.ExitCode}}' booted)" 0
    gone booted
}

test_systemd_limits_its_units_within_the_containers_own_cgroup() {
    boot limited "${LIFTED[@]}" --memory 512m
    eventually is_active limited dbus
    # shellcheck disable=SC2016  # expanded in the container
    expect_eq "$(pm exec limited systemd-run -q --wait --pipe --unit small -p MemoryMax=32M sh -c \
        'cat /proc/self/cgroup /sys/fs/cgroup$(sed s/0::// /proc/self/cgroup)/memory.max' | tr '\n' ' ')" '0::/system.slice/small.service 33554432 '
    expect_eq "$(pm exec limited cat /proc/1/cgroup)" 0::/init.scope
    # On the host all of it is below the container's scope, whose limit the container cannot change.
    local scope
    scope=/sys/fs/cgroup$(sed 's/^0:://; s,/container/.*\|/init.scope$,,' "/proc/$(pm inspect -f '{{.State.Pid}}' limited)/cgroup")
    expect_match "$scope" 'libpod-[0-9a-f]*.scope'
    expect_eq "$(cat "$scope/memory.max")" 536870912
    pm exec limited sh -c 'echo max >/sys/fs/cgroup/memory.max' 2>/dev/null || true
    expect_eq "$(cat "$scope/memory.max")" 536870912
    gone limited
}

test_systemds_root_is_nobody_on_the_host_and_its_run_a_tmpfs() {
    only_casemate
    boot mapped "${LIFTED[@]}"
    [ "$(pm exec mapped cat /proc/1/uid_map | awk '$1 == 0 { print $2 }')" != 0 ]
    for path in /run /run/lock /tmp /var/log/journal; do
        expect_match "$(pm exec mapped cat /proc/1/mountinfo)" " $path rw,nosuid,nodev.* tmpfs "
    done
    expect_eq "$(pm exec mapped stat -c %u /sys/fs/cgroup)" 0
    expect_match "$(cat "/proc/$(pm inspect -f '{{.State.Pid}}' mapped)/status")" '^NoNewPrivs:[[:space:]]1$'
    gone mapped
}

test_without_the_overrides_it_comes_up_and_the_services_that_need_them_fail() {
    only_casemate
    boot strict
    expect_status 3 is_active strict dbus
    expect_eq "$(pm exec strict systemctl show --value -p ExecMainStatus systemd-journald)" 218
    pm stop -t 30 strict
    expect_eq "$(pm inspect -f '{{.State.ExitCode}}' strict)" 0
    gone strict
    differs "systemd itself runs; Debian's journald, dbus and logind need CAP_SETPCAP and a writable root: --annotation org.casemate.allow/capabilities.setpcap=true --annotation org.casemate.allow/rootfs.writable=true"
}

run_tests
