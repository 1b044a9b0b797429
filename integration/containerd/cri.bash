# shellcheck shell=bash
# What the programs of the Kubernetes Container Runtime Interface share: a containerd of their own with casemate as the
# default runtime, and words for what a kubelet asks of it. A program whose name begins with `cri2-` is a link to one
# that begins with `cri-` and is run with containerd 2 in place of Debian 13's containerd.

case $(basename "$0") in
    cri2-*) CONTAINERD=2 PATH=$PREPARED/containerd-2:$PATH ;;
    *) CONTAINERD=1 ;;
esac
if [ $CONTAINERD = 2 ] && { [ -n "${CASEMATE_QUICK:-}" ] || [ ! -x "$PREPARED/containerd-2/containerd" ]; }; then
    printf 'TAP version 13\n1..0\n'
    exit 0
fi
CRI_DIR=/run/casemate-cri
CRI_SOCKET=$CRI_DIR/containerd.sock
CRI_STATE=$CRI_DIR/state/io.containerd.runtime.v2.task/k8s.io
STATE_ROOT=/run/containerd/runc/k8s.io
IMAGE=localhost/busybox:latest
export PATH CRI_SOCKET CRI_STATE STATE_ROOT IMAGE

version_of_containerd() {
    local suite=13
    [ $CONTAINERD = 1 ] || suite=sid
    containerd --version | awk -v suite=$suite '{ sub(/[~+].*/, "", $3); print "containerd " $3 " of Debian " suite }'
}
engine_name() { if [ $CONTAINERD = 2 ]; then echo 'containerd 2 CRI'; else echo 'containerd CRI'; fi; }
only_containerd_2() { [ $CONTAINERD = 2 ] || no "containerd 1.7 does not have it; containerd 2 does"; }

# handler NAME SYSTEMD: the configuration of a runtime handler; the lines that docs/user/engines/containerd.md gives.
handler() {
    local table=$1.containerd.runtimes.$2
    cat <<CONFIG
[plugins.$table]
  runtime_type = "io.containerd.runc.v2"
  pod_annotations = ["org.casemate.*", "org.casemate.*/*"]
  [plugins.$table.options]
    BinaryName = "${RUNTIME:?}"
    SystemdCgroup = $3
CONFIG
}

config_of_containerd() {
    local runtime='"io.containerd.grpc.v1.cri"' images='' plugins='bin_dir = "/usr/lib/cni"'
    [ $CONTAINERD = 1 ] ||
        runtime='"io.containerd.cri.v1.runtime"' images='"io.containerd.cri.v1.images"' plugins='bin_dirs = ["/usr/lib/cni"]'
    printf 'version = %s\nroot = "/var/lib/casemate-cri/%s"\nstate = "%s/state"\n' $((CONTAINERD + 1)) $CONTAINERD $CRI_DIR
    printf '[grpc]\n  address = "%s"\n[plugins."io.containerd.internal.v1.opt"]\n  path = "%s/opt"\n' $CRI_SOCKET $CRI_DIR
    if [ $CONTAINERD = 1 ]; then
        printf '[plugins.%s]\n  sandbox_image = "localhost/pause:latest"\n' "$runtime"
    else
        printf '[plugins.%s.pinned_images]\n  sandbox = "localhost/pause:latest"\n' "$images"
    fi
    printf '[plugins.%s.cni]\n  %s\n  conf_dir = "%s/net.d"\n' "$runtime" "$plugins" $CRI_DIR
    printf '[plugins.%s.containerd]\n  default_runtime_name = "casemate"\n' "$runtime"
    handler "$runtime" casemate true
    handler "$runtime" casemate-cgroupfs false
}

pod_network() {
    cat <<'CNI'
{ "cniVersion": "1.0.0", "name": "casemate-test", "plugins": [
  { "type": "bridge", "bridge": "casemate-test0", "isGateway": true, "hairpinMode": true,
    "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.88.77.0/24" }]], "routes": [{ "dst": "0.0.0.0/0" }] } },
  { "type": "portmap", "capabilities": { "portMappings": true } } ] }
CNI
}

start_containerd() {
    mkdir -p $CRI_DIR/net.d "$WORK/logs" "$WORK/pods"
    config_of_containerd >$CRI_DIR/config.toml
    pod_network >$CRI_DIR/net.d/10-test.conflist
    systemd-run --quiet --collect --unit=casemate-cri -p Delegate=yes -p KillMode=process --setenv="PATH=$PATH" \
        "$(command -v containerd)" --config $CRI_DIR/config.toml
    eventually cri call Version '{}'
    ctr --address $CRI_SOCKET -n k8s.io images import "$PREPARED/pause.tar" >/dev/null
    ctr --address $CRI_SOCKET -n k8s.io images import /var/lib/vmtest/busybox.tar >/dev/null
    eventually image_is_known localhost/pause:latest
    eventually image_is_known $IMAGE
}

# containerd tells its interface of an import a moment later.
image_is_known() { cri call ListImages '{}' | jq -e --arg name "$1" '.images[] | select(.repo_tags[] == $name)'; }

