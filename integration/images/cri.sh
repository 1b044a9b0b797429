#!/bin/bash
# vm: --mem 2560
# slow
# Ordinary services, unchanged, in pods: what a kubelet asks of containerd, with casemate as the runtime handler.
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=integration/containerd/cri.bash
. "$TOP/integration/containerd/cri.bash"

engine "$(engine_name)" "$(version_of_containerd)"
VOLUMES=image
# shellcheck disable=SC2016  # backquotes are for the table
NEW_PRIVILEGES='the annotation `org.casemate.allow/process.new-privileges: "true"` of the pod'
# shellcheck disable=SC2016
CHROOT='`capabilities.add: [SYS_CHROOT]` and the annotation `org.casemate.allow/capabilities.sys_chroot: "true"` of the pod'
start_containerd
ctr --address "$CRI_SOCKET" -n k8s.io images import "$PREPARED/services.tar" >/dev/null
eventually image_is_known localhost/services:latest
mkdir -p "$WORK/ids"

# Pods only: this containerd serves the tests that follow too.
cleanup() {
    local pod
    for pod in $(cri call ListPodSandbox '{}' | jq -r '.items[].id'); do remove_pod "$pod"; done
}

# pod_filter OPTION...: what the options change in a pod; container_filter likewise.
pod_filter() {
    local option filter=.
    for option in "$@"; do
        case $option in
            allow=*) filter+=" | .annotations[\"org.casemate.allow/${option#allow=}\"] = \"true\"" ;;
        esac
    done
    printf '%s' "$filter"
}
container_filter() {
    local image=$1 option filter
    filter=".image.image = \"localhost/$image:latest\""
    shift
    for option in "$@"; do
        case $option in
            user=*) filter+=" | .linux.security_context.run_as_user = { value: ${option#user=} }" ;;
            cap=*) filter+=" | .linux.security_context.capabilities.add_capabilities = [\"${option#cap=}\"]" ;;
        esac
    done
    printf '%s' "$filter"
}
start() {
    local name=$1 image=$2 pod
    shift 2
    pod=$(new_pod "$name" "$(pod_filter "$@")")
    new_container "$name" "$pod" "$name" "$(container_filter "$image" "$@")" >"$WORK/ids/$name"
    echo "$pod" >"$WORK/ids/$name.pod"
}
once() {
    local image=$1 name asked=() pod status=0
    shift
    while [ "$1" != -- ]; do asked+=("$1") && shift; done
    shift
    name=once-$RANDOM$RANDOM
    pod=$(new_pod $name "$(pod_filter "${asked[@]}")")
    run_in $name "$pod" "$(container_filter "$image" "${asked[@]}")" "$@" || status=$?
    remove_pod "$pod"
    return $status
}
id_of() { cat "$WORK/ids/$1"; }
address() { printf '%s/%s' "$(cri call PodSandboxStatus "{\"pod_sandbox_id\":\"$(cat "$WORK/ids/$1.pod")\"}" | jq -r .status.network.ip)" "$3"; }
inside() { exec_sync "$(id_of "$1")" "${@:2}"; }
logs() { log_of "$(id_of "$1")"; }
gone() { remove_pod "$(cat "$WORK/ids/$1.pod")"; }
init_pid() { "$RUNTIME" --root "$STATE_ROOT" state "$(id_of "$1")" | jq .pid; }
bundle_of() { printf '%s/%s' "$CRI_STATE" "$(id_of "$1")"; }

# shellcheck source=integration/images/services.bash
. "$HERE/services.bash"
