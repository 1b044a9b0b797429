#!/bin/bash
# vm: --binary none
# slow
# The steps of OVERRIDE.md, ROOTLESS.md and INSTALL.md, read from these pages. The package is removed in the end.
set -euo pipefail
# shellcheck source=integration/walk/steps.bash
. "$(dirname "$0")/steps.bash"
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"

settled_host

test_the_package_is_installed_as_its_page_says() {
    packages
    paste INSTALL.md install
    casemate --version
    cp /usr/share/doc/casemate/examples/podman.conf /etc/containers/containers.conf.d/casemate.conf 2>/dev/null ||
        snippet podman.md config >/etc/containers/containers.conf.d/casemate.conf
    jq '.runtimes.casemate.path = "/usr/bin/casemate"' /etc/docker/daemon.json >"$WORK/daemon.json"
    cp "$WORK/daemon.json" /etc/docker/daemon.json
    docker_may_start
    systemctl restart docker
}

test_an_annotation_lifts_a_control_under_each_engine() { paste OVERRIDE.md annotation; }

# bundle DIR SCRIPT: a bundle of root's.
bundle() {
    mkdir -p "$1/rootfs/bin"
    cp /bin/busybox "$1/rootfs/bin/"
    ln -sf busybox "$1/rootfs/bin/sh"
    cd "$1"
    rm -f config.json
    casemate spec
    jq --arg script "$2" '.process.terminal = false | .root.readonly = false | .process.args = ["sh", "-c", $script]' config.json >config.new
    mv config.new config.json
}

test_the_command_line_lifts_controls() {
    BUNDLE=/var/tmp/walk-bundle
    bundle $BUNDLE 'echo x >/file && echo written'
    expect_match "$(paste OVERRIDE.md command-line)" written
}

test_a_second_runtime_of_docker_has_another_profile() {
    snippet OVERRIDE.md docker-profiles >"$WORK/second"
    jq -s '.[0] * .[1]' /etc/docker/daemon.json "$WORK/second" >"$WORK/daemon.json"
    cp "$WORK/daemon.json" /etc/docker/daemon.json
    docker_may_start
    systemctl restart docker
    docker run --rm --runtime casemate-baseline busybox touch /x
    expect_refusal 'Read-only file system' docker run --rm --runtime casemate busybox touch /x
    expect_match "$(docker run --rm --runtime site busybox id)" 'uid=0'
}

test_a_script_stands_for_a_runtime_with_another_profile() {
    snippet OVERRIDE.md script >/usr/local/bin/casemate-baseline
    chmod 755 /usr/local/bin/casemate-baseline
    ctr run --rm --runc-binary /usr/local/bin/casemate-baseline $IMAGE walk touch /x
}

test_the_policy_of_its_page_is_one() {
    mkdir -p /var/tmp/walk-policy && cd /var/tmp/walk-policy
    snippet OVERRIDE.md policy >policy.toml
    paste OVERRIDE.md check
    cp -p /etc/casemate/policy.toml kept
    cp policy.toml /etc/casemate/policy.toml
    expect_match "$(podman --runtime casemate run --rm busybox cat /sys/fs/cgroup/memory.max)" 1073741824
    expect_refusal 'forbid' podman --runtime casemate --runtime-flag allow=seccomp.af_alg run --rm busybox true
    cp kept /etc/casemate/policy.toml
}

test_an_ordinary_user_runs_a_container() {
    as_user mkdir -p /home/user/walk/rootfs/bin
    as_user cp /bin/busybox /home/user/walk/rootfs/bin/
    as_user ln -sf busybox /home/user/walk/rootfs/bin/sh
    expect_match "$(type_in ROOTLESS.md bundle 'id\nexit\n' as_user env -C /home/user/walk)" 'uid=0'
}

test_an_ordinary_users_bundle_has_more_ids() {
    cd /home/user/walk
    jq ".process.terminal = false | .process.args = [\"sh\", \"-c\", \"cat /proc/self/uid_map\"] | .linux += { $(snippet ROOTLESS.md ids) }" \
        config.json >"$WORK/config"
    as_user tee /home/user/walk/config.json <"$WORK/config" >/dev/null
    expect_match "$(as_user env -C /home/user/walk casemate run ids)" '^ +1 +100000 +65536$'
}

test_the_entry_point_of_a_container_of_containers_frees_its_cgroup() {
    local text
    text=$(snippet ROOTLESS.md entry-point)
    expect_match "$(docker run --rm --privileged --runtime runc busybox \
        sh -ec "$text; echo +memory >/sys/fs/cgroup/cgroup.subtree_control && echo handed down")" 'handed down'
}

test_the_package_is_removed_and_purged_as_its_page_says() {
    local text
    text=$(snippet INSTALL.md remove)
    bash -e -c "$text" < <(yes)
    [ ! -e /usr/bin/casemate ] && [ ! -e /etc/casemate ] && [ ! -e /var/log/casemate ]
}

run_tests
