#!/bin/bash
# Pods from the YAML of Kubernetes, by podman as root, through the runtime under test. podman makes the pod's first container from
# an image of its own: one program, no directories, a read-only /dev. Runs on the test host of hack/vm.
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"

IMAGE=localhost/busybox:latest
engine podman "$(podman --version)"

pm() { podman --runtime "$CASEMATE_RUNTIME" "$@"; }
gone() { pm rm -f -t 0 "$@" >/dev/null; }
cleanup() { pm pod rm -fa -t 0; pm rm -fa -t 0; pm volume rm -fa; }
status() { pm inspect -f '{{.State.Status}}' "$1"; }
is() { [ "$(status "$1")" = "$2" ]; }

# duo FILE: two containers that share network and volumes, one of them limited, and a published port. They end at once when told to.
duo() {
    mkdir -p "$WORK/data"
    echo played >"$WORK/data/word"
    cat >"$1" <<TEXT
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { key: value }
---
apiVersion: v1
kind: Secret
metadata: { name: hidden }
data: { word: aGlkZGVu }
---
apiVersion: v1
kind: Pod
metadata: { name: duo }
spec:
  containers:
  - name: web
    image: $IMAGE
    command: [sh, -c, 'cp /data/word /tmp/index.html; trap "exit 0" TERM; httpd -f -p 80 -h /tmp & wait']
    ports: [{ containerPort: 80, hostPort: 8090 }]
    volumeMounts: [{ name: data, mountPath: /data, readOnly: true }, { name: scratch, mountPath: /scratch }]
  - name: side
    image: $IMAGE
    command: [sh, -c, 'echo shared >/scratch/file; trap "exit 0" TERM; until wget -qO /tmp/got http://127.0.0.1/; do sleep 0.2; done; cat /tmp/got; sleep 1000 & wait']
    volumeMounts:
    - { name: scratch, mountPath: /scratch }
    - { name: settings, mountPath: /settings }
    - { name: hidden, mountPath: /hidden }
    resources: { limits: { memory: 64Mi } }
    securityContext: { runAsUser: 0, readOnlyRootFilesystem: true }
  volumes:
  - { name: data, hostPath: { path: $WORK/data, type: Directory } }
  - { name: scratch, emptyDir: {} }
  - { name: settings, configMap: { name: settings } }
  - { name: hidden, secret: { secretName: hidden } }
TEXT
}

feature kube

test_two_containers_of_a_pod_share_network_and_volumes_and_publish_a_port() {
    duo "$WORK/duo.yaml"
    pm kube play "$WORK/duo.yaml"
    eventually curl -sf -m 2 http://127.0.0.1:8090/
    expect_eq "$(curl -sf -m 5 http://127.0.0.1:8090/)" played
    eventually sh -c 'podman logs duo-side | grep -q played'
    expect_eq "$(pm exec duo-web cat /scratch/file)" shared
    expect_eq "$(pm exec duo-side cat /settings/key /hidden/word /sys/fs/cgroup/memory.max | tr '\n' ' ')" 'valuehidden67108864 '
    expect_eq "$(pm exec duo-web readlink /proc/self/ns/net)" "$(pm exec duo-side readlink /proc/self/ns/net)"
    expect_status 1 pm exec duo-web touch /data/file
    pm kube down "$WORK/duo.yaml"
    expect_eq "$(pm ps -aq)$(pm pod ps -q)" ''
}

test_the_containers_of_a_played_pod_are_hardened() {
    only_casemate
    duo "$WORK/duo.yaml"
    pm kube play "$WORK/duo.yaml"
    local infra
    infra=$(pm pod inspect duo -f '{{.InfraContainerID}}')
    for id in duo-web duo-side "$infra"; do
        expect_match "$(cat "/proc/$(pm inspect -f '{{.State.Pid}}' "$id")/status")" '^NoNewPrivs:[[:space:]]1$'
    done
    # The pod's first container has a /dev that is read-only, with the terminals and the shared memory in it.
    expect_match "$(cat "/proc/$(pm inspect -f '{{.State.Pid}}' "$infra")/mountinfo")" ' /dev ro,nosuid'
    expect_match "$(cat "/proc/$(pm inspect -f '{{.State.Pid}}' "$infra")/mountinfo")" ' /dev/pts '
    pm kube down "$WORK/duo.yaml"
}

test_what_a_container_was_started_with_is_generated_and_played_back() {
    mkdir -p "$WORK/volume"
    pm run -d --name kubed -p 8091:80 --memory 64m -v "$WORK/volume:/data" $IMAGE sh -c 'trap "exit 0" TERM; touch /data/file; sleep 1000 & wait' >/dev/null
    pm kube generate kubed >"$WORK/pod.yaml"
    gone kubed
    rm "$WORK/volume/file"
    pm kube play "$WORK/pod.yaml"
    eventually is kubed-pod-kubed running
    eventually test -e "$WORK/volume/file"
    expect_eq "$(pm exec kubed-pod-kubed cat /sys/fs/cgroup/memory.max)" 67108864
    expect_eq "$(pm inspect -f '{{.OCIRuntime}}' kubed-pod-kubed)" "$CASEMATE_RUNTIME"
    pm kube down "$WORK/pod.yaml"
    expect_status 1 pm container exists kubed-pod-kubed
}

test_a_played_pod_can_be_replaced_stopped_and_started() {
    duo "$WORK/duo.yaml"
    pm kube play "$WORK/duo.yaml"
    pm kube play --replace "$WORK/duo.yaml"
    pm pod stop -t 5 duo
    is duo-web exited
    pm pod start duo
    eventually curl -sf -m 2 http://127.0.0.1:8090/
    pm kube down "$WORK/duo.yaml"
}

test_the_restart_policy_of_a_pod_holds() {
    cat >"$WORK/once.yaml" <<TEXT
apiVersion: v1
kind: Pod
metadata: { name: once }
spec:
  restartPolicy: Never
  initContainers:
  - { name: first, image: $IMAGE, command: [sh, -c, 'echo made >/shared/file'], volumeMounts: [{ name: shared, mountPath: /shared }] }
  containers:
  - { name: main, image: $IMAGE, command: [cat, /shared/file], volumeMounts: [{ name: shared, mountPath: /shared }] }
  volumes: [{ name: shared, emptyDir: {} }]
TEXT
    pm kube play "$WORK/once.yaml"
    eventually is once-main exited
    expect_eq "$(pm logs once-main)" made
    pm kube down "$WORK/once.yaml"
}

feature 'read-only root'

test_a_container_without_any_writable_tmpfs_runs() {
    pm run --rm --network none --read-only --read-only-tmpfs=false $IMAGE sh -c '! touch /dev/file 2>/dev/null && test -d /dev/pts && echo x >/dev/null'
}

run_tests
