#!/bin/bash
# vm: --binary none
# The packages of hack/package, as an administrator meets them: installed on a host without casemate, upgraded, removed
# while a container runs, and purged. Each test goes on where the one before it ended.
set -euo pipefail
export CASEMATE_RUNTIME=dpkg # there is no casemate yet
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"

IMAGE=localhost/busybox
FIRST=$(echo "$PREPARED"/first/*.deb)
SECOND=$(echo "$PREPARED"/second/*.deb)
EXAMPLES=/usr/share/doc/casemate/examples

# The test host's dpkg leaves documentation out.
install_package() {
    dpkg --path-include='/usr/share/doc/*' --path-include='/usr/share/man/*' --install "$1"
}
ids() { grep '^casemate:' "$1"; }
engine_files() { find /etc/containers /etc/docker /etc/containerd -type f -exec md5sum {} + 2>/dev/null | sort; }
cleanup() { podman rm -fa -t 0; }

test_the_package_is_lintian_clean() {
    expect_eq "$(grep -E '^[EW]:' "$PREPARED/lintian" || true)" ''
}

test_it_installs_by_itself_and_leaves_the_engines_alone() {
    engine_files >/var/tmp/engines-before
    install_package "$FIRST"
    engine_files | cmp - /var/tmp/engines-before
    expect_match "$(casemate --version)" '^casemate version '
    expect_eq "$(stat -c '%a %U:%G' /usr/bin/casemate)" '755 root:root'
    expect_eq "$(dpkg --verify casemate)" ''
}

test_there_is_a_manual_page_for_each_command() {
    local command
    expect_match "$(zcat /usr/share/man/man8/casemate.8.gz)" '^\.TH casemate 8'
    for command in $(casemate --help | awk '/^Commands:/ { on = 1; next } /^$/ { on = 0 } on { print $1 }'); do
        [ "$command" = help ] || zcat "/usr/share/man/man8/casemate-$command.8.gz" >/dev/null
    done
}

test_bash_completes_the_commands() {
    # shellcheck disable=SC2016  # expanded by the inner shell
    expect_match "$(bash -c '. /usr/share/bash-completion/completions/casemate
        COMP_WORDS=(casemate pau) COMP_CWORD=1 COMP_LINE="casemate pau" COMP_POINT=12
        _casemate casemate pau casemate; echo "${COMPREPLY[*]}"')" pause
    [ -s /usr/share/fish/vendor_completions.d/casemate.fish ] && [ -s /usr/share/zsh/vendor-completions/_casemate ]
}

test_the_account_casemate_has_ids_that_nobody_else_has() {
    expect_match "$(getent passwd casemate)" ':/usr/sbin/nologin$'
    expect_eq "$(ids /etc/subuid)" "$(ids /etc/subgid)"
    python3 - /etc/subuid <<'PY'
import sys
lines = [line.strip().split(":") for line in open(sys.argv[1])]
ranges = sorted((int(start), int(start) + int(count), name) for name, start, count in lines)
assert all(a[1] <= b[0] for a, b in zip(ranges, ranges[1:])), ranges
ours = next(r for r in ranges if r[2] == "casemate")
assert ours[0] % 65536 == 0 and (ours[1] - ours[0]) % 65536 == 0 and ours[1] - ours[0] >= 16 * 65536, ours
PY
}

test_the_apparmor_profiles_are_loaded() {
    local file
    ls /etc/apparmor.d/casemate-* >/dev/null 2>&1 || skip "this commit has no AppArmor profile"
    for file in /etc/apparmor.d/casemate-*; do
        grep -q "^${file##*/} (enforce)" /sys/kernel/security/apparmor/profiles
    done
}

test_configuring_again_changes_nothing() {
    cat /etc/subuid /etc/subgid /etc/passwd >/var/tmp/before
    dpkg-reconfigure casemate 2>/dev/null || /var/lib/dpkg/info/casemate.postinst configure 1.0.0-1
    cat /etc/subuid /etc/subgid /etc/passwd | cmp - /var/tmp/before
}

test_the_audit_log_is_written_and_rotated() {
    local log=/var/log/casemate/audit.jsonl
    expect_eq "$(stat -c '%a %U:%G' /var/log/casemate)" '700 root:root'
    printf '[audit]\nfile = "%s"\nrequired = true\n' $log >/etc/casemate/policy.d/audit.toml
    podman --runtime /usr/bin/casemate run --rm --network=none $IMAGE true
    expect_eq "$(jq -r 'select(."evt.type" == "create") | ."evt.res"' $log)" SUCCESS
    LD_LIBRARY_PATH=$PREPARED/logrotate "$PREPARED/logrotate/logrotate" --force --state "$WORK/state" /etc/logrotate.d/casemate
    [ ! -e $log ] && [ -s $log.1 ]
    podman --runtime /usr/bin/casemate run --rm --network=none $IMAGE true
    expect_eq "$(stat -c '%a %U:%G' $log)" '600 root:root'
    rm /etc/casemate/policy.d/audit.toml
}