# After a test that failed: containerd and the pod that all tests share stay for the next one.
tidy() {
    local id
    for id in $(cri call ListContainers '{}' | jq -r '.containers[].id'); do cri call RemoveContainer "{\"container_id\":\"$id\"}"; done
    for id in $(cri call ListPodSandbox '{}' | jq -r '.items[].id'); do
        [ "$id" = "${BASE:-}" ] || remove_pod "$id"
    done
}

cleanup() {
    local id
    for id in $(cri call ListPodSandbox '{}' | jq -r '.items[].id'); do remove_pod "$id"; done
    systemctl stop casemate-cri
    ip link del casemate-test0
}

cri() { "$PREPARED/cri-client" --socket $CRI_SOCKET "$@"; }

# new_pod NAME [FILTER]: a running pod; prints its id. FILTER is for jq and changes what a kubelet would send for an ordinary
# pod. HANDLER names the runtime handler.
new_pod() {
    local name=$1 parent=/kubepods.slice
    [ "${HANDLER:-casemate}" = casemate ] || parent=/kubepods-test
    jq -nc --arg name "$name" --arg logs "$WORK/logs/$name" --arg parent $parent '{
        metadata: { name: $name, uid: "uid-\($name)", namespace: "tests" },
        hostname: $name, log_directory: $logs,
        linux: { cgroup_parent: $parent, security_context: {
            namespace_options: { pid: "CONTAINER" }, seccomp: { profile_type: "RuntimeDefault" } } }
    } | '"${2:-.}" >"$WORK/pods/$name"
    jq -c --arg handler "${HANDLER:-casemate}" '{ config: ., runtime_handler: $handler }' "$WORK/pods/$name" |
        cri call RunPodSandbox | jq -r .pod_sandbox_id
}

remove_pod() {
    cri call StopPodSandbox "{\"pod_sandbox_id\":\"$1\"}" >/dev/null
    cri call RemovePodSandbox "{\"pod_sandbox_id\":\"$1\"}" >/dev/null
}

# create_container POD-NAME POD NAME FILTER COMMAND...: a container that is not started; prints its id. What FILTER changes
# is what a kubelet sends for an ordinary container.
create_container() {
    local pod_name=$1 pod=$2 name=$3 filter=$4
    shift 4
    jq -nc --arg name "$name" --arg image $IMAGE --args '{
        metadata: { name: $name }, image: { image: $image }, command: $ARGS.positional, log_path: "\($name).log",
        linux: { resources: {}, security_context: {
            namespace_options: { pid: "CONTAINER" }, seccomp: { profile_type: "RuntimeDefault" },
            masked_paths: ["/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"],
            readonly_paths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"] } }
    } | '"$filter" -- "$@" >"$WORK/container.$name"
    jq -nc --arg pod "$pod" --slurpfile config "$WORK/container.$name" --slurpfile sandbox "$WORK/pods/$pod_name" \
        '{ pod_sandbox_id: $pod, config: $config[0], sandbox_config: $sandbox[0] }' | cri call CreateContainer | jq -r .container_id
}

start_container() { cri call StartContainer "{\"container_id\":\"$1\"}" >/dev/null; }
stop_container() { cri call StopContainer "{\"container_id\":\"$1\",\"timeout\":${2:-0}}" >/dev/null; }
remove_container() { cri call RemoveContainer "{\"container_id\":\"$1\"}" >/dev/null; }
# status ID FIELD: a field of the container's status.
status() { cri call ContainerStatus "{\"container_id\":\"$1\"}" | jq -r ".status.$2"; }
is_in_state() { [ "$(status "$1" state)" = "CONTAINER_$2" ]; }
log_of() { sed -E 's/^[^ ]+ (stdout|stderr) [FP] //' "$(status "$1" log_path)"; }
init_pid() { "$RUNTIME" --root $STATE_ROOT state "$1" | jq .pid; }

# new_container POD-NAME POD NAME FILTER COMMAND...: a container that runs; prints its id.
new_container() {
    local id
    # Tests of refusals call this in a condition, where a failure ends nothing by itself.
    id=$(create_container "$@") || return
    start_container "$id" || return
    echo "$id"
}

# The pod that tests use which need none of their own: `in_base FILTER COMMAND...` runs a command in a container of it, gives
# what it prints and its status.
BASE=''
in_base() { run_in base "$BASE" "$@"; }

run_in() {
    local id status name
    name=run-$(cut -c 1-8 /proc/sys/kernel/random/uuid)
    id=$(new_container "$1" "$2" "$name" "${@:3}") || return
    eventually is_in_state "$id" EXITED
    status=$(status "$id" exit_code)
    log_of "$id"
    remove_container "$id"
    return "$status"
}

# A container of the base pod that sleeps; prints its id.
sleeper() { new_container base "$BASE" "$1" "${2:-.}" sleep 1000; }

# exec_sync ID COMMAND...: gives what the command prints, and its status.
exec_sync() {
    local answer
    answer=$(jq -nc --arg id "$1" '{ container_id: $id, cmd: $ARGS.positional, timeout: 60 }' --args -- "${@:2}" | cri call ExecSync)
    jq -rj '.stderr | @base64d' <<<"$answer" >&2
    jq -rj '.stdout | @base64d' <<<"$answer"
    return "$(jq .exit_code <<<"$answer")"
}
