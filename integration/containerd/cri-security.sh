#!/bin/bash
# What the securityContext of a pod asks of the runtime, and what the default profile makes of it.
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=integration/containerd/cri.bash
. "$(dirname "$0")/cri.bash"

engine "$(engine_name)" "$(version_of_containerd)"
start_containerd
BASE=$(new_pod base)
CONTEXT=.linux.security_context

# capability_bits ID SET: which capabilities the first process has.
capability_bits() { sed -n "s/^Cap$2:\t//p" "/proc/$(init_pid "$1")/status"; }
status_line() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$(init_pid "$1")/status"; }

# with_annotations PAIRS: a filter for pods and containers alike; kubelets hand the annotations of the pod to the sandbox.
with_annotations() { printf '.annotations = { %s }' "$1"; }

# node_policy LINE...: the policy of the node for the rest of the test.
node_policy() {
    mkdir -p /etc/casemate
    printf '%s\n' "$@" >/etc/casemate/policy.toml
    trap 'rm -f /etc/casemate/policy.toml' EXIT
}

feature user

test_user_group_and_further_groups_are_those_of_the_security_context() {
    expect_match "$(in_base "$CONTEXT |= (.run_as_user = { value: 1234 } | .run_as_group = { value: 2345 } | .supplemental_groups = [3456, 4567])" id)" \
        '^uid=1234 gid=2345 groups=(2345,)?3456,4567'
}

test_a_user_can_be_given_by_name() {
    expect_match "$(in_base "$CONTEXT.run_as_username = \"user\"" id)" '^uid=1000\(user\) gid=1000\(user\)'
}

test_a_user_beyond_65535_is_possible() {
    expect_match "$(in_base "$CONTEXT |= (.run_as_user = { value: 1000680000 } | .run_as_group = { value: 1000680000 })" id)" '^uid=1000680000 gid=1000680000'
}

test_a_container_without_a_user_writes_where_a_user_may() {
    expect_eq "$(in_base "$CONTEXT.run_as_user = { value: 1000 }" sh -c 'id -u; touch /tmp/file; stat -c %u /tmp/file' | tr '\n' ' ')" '1000 1000 '
}

feature capabilities quick

test_the_default_capabilities_are_those_of_the_profile() {
    only_casemate
    local id
    id=$(sleeper ordinary)
    # chown, dac_override, fowner, fsetid, kill, setgid, setuid, net_bind_service
    expect_eq "$(capability_bits "$id" Eff) $(capability_bits "$id" Bnd)" '00000000000004fb 00000000000004fb'
}

test_dropped_capabilities_are_gone_and_added_ones_that_the_profile_grants_are_there() {
    local id
    id=$(sleeper reduced "$CONTEXT.capabilities = { drop_capabilities: [\"ALL\"], add_capabilities: [\"NET_BIND_SERVICE\"] }")
    expect_eq "$(capability_bits "$id" Eff) $(capability_bits "$id" Bnd)" '0000000000000400 0000000000000400'
}

test_an_added_capability_beyond_the_profile_is_left_out() {
    only_casemate
    local id
    id=$(sleeper excessive "$CONTEXT.capabilities = { add_capabilities: [\"SYS_ADMIN\", \"NET_ADMIN\"] }")
    expect_eq "$(capability_bits "$id" Eff)" 00000000000004fb
    differs 'capabilities beyond those of the profile need an override'
}

feature 'no new privileges'

test_no_new_privileges_is_set_without_being_asked() {
    only_casemate
    local id
    id=$(sleeper plain)
    expect_eq "$(status_line "$id" NoNewPrivs)" 1
}

test_allow_privilege_escalation_false_is_kept() {
    local id
    id=$(sleeper strict "$CONTEXT.no_new_privs = true")
    expect_eq "$(status_line "$id" NoNewPrivs)" 1
}

feature seccomp

test_runtime_default_is_stacked_with_the_filter_of_casemate() {
    only_casemate
    local id
    id=$(sleeper filtered)
    expect_eq "$(status_line "$id" Seccomp) $(status_line "$id" Seccomp_filters)" '2 2'
}