test_podman_runs_a_container_with_the_example() {
    mkdir -p /etc/containers/containers.conf.d
    cp $EXAMPLES/podman.conf /etc/containers/containers.conf.d/casemate.conf
    expect_match "$(podman --runtime casemate run --rm --network=none $IMAGE id)" 'uid=0'
    expect_match "$(podman --runtime casemate run --rm --network=none $IMAGE grep NoNewPrivs /proc/self/status)" '1$'
}

test_docker_runs_a_container_with_the_example() {
    jq -s '.[0] * .[1]' /etc/docker/daemon.json $EXAMPLES/docker-daemon.json >/var/tmp/daemon.json
    cp /var/tmp/daemon.json /etc/docker/daemon.json
    systemctl restart docker
    expect_match "$(docker run --rm --runtime casemate --network=none $IMAGE grep NoNewPrivs /proc/self/status)" '1$'
}

test_containerd_runs_a_container() {
    systemctl start containerd
    expect_match "$(ctr run --rm --runc-binary /usr/bin/casemate $IMAGE:latest install-test id)" 'uid=0'
}

cri_is_up() { ctr plugins ls | grep -qE ' cri .* ok *$'; }

test_containerd_keeps_its_cri_with_the_lines_of_host_check() {
    expect_status 1 casemate host-check --engine containerd --format json >"$WORK/check"
    jq -r '.engines[0].checks[].snippet // empty' "$WORK/check" | grep -v '^version' >>/etc/containerd/config.toml
    systemctl restart containerd
    eventually cri_is_up
    casemate host-check --engine containerd
}

test_an_upgrade_keeps_the_edited_policy() {
    echo '# ours' >>/etc/casemate/policy.toml
    ids /etc/subuid >/var/tmp/ids
    install_package "$SECOND" </dev/null
    expect_match "$(dpkg-query -W casemate)" '1\.0\.1-1'
    expect_match "$(tail -n 1 /etc/casemate/policy.toml)" '^# ours'
    ids /etc/subuid | cmp - /var/tmp/ids
}

test_a_removal_leaves_running_containers_alone() {
    local pid said
    podman --runtime casemate run -d --name stays --network=none $IMAGE sleep 1000
    pid=$(podman inspect -f '{{.State.Pid}}' stays)
    said=$(dpkg --remove casemate 2>&1)
    expect_match "$said" 'containers.conf.d/casemate.conf still names /usr/bin/casemate'
    expect_match "$said" '1 containers in /run/casemate go on'
    [ ! -e /usr/bin/casemate ]
    expect_match "$(tr '\0' ' ' <"/proc/$pid/cmdline")" '^sleep 1000'
    expect_match "$(ids /etc/subuid)" casemate
}

test_containers_are_managed_again_after_the_next_installation() {
    install_package "$SECOND"
    expect_match "$(podman exec stays id)" 'uid=0'
    podman stop -t 0 stays
    podman rm stays
    expect_eq "$(casemate list -q)" ''
}

test_a_purge_takes_the_configuration_and_the_ids() {
    dpkg --purge casemate
    [ ! -e /etc/casemate ] && [ ! -e /etc/logrotate.d/casemate ] && [ ! -e /var/log/casemate ] && [ ! -e /usr/lib/casemate ]
    expect_status 1 ids /etc/subuid
    expect_status 1 ids /etc/subgid
    expect_match "$(cat /etc/subuid)" '^user:100000:65536'
}

test_the_rpm_has_the_same_program_and_files() {
    local tree=$PREPARED/rpm
    expect_match "$("$tree/usr/bin/casemate" --version)" '^casemate version '
    [ -s "$tree/etc/casemate/policy.toml" ] && [ -s "$tree/etc/logrotate.d/casemate" ] && [ -d "$tree/var/log/casemate" ] && [ -s "$tree/usr/share/man/man8/casemate.8.gz" ]
    "$tree/usr/lib/casemate/setup-host" --root "$WORK" ids
    expect_match "$(cat "$WORK/etc/subuid")" '^casemate:[0-9]+:[0-9]+$'
}

run_tests
