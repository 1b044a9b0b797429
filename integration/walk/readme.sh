#!/bin/bash
# vm: --binary none
# slow
# The README's steps as a new user takes them, on a host where nothing but the package is installed: what is pasted here is read
# from README.md. Each step goes on where the one before it ended. The host has no network: the image is there already.
set -euo pipefail
# shellcheck source=integration/walk/steps.bash
. "$(dirname "$0")/steps.bash"
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"

fresh_host

test_install() {
    packages
    paste README.md install
    casemate --version
}

test_host_check() {
    paste README.md host-check || casemate host-check --format json | jq .
}

test_try_it_by_hand() {
    mkdir -p /var/tmp/try && cd /var/tmp/try
    expect_match "$(type_in README.md by-hand 'id\nexit\n')" 'uid=0'
}

test_podman() {
    mkdir -p /etc/containers/containers.conf.d
    snippet README.md podman-config >/etc/containers/containers.conf.d/casemate.conf
    expect_match "$(paste README.md podman)" 'uid=0'
    casemate host-check --engine podman || true
}

test_podman_as_an_ordinary_user() {
    expect_match "$(as_user bash -e -c "$(snippet README.md podman)")" 'uid=0'
}

test_overrides() {
    BUNDLE=/var/tmp/try/web
    jq '.process.terminal = false | .root.readonly = false | .process.args = ["sh", "-c", "touch /file && echo written"]' $BUNDLE/config.json >"$WORK/config"
    cp "$WORK/config" $BUNDLE/config.json
    expect_match "$(paste README.md overrides)" 'written'
}

test_containerd() {
    expect_match "$(paste README.md containerd)" 'uid=0'
}

test_docker() {
    mkdir -p /etc/docker
    snippet README.md docker-config >/etc/docker/daemon.json
    expect_match "$(paste README.md docker)" 'uid=0'
}

test_the_containers_of_both_were_hardened() {
    expect_match "$(podman --runtime casemate run --rm busybox grep NoNewPrivs /proc/self/status)" ':.1'
    expect_match "$(docker run --rm --runtime casemate busybox grep NoNewPrivs /proc/self/status)" ':.1'
}

run_tests
