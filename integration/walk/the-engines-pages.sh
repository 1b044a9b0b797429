#!/bin/bash
# vm: --binary none
# slow
# The steps of docs/user/engines, as somebody takes them who has installed the package: what is set up and checked there is read from the pages.
# Under the name `...-with-settings` on a host whose engines have settings, which are in force afterwards.
set -euo pipefail
# shellcheck source=integration/walk/steps.bash
. "$(dirname "$0")/steps.bash"
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"

case $0 in
    *-with-settings.sh) SETTLED=1 && settled_host ;;
    *) SETTLED='' && fresh_host ;;
esac
need_package

# The engine's host-check has nothing to complain about.
is_set_up() {
    local said
    said=$(casemate host-check --engine "$1") || { printf '%s\n' "$said"; return 1; }
}
is_hardened() {
    expect_match "$1" 'NoNewPrivs:.1'
    expect_match "$1" 'Seccomp:.2'
}
only_settled() { [ -n "$SETTLED" ] || skip 'this host has no settings that were there before'; }

test_podman_is_set_up_and_checked_as_its_page_says() {
    local said
    mkdir -p /etc/containers/containers.conf.d
    snippet podman.md config >/etc/containers/containers.conf.d/casemate.conf
    expect_match "$(paste podman.md run)" 'uid=0'
    is_set_up podman
    said=$(paste podman.md check)
    expect_match "$said" '^casemate /usr/bin/casemate$'
    is_hardened "$said"
    expect_match "$said" 'Seccomp_filters:.2'
}

test_what_podman_had_before_is_in_force() {
    only_settled
    expect_eq "$(podman info --format '{{.Host.OCIRuntime.Name}} {{.Host.LogDriver}}')" 'crun k8s-file'
    expect_match "$(podman --runtime site run --rm busybox id)" 'uid=0'
}

test_podman_builds_as_its_page_says() {
    mkdir -p "$WORK/build" && cd "$WORK/build"
    printf 'FROM %s\nRUN echo built >/built\n' $IMAGE >Containerfile
    podman --runtime casemate build -q -t built . >/dev/null
    expect_eq "$(podman --runtime casemate run --rm built cat /built)" built
    paste podman.md build
}

test_docker_is_set_up_and_checked_as_its_page_says() {
    local said
    mkdir -p /etc/docker
    if [ -n "$SETTLED" ]; then paste docker.md merge; else snippet docker.md config >/etc/docker/daemon.json; fi
    expect_match "$(paste docker.md run)" 'uid=0'
    is_set_up docker
    said=$(paste docker.md check)
    is_hardened "$said"
    expect_match "$said" 'Seccomp_filters:.2'
}

test_what_docker_had_before_is_in_force() {
    only_settled
    expect_eq "$(docker info --format '{{.DefaultRuntime}} {{.LoggingDriver}}')" 'runc local'
    expect_match "$(docker run --rm --runtime site busybox id)" 'uid=0'
}

# A step that says whether casemate confines it. What has been built before is not built again: a number makes it another one.
docker_step() {
    mkdir -p "$WORK/$1" && cd "$WORK/$1"
    printf 'FROM busybox\nRUN echo %s && grep NoNewPrivs /proc/self/status && echo built >/built\n' $RANDOM >Dockerfile
}

test_buildkits_steps_are_confined_as_dockers_page_says() {
    docker_step buildkit
    paste docker.md link
    mkdir -p /etc/systemd/system/docker.service.d
    snippet docker.md unit >/etc/systemd/system/docker.service.d/casemate.conf
    systemctl daemon-reload
    docker_may_start
    systemctl restart docker
    expect_match "$(docker build --no-cache --progress plain . 2>&1)" 'NoNewPrivs:.1'
}

