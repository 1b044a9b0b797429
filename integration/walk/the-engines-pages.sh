#!/bin/bash
# vm: --binary none
# slow
# The steps of docs/engines, as somebody takes them who has installed the package: what is set up and checked there is read from the pages.
set -euo pipefail
# shellcheck source=integration/walk/steps.bash
. "$(dirname "$0")/steps.bash"
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"
PAGES=$TOP/docs/engines
IMAGE=localhost/busybox:latest

fresh_host
command -v casemate >/dev/null || install_package >/dev/null 2>&1

# The engine's host-check has nothing to complain about.
is_set_up() {
    local said
    said=$(casemate host-check --engine "$1") || { printf '%s\n' "$said"; return 1; }
}
is_hardened() {
    expect_match "$1" 'NoNewPrivs:.1'
    expect_match "$1" 'Seccomp:.2'
}
# step PAGE HEADING NUMBER: one block, with the page's words for an image and a container filled in.
step() {
    local text
    text=$(block "$PAGES/$1.md" "$2" "$3" | sed "s,IMAGE,$IMAGE,g; s,NAME,step$RANDOM,g")
    [ -n "$text" ] || { echo "no such block: $*"; return 1; }
    printf '%s\n' "$text" >&2
    bash -e -c "$text"
}

test_podman_is_set_up_and_checked_as_its_page_says() {
    local said
    mkdir -p /etc/containers/containers.conf.d
    block "$PAGES/podman.md" '## Set up' >/etc/containers/containers.conf.d/casemate.conf
    expect_match "$(step podman '## Set up' 2)" 'uid=0'
    is_set_up podman
    said=$(step podman '## Check' 1)
    expect_match "$said" '^casemate /usr/bin/casemate$'
    is_hardened "$said"
    expect_match "$said" 'Seccomp_filters:.2'
}

test_podman_builds_as_its_page_says() {
    mkdir -p "$WORK/build" && cd "$WORK/build"
    printf 'FROM %s\nRUN echo built >/built\n' $IMAGE >Containerfile
    podman --runtime casemate build -q -t built . >/dev/null
    expect_eq "$(podman --runtime casemate run --rm built cat /built)" built
    step podman '## Building images' 1
}

test_docker_is_set_up_and_checked_as_its_page_says() {
    local said
    mkdir -p /etc/docker
    block "$PAGES/docker.md" '## Set up' >/etc/docker/daemon.json
    systemctl restart docker
    expect_match "$(step docker '## Set up' 2)" 'uid=0'
    is_set_up docker
    said=$(step docker '## Check' 1)
    is_hardened "$said"
    expect_match "$said" 'Seccomp_filters:.2'
}

test_dockers_classic_builder_works_as_its_page_says() {
    local rule=/etc/casemate/policy.d/docker-build.toml
    mkdir -p "$WORK/classic" && cd "$WORK/classic"
    printf 'FROM busybox\nRUN echo built >/built\n' >Dockerfile
    jq '."default-runtime" = "casemate"' /etc/docker/daemon.json >"$WORK/daemon.json"
    cp "$WORK/daemon.json" /etc/docker/daemon.json
    systemctl restart docker
    block "$PAGES/docker.md" '**The classic builder**' >$rule
    block "$PAGES/docker.md" '**The classic builder**' 2 | sed 's/ \.$/ -t built ./' | bash -e
    rm $rule
    expect_eq "$(docker run --rm built cat /built)" built
}

test_containerd_is_set_up_and_checked_as_its_page_says() {
    local config=/etc/containerd/config.toml
    # "Merge the tables into the file that is there."
    block "$PAGES/containerd.md" '### containerd 1.7' >"$WORK/tables"
    if grep -q '^version = 2' $config 2>/dev/null; then sed '/^version/d' "$WORK/tables" >>$config; else cp "$WORK/tables" $config; fi
    systemctl restart containerd
    is_set_up containerd
    expect_match "$(step containerd '### ctr' 1)" 'uid=0'
    is_hardened "$(step containerd '## Check that it works' 1 2>&1)"
}

run_tests
