#!/bin/bash
# vm: --binary none
# slow
# The README's steps as a new user takes them, on a host where nothing but the package is installed: what is pasted here is read
# from README.md. Each step goes on where the one before it ended. The host has no network: the image is there already.
set -euo pipefail
export CASEMATE_RUNTIME=dpkg # there is no casemate yet
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"

# block START [NUMBER]: the indented block, the first by default, behind the first line of the README that begins with START.
block() {
    awk -v start="$1" -v wanted="${2:-1}" '
        !found { found = index($0, start) == 1; next }
        /^    / { if (!inside) { inside = 1; n++ } if (n == wanted) print substr($0, 5); next }
        /^$/ && inside { if (n == wanted) print ""; next }
        { if (inside && n == wanted) exit; inside = 0 }' "$PREPARED/README.md" | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}'
}
paste_and_run() {
    local text
    text=$(block "$@")
    [ -n "$text" ] || { echo "the README has no such block: $*"; return 1; }
    printf '%s\n' "$text" >&2
    bash -e -c "$text"
}

# podman finds an image of the host by its short name, docker wants that to be the whole one.
systemctl start user@1000 containerd
docker tag localhost/busybox busybox
# A new docker installation has no configuration; the test host's turns networks off.
rm -f /etc/docker/daemon.json
# Other runtimes than the engine's own default are not needed.
rm -f /usr/local/bin/casemate /etc/containers/containers.conf.d/*casemate*

test_install() {
    local line
    line=$(block '## Install' | grep '^apt install' | sed 's/ *#.*//')
    # No mirror can be reached, which is no matter: the package needs nothing.
    mkdir -p "$WORK/target"
    cp -r "$PREPARED/packages" "$WORK/target/"
    cd "$WORK"
    bash -e -c "DEBIAN_FRONTEND=noninteractive ${line/apt install/apt-get install -y}"
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
    block '## Try it' | sed 's/^casemate run web.*/script -qec "casemate run web" \/dev\/null <"$WORK\/input"/' >"$WORK/steps"
    expect_match "$(bash -e "$WORK/steps" 2>&1)" 'uid=0'
}

test_podman() {
    mkdir -p /etc/containers/containers.conf.d
    block '**podman**' >/etc/containers/containers.conf.d/casemate.conf
    expect_match "$(paste_and_run '**podman**' 2)" 'uid=0'
    casemate host-check --engine podman || true
}

test_podman_as_an_ordinary_user() {
    expect_match "$(as_user bash -e -c "$(block '**podman**' 2)")" 'uid=0'
}

test_containerd() {
    expect_match "$(paste_and_run '**containerd**')" 'uid=0'
}

test_docker() {
    mkdir -p /etc/docker
    block '**docker**' >/etc/docker/daemon.json
    expect_match "$(paste_and_run '**docker**' 2)" 'uid=0'
}

test_the_containers_of_all_three_were_hardened() {
    local engine
    for engine in "podman --runtime casemate" "docker"; do
        expect_eq "$($engine run --rm ${engine:+$([ "$engine" = docker ] && echo --runtime casemate)} busybox \
            grep NoNewPrivs /proc/self/status | tr -d '\r' | tr -s ' \t' ' ')" 'NoNewPrivs: 1'
    done
}

run_tests
