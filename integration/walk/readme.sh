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
README=$PREPARED/README.md

fresh_host

test_install() {
    install_package
    casemate --version
}

test_host_check() {
    casemate host-check || casemate host-check --format json | jq .
}

test_try_it_by_hand() {
    mkdir -p "$WORK/try" && cd "$WORK/try"
    # The shell of the example waits for input: it gets some.
    printf 'id\nexit\n' >"$WORK/input"
    # shellcheck disable=SC2016  # expanded when the steps run
    block "$README" '## Try it' | sed 's/^casemate run web.*/script -qec "casemate run web" \/dev\/null <"$WORK\/input"/' >"$WORK/steps"
    expect_match "$(bash -e "$WORK/steps" 2>&1)" 'uid=0'
}

test_podman() {
    mkdir -p /etc/containers/containers.conf.d
    block "$README" '**podman**' >/etc/containers/containers.conf.d/casemate.conf
    expect_match "$(paste_and_run "$README" '**podman**' 2)" 'uid=0'
    casemate host-check --engine podman || true
}

test_podman_as_an_ordinary_user() {
    expect_match "$(as_user bash -e -c "$(block "$README" '**podman**' 2)")" 'uid=0'
}

test_containerd() {
    expect_match "$(paste_and_run "$README" '**containerd**')" 'uid=0'
}

test_docker() {
    mkdir -p /etc/docker
    block "$README" '**docker**' >/etc/docker/daemon.json
    expect_match "$(paste_and_run "$README" '**docker**' 2)" 'uid=0'
}

test_the_containers_of_all_three_were_hardened() {
    local engine
    for engine in "podman --runtime casemate" "docker"; do
        expect_eq "$($engine run --rm ${engine:+$([ "$engine" = docker ] && echo --runtime casemate)} busybox \
            grep NoNewPrivs /proc/self/status | tr -d '\r' | tr -s ' \t' ' ')" 'NoNewPrivs: 1'
    done
}

run_tests