test_unconfined_still_has_the_filter_of_casemate() {
    only_casemate
    local id
    id=$(sleeper unfiltered "$CONTEXT.seccomp.profile_type = \"Unconfined\"")
    expect_eq "$(status_line "$id" Seccomp) $(status_line "$id" Seccomp_filters)" '2 1'
    expect_status 1 exec_sync "$id" unshare -U true
    differs "casemate's own filter stays in force without an override"
}

test_a_profile_of_the_node_is_loaded() {
    mkdir -p /var/lib/kubelet/seccomp
    cat >/var/lib/kubelet/seccomp/no-mkdir.json <<'JSON'
{ "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
  "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28 }] }
JSON
    local said
    said=$(in_base "$CONTEXT.seccomp = { profile_type: \"Localhost\", localhost_ref: \"localhost//var/lib/kubelet/seccomp/no-mkdir.json\" }" \
        sh -c 'mkdir /tmp/new || touch /tmp/new' 2>&1) ||
        said=$(in_base "$CONTEXT.seccomp = { profile_type: \"Localhost\", localhost_ref: \"/var/lib/kubelet/seccomp/no-mkdir.json\" }" \
            sh -c 'mkdir /tmp/new || touch /tmp/new' 2>&1)
    expect_match "$said" 'No space left on device'
}

feature apparmor

test_the_default_profile_of_containerd_confines() {
    [ -e /sys/kernel/security/apparmor/profiles ] || skip "no AppArmor on this host"
    expect_match "$(in_base "$CONTEXT.apparmor.profile_type = \"RuntimeDefault\"" cat /proc/self/attr/current)" '^cri-containerd.apparmor.d \(enforce\)'
}

test_a_profile_of_the_node_confines() {
    [ -e /sys/kernel/security/apparmor/profiles ] || skip "no AppArmor on this host"
    apparmor_parser -r <<'PROFILE'
profile casemate-cri-test flags=(attach_disconnected) {
  file,
  signal,
  capability,
  deny /tmp/secret w,
}
PROFILE
    local said
    said=$(in_base "$CONTEXT.apparmor = { profile_type: \"Localhost\", localhost_ref: \"casemate-cri-test\" }" \
        sh -c 'cat /proc/self/attr/current; touch /tmp/free && ! touch /tmp/secret')
    expect_match "$said" '^casemate-cri-test \(enforce\)'
    expect_match "$said" '/tmp/secret: Permission denied'
}

feature 'read-only root'

test_a_read_only_root_is_read_only_and_its_volumes_are_not() {
    mkdir -p "$WORK/writable"
    in_base "$CONTEXT.readonly_rootfs = true | .mounts = [{ container_path: \"/data\", host_path: \"$WORK/writable\" }]" \
        sh -c '! touch /file 2>/dev/null && touch /data/file'
    [ -e "$WORK/writable/file" ]
}

test_the_root_is_read_only_without_being_asked_and_temporary_directories_are_writable() {
    only_casemate
    in_base . sh -c '! touch /file /etc/file 2>/dev/null && touch /tmp/file /run/file /var/tmp/file'
    differs 'the root is read-only unless overridden; /tmp, /var/tmp and /run are writable'
}

feature 'masked paths'

test_masked_and_read_only_paths_are_covered() {
    expect_eq "$(in_base . sh -c 'wc -c </proc/keys; ls /sys/firmware | wc -l; echo 1 2>/dev/null >/proc/sys/kernel/printk || echo refused' | tr '\n' ' ')" '0 0 refused '
}

test_a_path_of_the_pod_is_masked_too() {
    expect_eq "$(in_base "$CONTEXT.masked_paths += [\"/etc/group\"]" sh -c 'wc -c </etc/group')" 0
}

test_proc_mount_unmasked_stays_masked() {
    only_casemate
    expect_eq "$(in_base "$CONTEXT |= (.masked_paths = [] | .readonly_paths = [])" sh -c 'wc -c </proc/keys')" 0
    differs 'procMount: Unmasked needs an override'
}

feature volumes