test_dockers_classic_builder_works_as_its_page_says() {
    local rule=/etc/casemate/policy.d/docker-build.toml said
    docker_step classic
    jq '."default-runtime" = "casemate"' /etc/docker/daemon.json >"$WORK/daemon.json"
    cp "$WORK/daemon.json" /etc/docker/daemon.json
    docker_may_start
    systemctl restart docker
    snippet docker.md rule >$rule
    said=$(paste docker.md classic 2>&1)
    rm $rule
    expect_match "$said" 'NoNewPrivs:.1'
    expect_eq "$(docker run --rm "$(sed -n 's/^Successfully built //p' <<<"$said")" cat /built)" built
}

cri_is_up() { ctr "$@" plugins ls | grep -qE ' cri .* ok *$'; }

test_containerd_is_set_up_and_checked_as_its_page_says() {
    local config=/etc/containerd/config.toml
    if [ -n "$SETTLED" ]; then
        paste containerd.md append
    elif grep -q '^version = 2' $config 2>/dev/null; then
        # "Merge the tables into the file that is there."
        snippet containerd.md config-1.7 | sed '/^version/d' >>$config
        systemctl restart containerd
    else
        snippet containerd.md config-1.7 >$config
        systemctl restart containerd
    fi
    is_set_up containerd
    eventually cri_is_up
    expect_match "$(paste containerd.md ctr)" 'uid=0'
    is_hardened "$(paste containerd.md check 2>&1)"
}

test_what_containerd_had_before_is_in_force() {
    only_settled
    expect_match "$(containerd config dump)" 'max_container_log_line_size = 4096'
    expect_match "$(containerd config dump)" 'containerd.runtimes.site\]'
}

test_a_container_of_containerds_is_listed_and_judged_as_its_page_says() {
    local name=walk text
    ctr run -d --runc-binary /usr/bin/casemate $IMAGE $name sleep 1000
    text=$(snippet containerd.md list | sed "s/NAME/$name/")
    expect_match "$(bash -c "$text" 2>&1)" 'root.readonly'
    ctr task kill -s KILL $name
    eventually ctr task rm $name
    ctr container rm $name
}

test_containerd_2_starts_with_the_lines_of_its_page() {
    local dir=/run/walk-containerd-2 config=$WORK/containerd-2.toml
    [ -x "$PREPARED/containerd-2/containerd" ] || skip 'there is no containerd 2'
    printf 'version = 3\nroot = "%s/root"\nstate = "%s/state"\n[grpc]\n  address = "%s/sock"\n' $dir $dir $dir >"$config"
    printf '[plugins."io.containerd.internal.v1.opt"]\n  path = "%s/opt"\n' $dir >>"$config"
    snippet containerd.md config-2 | sed '/^version/d' >>"$config"
    cp "$config" /var/tmp/containerd-2.toml
    systemd-run --quiet --collect --unit=walk-containerd-2 --setenv="PATH=$PREPARED/containerd-2:$PATH" \
        "$PREPARED/containerd-2/containerd" --config /var/tmp/containerd-2.toml
    eventually cri_is_up --address $dir/sock
    expect_match "$("$PREPARED/containerd-2/containerd" --config /var/tmp/containerd-2.toml config dump)" "BinaryName = '/usr/bin/casemate'"
    systemctl stop walk-containerd-2
}

# CRI-O is not there: its configuration is what host-check reads.
test_host_check_accepts_the_configuration_of_crios_page() {
    mkdir -p /etc/crio/crio.conf.d
    snippet crio.md config >/etc/crio/crio.conf.d/50-casemate.conf
    is_set_up crio
}

test_the_kubelet_has_ids_of_its_own_as_its_page_says() {
    userdel kubelet 2>/dev/null || true
    paste kubernetes.md ids
    expect_match "$(cat /etc/subuid)" '^kubelet:700055552:7208960$'
    expect_match "$(cat /etc/subgid)" '^kubelet:700055552:7208960$'
}

test_the_rules_of_the_kubernetes_page_are_rules_of_a_policy() {
    local name
    for name in system-pods levels; do
        snippet kubernetes.md $name >/etc/casemate/policy.d/walk.toml
        casemate policy check
        rm /etc/casemate/policy.d/walk.toml
    done
}

run_tests
