#!/bin/bash
# Builds, compose, devices by hook and user namespaces with docker, with the runtime under test as the daemon's default.
# Runs as root on the test host of hack/vm.
# slow
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=integration/docker/daemon.bash
. "$HERE/daemon.bash"

for package in "$PREPARED"/*.deb; do dpkg-deb -x "$package" /; done
configure_docker '.'
engine docker "$(docker version --format 'docker {{.Server.Version}}')"
# shellcheck disable=SC2046  # a list of names
cleanup() { docker rm -f $(docker ps -aq); }

feature build

# A step says which filters and privileges it has: casemate's show.
build_in() {
    mkdir -p "$1"
    cat >"$1/Dockerfile" <<'TEXT'
FROM localhost/busybox:latest
RUN grep -E '^(NoNewPrivs|Seccomp_filters)' /proc/self/status >/built && mkdir -p /srv/data && chown 1000:1000 /srv/data
USER 1000
RUN touch /srv/data/file
CMD ["cat", "/built"]
TEXT
}

test_the_classic_builder_needs_a_rule_of_the_node_policy() {
    only_casemate
    build_in "$WORK/classic"
    export DOCKER_BUILDKIT=0
    expect_refusal 'Read-only file system' docker build --no-cache -t localhost/built "$WORK/classic"
    mkdir -p /etc/casemate/policy.d
    cat >/etc/casemate/policy.d/docker-build.toml <<'TEXT'
[[rule]]
name = "steps of docker's classic builder"
match.cgroup-parent = ["casemate-build.slice"]
allow = ["rootfs.writable"]
TEXT
    docker build --no-cache --cgroup-parent casemate-build.slice -t localhost/built "$WORK/classic"
    expect_match "$(docker run --rm --network none localhost/built)" 'NoNewPrivs:.1'
    rm -r /etc/casemate/policy.d/docker-build.toml
    docker rmi localhost/built
    differs 'the classic builder (DOCKER_BUILDKIT=0) needs a rule in the node policy and docker build --cgroup-parent: docs/user/engines/docker.md'
}

test_buildkit_in_the_daemon_runs_the_program_that_is_called_runc() {
    build_in "$WORK/buildkit"
    docker build --progress plain --no-cache -t localhost/built "$WORK/buildkit"
    expect_match "$(docker run --rm --network none localhost/built)" 'NoNewPrivs:.0'
    docker rmi localhost/built
    differs "dockerd's BuildKit runs RUN steps with the program called runc, not with the default runtime"
}

test_buildkit_builds_through_casemate_when_that_is_called_runc() {
    only_casemate
    mkdir -p "$WORK/bin" /etc/systemd/system/docker.service.d
    ln -s "$RUNTIME" "$WORK/bin/runc"
    printf '[Service]\nEnvironment=PATH=%s:/usr/sbin:/usr/bin:/sbin:/bin\n' "$WORK/bin" >/etc/systemd/system/docker.service.d/test.conf
    systemctl daemon-reload
    configure_docker '.'
    build_in "$WORK/buildkit"
    docker build --progress plain --no-cache -t localhost/built "$WORK/buildkit"
    expect_match "$(docker run --rm --network none localhost/built)" 'NoNewPrivs:.1'
    docker rmi localhost/built
    rm /etc/systemd/system/docker.service.d/test.conf
    systemctl daemon-reload
    configure_docker '.'
}

feature compose

test_compose_starts_two_services_that_find_each_other() {
    mkdir -p "$WORK/compose"
    cat >"$WORK/compose/compose.yaml" <<'TEXT'
services:
  backend:
    image: localhost/busybox:latest
    command: sh -c 'cat /run/secrets/word >/tmp/index.html; exec httpd -f -p 80 -h /tmp'
    secrets: [word]
  frontend:
    image: localhost/busybox:latest
    depends_on: [backend]
    command: sh -c 'until wget -qO- http://backend/; do sleep 0.2; done; sleep 1000'
    mem_limit: 64m
secrets:
  word:
    file: ./word
TEXT
    echo named >"$WORK/compose/word"
    docker compose -f "$WORK/compose/compose.yaml" -p pair up -d
    eventually sh -c 'docker logs pair-frontend-1 | grep -q named'
    docker compose -f "$WORK/compose/compose.yaml" -p pair down -t 0
}

feature 'GPU hooks'

# docker adds the prestart hook of this name for --gpus. It does what NVIDIA's does: enters the mount namespace of the
# container before the pivot and mounts a library below its root.
test_a_prestart_hook_mounts_into_the_container_as_that_of_gpus_does() {
    cat >/usr/local/bin/nvidia-container-runtime-hook <<'TEXT'
#!/bin/bash
set -e
exec 2>>/var/tmp/gpu-hook.log
state=$(cat)
pid=$(jq -r .pid <<<"$state")
root=$(jq -r .root.path "$(jq -r .bundle <<<"$state")/config.json")
echo "$1 $pid $root $(jq -c .status <<<"$state")" >>/var/tmp/gpu-hook.log
mkdir -p /run/gpu
cp /usr/lib/os-release /run/gpu/library
nsenter -t "$pid" -m sh -c "touch '$root/usr/libcuda.so' && mount --bind /run/gpu/library '$root/usr/libcuda.so'"
TEXT
    chmod 755 /usr/local/bin/nvidia-container-runtime-hook
    configure_docker '.'
    local out
    if ! out=$(docker run --rm --gpus all --network none $IMAGE cat /usr/libcuda.so 2>&1); then
        cat /var/tmp/gpu-hook.log
        echo "$out"
        return 1
    fi
    expect_match "$out" 'Debian'
}

feature userns-remap

test_the_daemons_user_namespace_works() {
    grep -q dockremap /etc/subuid || echo dockremap:500000:65536 | tee -a /etc/subuid >>/etc/subgid
    id dockremap >/dev/null 2>&1 || useradd -r -U dockremap
    configure_docker '."userns-remap" = "default"'
    docker load -q -i /var/lib/vmtest/busybox.tar
    expect_match "$(docker run --rm --network none $IMAGE cat /proc/self/uid_map)" '0 +500000 +65536'
    docker run -d --name mapped -v kept:/data $IMAGE sh -c 'touch /data/file; sleep 1000'
    expect_eq "$(docker exec mapped id -u)" 0
    eventually docker exec mapped test -e /data/file
    expect_eq "$(docker exec mapped stat -c %u /data/file)" 0
    docker rm -f mapped
    configure_docker '.'
}

run_tests