test_a_read_only_volume_cannot_be_written() {
    mkdir -p "$WORK/locked"
    in_base ".mounts = [{ container_path: \"/data\", host_path: \"$WORK/locked\", readonly: true }]" sh -c '! touch /data/file 2>/dev/null'
}

test_a_single_file_can_be_mounted_as_secrets_and_config_maps_are() {
    echo secret >"$WORK/secret"
    chmod 400 "$WORK/secret"
    expect_eq "$(in_base ".mounts = [{ container_path: \"/run/secrets/token\", host_path: \"$WORK/secret\", readonly: true }]" cat /run/secrets/token)" secret
}

test_a_secret_on_a_tmpfs_is_readable_for_root_of_the_container() {
    mkdir -p "$WORK/tmpfs"
    mount -t tmpfs tmpfs "$WORK/tmpfs"
    echo token >"$WORK/tmpfs/token"
    chmod 400 "$WORK/tmpfs/token"
    expect_eq "$(in_base ".mounts = [{ container_path: \"/secrets\", host_path: \"$WORK/tmpfs\", readonly: true }]" cat /secrets/token)" token
    umount "$WORK/tmpfs"
}

test_a_later_mount_of_the_host_arrives_with_host_to_container() {
    local id
    mkdir -p "$WORK/slave/later"
    mount --bind "$WORK/slave" "$WORK/slave"
    mount --make-shared "$WORK/slave"
    id=$(sleeper receiver ".mounts = [{ container_path: \"/data\", host_path: \"$WORK/slave\", propagation: \"PROPAGATION_HOST_TO_CONTAINER\" }]")
    mount -t tmpfs tmpfs "$WORK/slave/later"
    touch "$WORK/slave/later/here"
    expect_eq "$(exec_sync "$id" ls /data/later)" here
    remove_running "$id"
    umount -R "$WORK/slave"
}

remove_running() {
    stop_container "$1"
    remove_container "$1"
}

test_the_volumes_of_a_kubelet_are_where_it_keeps_them() {
    local id pod=/var/lib/kubelet/pods/uid-base containers
    containers=$pod/containers/app
    mkdir -p $pod/volumes/kubernetes.io~{empty-dir/scratch,projected/token,configmap/settings} $containers
    chmod 777 $pod/volumes/kubernetes.io~empty-dir/scratch
    mount -t tmpfs tmpfs $pod/volumes/kubernetes.io~projected/token
    echo token >$pod/volumes/kubernetes.io~projected/token/token
    echo setting >$pod/volumes/kubernetes.io~configmap/settings/key
    echo '127.0.0.1 from-kubelet' >$pod/etc-hosts
    : >$containers/0a1b2c
    chmod 666 $containers/0a1b2c
    id=$(sleeper kubelet ".mounts = [
        { container_path: \"/scratch\", host_path: \"$pod/volumes/kubernetes.io~empty-dir/scratch\" },
        { container_path: \"/var/run/secrets/kubernetes.io/serviceaccount\", host_path: \"$pod/volumes/kubernetes.io~projected/token\", readonly: true },
        { container_path: \"/config\", host_path: \"$pod/volumes/kubernetes.io~configmap/settings\", readonly: true },
        { container_path: \"/etc/hosts\", host_path: \"$pod/etc-hosts\" },
        { container_path: \"/dev/termination-log\", host_path: \"$containers/0a1b2c\" }]")
    expect_eq "$(exec_sync "$id" sh -c 'cd /var/run/secrets/kubernetes.io/serviceaccount && cat token /config/key; grep -c from-kubelet /etc/hosts' | tr '\n' ' ')" 'token setting 1 '
    exec_sync "$id" sh -c 'touch /scratch/file && echo last words >/dev/termination-log'
    expect_eq "$(cat $containers/0a1b2c)" 'last words'
    remove_running "$id"
    umount $pod/volumes/kubernetes.io~projected/token
}

test_the_volumes_of_another_pod_are_refused() {
    local pod=/var/lib/kubelet/pods/uid-other
    only_casemate
    mkdir -p $pod/volumes/kubernetes.io~empty-dir/scratch
    expect_refusal 'denied by profile hardened: .*mounts.engine-data' in_base ".mounts = [
        { container_path: \"/scratch\", host_path: \"$pod/volumes/kubernetes.io~empty-dir/scratch\" }]" true
}

feature hostPath

test_the_socket_of_the_engine_and_directories_of_the_host_need_an_override() {
    only_casemate
    local source
    systemctl start containerd
    for source in host-root:/ host-etc:/etc host-proc:/proc containerd-sock:/run/containerd/containerd.sock; do
        expect_refusal "denied by profile hardened: .*mounts.${source%%:*}" in_base ".mounts = [{ container_path: \"/host\", host_path: \"${source#*:}\" }]" true
    done
    differs 'hostPath volumes of the engine, of /etc, /proc and similar places need an override'
}

test_an_ordinary_directory_of_the_host_can_be_mounted() {
    mkdir -p /srv/data
    echo served >/srv/data/file
    expect_eq "$(in_base '.mounts = [{ container_path: "/data", host_path: "/srv/data" }]' cat /data/file)" served
}

feature 'recursive read-only mounts'

test_a_mount_below_a_recursively_read_only_volume_cannot_be_written_either() {
    only_containerd_2
    mkdir -p "$WORK/above/below"
    mount -t tmpfs tmpfs "$WORK/above/below"
    in_base ".mounts = [{ container_path: \"/data\", host_path: \"$WORK/above\", readonly: true, recursive_read_only: true }]" \
        sh -c '! touch /data/file 2>/dev/null && ! touch /data/below/file 2>/dev/null'
    umount "$WORK/above/below"
}

feature 'runtime handler features'

test_status_says_what_the_handler_can() {
    only_containerd_2
    local features
    features=$(cri call Status '{}' | jq -c '.runtime_handlers[] | select(.name == "casemate") | .features')
    expect_eq "$features" '{"recursive_read_only_mounts":true,"user_namespaces":true}'
}

feature 'user namespaces'

USERNS='{ mode: "POD", uids: [{ host_id: 1000000, container_id: 0, length: 65536 }], gids: [{ host_id: 1000000, container_id: 0, length: 65536 }] }'

test_a_pod_with_host_users_false_has_the_mapping_of_the_kubelet() {
    local pod one two map="$CONTEXT.namespace_options.userns_options = $USERNS"
    pod=$(new_pod mapped "$map")
    one=$(new_container mapped "$pod" one "$map" sleep 1000)
    two=$(new_container mapped "$pod" two "$map" sleep 1000)
    expect_match "$(cat "/proc/$(init_pid "$one")/uid_map")" '^ +0 +1000000 +65536$'
    expect_eq "$(exec_sync "$one" readlink /proc/self/ns/user)" "$(exec_sync "$two" readlink /proc/self/ns/user)"
    expect_eq "$(exec_sync "$one" sh -c 'id -u; touch /tmp/file; stat -c %u /tmp/file; stat -c %u /bin/busybox' | tr '\n' ' ')" '0 0 0 '
    remove_pod "$pod"
}

test_two_pods_with_host_users_false_and_different_ranges_run_side_by_side() {
    local one two map="$CONTEXT.namespace_options.userns_options = $USERNS"
    one=$(new_pod first "$map")
    two=$(new_pod second "${map//1000000/2000000}")
    expect_eq "$(run_in second "$two" "${map//1000000/2000000}" cat /proc/self/uid_map | awk '{ print $2 }')" 2000000
    remove_pod "$one"
    remove_pod "$two"
}

feature 'automatic user namespaces'

host_ids() { awk '{ print $2 }' "/proc/$(init_pid "$1")/uid_map"; }

test_the_containers_of_a_pod_have_one_range_and_other_pods_another() {
    only_casemate
    local one two other pod
    one=$(sleeper range-one)
    two=$(sleeper range-two)
    pod=$(new_pod elsewhere)
    other=$(new_container elsewhere "$pod" other . sleep 1000)
    [ "$(host_ids "$one")" -ge 65536 ]
    expect_eq "$(host_ids "$one")" "$(host_ids "$two")"
    expect_eq "$(host_ids "$one")" "$(host_ids "$BASE")"
    [ "$(host_ids "$one")" != "$(host_ids "$other")" ]
    remove_pod "$pod"
}

test_root_of_the_container_is_nobody_in_particular_on_the_host() {
    only_casemate
    local id
    id=$(sleeper rooted)
    expect_eq "$(exec_sync "$id" sh -c 'id -u; stat -c %u /bin/busybox /tmp /proc/self/' | tr '\n' ' ')" '0 0 0 0 '
    [ "$(status_line "$id" Uid | cut -f 1)" -ge 65536 ]
}

test_a_pod_on_the_ids_of_the_host_needs_an_override() {
    only_casemate
    local pod id
    node_policy 'permit = ["@default", "userns.host"]'
    pod=$(new_pod hosted "$(with_annotations '"org.casemate.allow/userns.host": "true"')")
    id=$(new_container hosted "$pod" hosted . sleep 1000)
    expect_eq "$(host_ids "$id")" 0
    remove_pod "$pod"
}

feature 'idmapped mounts'

test_a_volume_of_a_pod_with_host_users_false_is_mapped() {
    only_containerd_2
    local pod id map="$CONTEXT.namespace_options.userns_options = $USERNS"
    mkdir -p "$WORK/idmapped"
    pod=$(new_pod volumes "$map")
    id=$(new_container volumes "$pod" writer "$map | .mounts = [{ container_path: \"/data\", host_path: \"$WORK/idmapped\",
        uidMappings: [{ host_id: 1000000, container_id: 0, length: 65536 }], gidMappings: [{ host_id: 1000000, container_id: 0, length: 65536 }] }]" sleep 1000)
    exec_sync "$id" sh -c 'touch /data/root /data/user; chown 1000:1000 /data/user'
    expect_eq "$(stat -c %u:%g "$WORK/idmapped/root" "$WORK/idmapped/user" | tr '\n' ' ')" '0:0 1000:1000 '
    remove_pod "$pod"
}

feature overrides quick

test_an_annotation_of_the_pod_overrides_one_control_in_its_containers() {
    only_casemate
    local pod id
    pod=$(new_pod writable "$(with_annotations '"org.casemate.allow/rootfs.writable": "true"')")
    id=$(new_container writable "$pod" writer . sleep 1000)
    exec_sync "$id" touch /file
    expect_eq "$(status_line "$id" NoNewPrivs)" 1
    expect_eq "$(capability_bits "$id" Eff)" 00000000000004fb
    remove_pod "$pod"
}

test_an_annotation_that_the_node_does_not_permit_is_refused_with_the_way_to_permit_it() {
    only_casemate
    expect_refusal 'annotations org.casemate.allow/devices.all: the node policy does not permit devices.all .*casemate policy permit devices.all' \
        new_pod greedy "$(with_annotations '"org.casemate.allow/devices.all": "true"')"
}

test_a_misspelt_annotation_is_an_error() {
    only_casemate
    expect_refusal 'rootfs.writeable.*unknown' new_pod misspelt "$(with_annotations '"org.casemate.allow/rootfs.writeable": "true"')"
}

test_the_node_can_permit_what_a_pod_asks_for() {
    only_casemate
    local pod id
    node_policy 'permit = ["@default", "capabilities.sys_ptrace"]'
    pod=$(new_pod permitted "$(with_annotations '"org.casemate.allow/capabilities.sys_ptrace": "true"')")
    id=$(new_container permitted "$pod" debugger "$CONTEXT.capabilities = { add_capabilities: [\"SYS_PTRACE\"] }" sleep 1000)
    expect_eq "$(capability_bits "$id" Eff)" 00000000000804fb
    remove_pod "$pod"
}

test_a_rule_of_the_node_gives_a_kubernetes_namespace_another_profile() {
    only_casemate
    local pod id
    node_policy '[[rule]]' 'name = "system pods"' 'match.namespace = ["kube-system"]' 'profile = "privileged"'
    pod=$(new_pod system '.metadata.namespace = "kube-system"')
    id=$(new_container system "$pod" agent "$CONTEXT.capabilities = { add_capabilities: [\"SYS_ADMIN\"] }" sleep 1000)
    exec_sync "$id" touch /file
    expect_match "$(capability_bits "$id" Eff)" '^00000000a82425fb$'
    remove_pod "$pod"
    in_base . sh -c '! touch /file 2>/dev/null'
}

test_a_pod_can_ask_for_a_stricter_profile() {
    only_casemate
    local strict
    strict=$(with_annotations '"org.casemate.profile": "restricted"')
    expect_refusal 'restricted' new_pod strict-root "$strict | .linux.security_context.run_as_user = { value: 0 }"
}

feature 'host namespaces'

HOST_NETWORK='.linux.security_context.namespace_options.network = "NODE"'

test_a_pod_on_the_network_of_the_host_needs_the_permission_of_the_node() {
    only_casemate
    local pod id
    expect_refusal 'namespaces.host-network' new_pod hostly "$HOST_NETWORK | del(.hostname)"
    node_policy 'permit = ["@default", "namespaces.host-*"]'
    pod=$(new_pod hostly "$HOST_NETWORK | del(.hostname) | .annotations = { \"org.casemate.allow/namespaces.host-network\": \"true\", \"org.casemate.allow/namespaces.host-uts\": \"true\" }")
    id=$(new_container hostly "$pod" server "$HOST_NETWORK" sleep 1000)
    expect_eq "$(exec_sync "$id" readlink /proc/self/ns/net)" "$(readlink /proc/self/ns/net)"
    remove_pod "$pod"
    differs 'hostNetwork, hostPID and hostIPC need an annotation that the node policy permits'
}

test_a_pod_with_the_processes_of_the_host_needs_the_permission_of_the_node() {
    only_casemate
    expect_refusal 'namespaces.host-pid' new_pod all-seeing '.linux.security_context.namespace_options.pid = "NODE"'
    expect_refusal 'namespaces.host-ipc' new_pod all-hearing '.linux.security_context.namespace_options.ipc = "NODE"'
}

feature privileged

PRIVILEGED='.linux.security_context.privileged = true'

test_a_privileged_container_is_narrowed_to_the_profile() {
    only_casemate
    local pod id
    pod=$(new_pod mighty "$PRIVILEGED")
    id=$(new_container mighty "$pod" mighty "$PRIVILEGED" sleep 1000)
    expect_eq "$(capability_bits "$id" Eff) $(status_line "$id" NoNewPrivs)" '00000000000004fb 1'
    expect_status 1 exec_sync "$id" sh -c 'mount -t tmpfs tmpfs /tmp'
    remove_pod "$pod"
    differs 'the profile reduces privileged: true; a rule of the node policy gives chosen namespaces the profile privileged'
}

test_a_privileged_container_is_privileged_where_the_node_says_so() {
    only_casemate
    local pod id
    node_policy '[[rule]]' 'match.namespace = ["kube-system"]' 'profile = "privileged"'
    pod=$(new_pod driver "$PRIVILEGED | .metadata.namespace = \"kube-system\"")
    id=$(new_container driver "$pod" driver "$PRIVILEGED" sleep 1000)
    exec_sync "$id" sh -c 'mount -t tmpfs tmpfs /mnt 2>/dev/null || { mkdir -p /mnt; mount -t tmpfs tmpfs /mnt; }'
    exec_sync "$id" test -e /dev/kmsg
    remove_pod "$pod"
}

feature 'hardened by default'

test_nothing_of_the_kernel_can_be_configured_from_inside() {
    only_casemate
    local id
    id=$(sleeper locked)
    expect_status 1 exec_sync "$id" sh -c 'mount -t tmpfs tmpfs /tmp'
    expect_status 1 exec_sync "$id" sh -c 'echo 0 >/proc/sys/kernel/randomize_va_space'
    expect_match "$(exec_sync "$id" cat /sys/fs/cgroup/pids.max)" '^[0-9]+$'
    expect_match "$(exec_sync "$id" sh -c 'ulimit -c')" '^0$'
}

run_tests
