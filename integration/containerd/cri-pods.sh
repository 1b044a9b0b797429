#!/bin/bash
# What a kubelet asks of a pod: its network, its shared namespaces, its volumes, its logs and its end.
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=integration/containerd/cri.bash
. "$(dirname "$0")/cri.bash"

engine "$(engine_name)" "$(version_of_containerd)"
start_containerd
BASE=$(new_pod base)

feature pods quick

test_a_pod_is_ready_until_it_is_stopped_and_then_gone() {
    local pod ready
    pod=$(new_pod short)
    ready=$(cri call PodSandboxStatus "{\"pod_sandbox_id\":\"$pod\"}")
    expect_eq "$(jq -r '.status.state + " " + .status.runtime_handler' <<<"$ready")" 'SANDBOX_READY casemate'
    cri call StopPodSandbox "{\"pod_sandbox_id\":\"$pod\"}"
    expect_eq "$(cri call PodSandboxStatus "{\"pod_sandbox_id\":\"$pod\"}" | jq -r .status.state)" SANDBOX_NOTREADY
    cri call RemovePodSandbox "{\"pod_sandbox_id\":\"$pod\"}"
    expect_eq "$(cri call ListPodSandbox '{}' | jq --arg id "$pod" '[.items[] | select(.id == $id)] | length')" 0
}

test_the_containers_of_a_pod_share_network_ipc_and_host_name_but_not_processes() {
    local one two kind
    one=$(sleeper one)
    two=$(sleeper two)
    for kind in net ipc uts; do
        expect_eq "$(exec_sync "$one" readlink /proc/self/ns/$kind)" "$(exec_sync "$two" readlink /proc/self/ns/$kind)"
    done
    for kind in pid mnt cgroup; do
        [ "$(exec_sync "$one" readlink /proc/self/ns/$kind)" != "$(exec_sync "$two" readlink /proc/self/ns/$kind)" ]
    done
    expect_eq "$(exec_sync "$one" hostname)" base
    expect_eq "$(exec_sync "$one" readlink /proc/1/exe)" /bin/busybox
}

test_the_containers_of_a_pod_share_dev_shm() {
    local one two
    one=$(sleeper shm-one)
    two=$(sleeper shm-two)
    exec_sync "$one" sh -c 'echo through-shm >/dev/shm/file'
    expect_eq "$(exec_sync "$two" cat /dev/shm/file)" through-shm
    exec_sync "$two" sh -c 'echo back >/dev/shm/file && rm /dev/shm/file'
}

test_a_volume_that_two_containers_share_belongs_to_the_same_users_in_both() {
    local mount one two
    mkdir -p "$WORK/shared"
    chmod 777 "$WORK/shared"
    mount=".mounts = [{ container_path: \"/data\", host_path: \"$WORK/shared\" }]"
    one=$(sleeper volume-one "$mount")
    two=$(sleeper volume-two "$mount | .linux.security_context |= (.run_as_user = { value: 1000 } | .run_as_group = { value: 1000 })")
    exec_sync "$one" sh -c 'echo from-root >/data/root; chmod 600 /data/root; echo for-user >/data/user; chown 1000:1000 /data/user; chmod 600 /data/user'
    expect_eq "$(exec_sync "$two" cat /data/user)" for-user
    expect_status 1 exec_sync "$two" cat /data/root
    exec_sync "$two" sh -c 'echo from-user >/data/new; chmod 640 /data/new'
    expect_eq "$(exec_sync "$one" stat -c '%u:%g %a' /data/new)" '1000:1000 640'
    expect_eq "$(exec_sync "$one" cat /data/new)" from-user
    # On the host the files have the ids that they have in the pod, as volumes of every other runtime do.
    expect_eq "$(stat -c %u:%g "$WORK/shared/root" "$WORK/shared/new" | tr '\n' ' ')" '0:0 1000:1000 '
}

test_containers_of_a_pod_that_shares_processes_see_and_signal_each_other() {
    local pod trapper sender shared='.linux.security_context.namespace_options.pid = "POD"'
    pod=$(new_pod together "$shared")
    trapper=$(new_container together "$pod" trapper "$shared" \
        sh -c 'trap "echo got-it; exit 4" USR1; printf trapper >/proc/self/comm; echo ready; while :; do sleep 0.1; done')
    sender=$(new_container together "$pod" sender "$shared" sleep 1000)
    expect_match "$(exec_sync "$sender" ps)" ' 1 .*/pause'
    eventually sh -c "grep -q ready $WORK/logs/together/trapper.log"
    exec_sync "$sender" killall -USR1 trapper
    eventually is_in_state "$trapper" EXITED
    expect_eq "$(status "$trapper" exit_code)" 4
    expect_match "$(log_of "$trapper")" got-it
    remove_pod "$pod"
}

test_a_debug_container_sees_the_processes_of_its_target() {
    local target
    target=$(sleeper target)
    expect_match "$(in_base ".linux.security_context.namespace_options = { pid: \"TARGET\", target_id: \"$target\" }" ps)" ' 1 .*sleep 1000'
}

test_a_pod_whose_containers_still_run_can_be_stopped() {
    local pod id
    pod=$(new_pod busy)
    id=$(new_container busy "$pod" worker . sleep 1000)
    cri call StopPodSandbox "{\"pod_sandbox_id\":\"$pod\"}"
    is_in_state "$id" EXITED
    expect_eq "$(status "$id" exit_code)" 137
    remove_pod "$pod"
}

test_a_pod_that_was_removed_leaves_no_state_and_no_cgroup() {
    local pod id
    pod=$(new_pod tidy)
    id=$(new_container tidy "$pod" worker . sleep 1000)
    [ -d "$STATE_ROOT/$pod" ]
    [ -d "$STATE_ROOT/$id" ]
    remove_pod "$pod"
    [ ! -e "$STATE_ROOT/$pod" ]
    [ ! -e "$STATE_ROOT/$id" ]
    expect_eq "$(find /sys/fs/cgroup -type d \( -name "*$pod*" -o -name "*$id*" \))" ''
    expect_eq "$(systemctl list-units --all --no-legend "cri-containerd-$pod*" "cri-containerd-$id*")" ''
}

feature 'systemd driver'

test_containers_stand_in_scopes_of_the_slice_of_the_pod() {
    local id
    id=$(sleeper scoped)
    expect_eq "$(cat "/proc/$(init_pid "$id")/cgroup")" "0::/kubepods.slice/cri-containerd-$id.scope"
    expect_match "$(systemctl is-active "cri-containerd-$id.scope")" '^active$'
}

feature 'cgroupfs driver'

test_the_cgroupfs_driver_puts_containers_below_the_parent_of_the_pod() {
    local pod id HANDLER=casemate-cgroupfs
    pod=$(new_pod plain)
    id=$(new_container plain "$pod" limited '.linux.resources.memory_limit_in_bytes = 33554432' sleep 1000)
    expect_eq "$(cat "/proc/$(init_pid "$id")/cgroup")" "0::/kubepods-test/$id"
    expect_eq "$(exec_sync "$id" cat /sys/fs/cgroup/memory.max)" 33554432
    cri call UpdateContainerResources "{\"container_id\":\"$id\",\"linux\":{\"memory_limit_in_bytes\":67108864}}"
    expect_eq "$(exec_sync "$id" cat /sys/fs/cgroup/memory.max)" 67108864
    expect_match "$(cri call ContainerStats "{\"container_id\":\"$id\"}" | jq .stats.memory.usage_bytes.value)" '^[1-9]'
    remove_pod "$pod"
}

feature 'pod network'

address_of() { cri call PodSandboxStatus "{\"pod_sandbox_id\":\"$1\"}" | jq -r .status.network.ip; }

test_a_server_on_port_80_answers_another_pod() {
    local server address client
    server=$(new_pod server)
    address=$(address_of "$server")
    new_container server "$server" web . sh -c 'echo page >/tmp/index.html; exec httpd -f -p 80 -h /tmp'
    client=$(sleeper client)
    eventually exec_sync "$client" wget -q -T 2 -O - "http://$address/"
    expect_eq "$(exec_sync "$client" wget -q -O - "http://$address/")" page
    remove_pod "$server"
}

test_a_server_on_port_80_that_is_not_root_needs_the_sysctl_of_kubernetes() {
    local server address
    server=$(new_pod low '.linux.sysctls = { "net.ipv4.ip_unprivileged_port_start": "0" }')
    address=$(address_of "$server")
    new_container low "$server" web '.linux.security_context.run_as_user = { value: 1000 }' sh -c 'echo low >/tmp/index.html; exec httpd -f -p 80 -h /tmp'
    eventually sh -c "[ \"\$(busybox wget -q -T 2 -O - http://$address/)\" = low ]"
    remove_pod "$server"
}

test_a_host_port_leads_to_the_pod() {
    local server
    server=$(new_pod published '.port_mappings = [{ container_port: 8080, host_port: 18080 }]')
    new_container published "$server" web . sh -c 'echo published >/tmp/index.html; exec httpd -f -p 8080 -h /tmp'
    eventually sh -c "[ \"\$(busybox wget -q -T 2 -O - http://$(ip -4 -o addr show casemate-test0 | awk '{ sub("/.*", "", $4); print $4 }'):18080/)\" = published ]"
    remove_pod "$server"
}

test_loopback_is_up_in_a_pod() {
    expect_match "$(in_base . ip addr show lo)" 'inet 127.0.0.1'
}

feature port-forward

test_port_forward_reaches_a_server_that_listens_on_loopback() {
    local id url
    id=$(new_container base "$BASE" forwarded . sh -c 'echo forwarded >/tmp/index.html; exec httpd -f -p 127.0.0.1:8081 -h /tmp')
    eventually exec_sync "$id" wget -q -T 2 -O - http://127.0.0.1:8081/
    url=$(cri call PortForward "{\"pod_sandbox_id\":\"$BASE\",\"port\":[8081]}" | jq -r .url)
    expect_match "$(printf 'GET / HTTP/1.0\r\n\r\n' | timeout 90 "$PREPARED/cri-client" forward "$url" 8081)" forwarded
}

feature sysctls

test_the_sysctls_of_a_pod_hold_in_its_containers() {
    local pod id
    pod=$(new_pod tuned '.linux.sysctls = { "net.core.somaxconn": "1234", "kernel.shm_rmid_forced": "1" }')
    id=$(new_container tuned "$pod" reader . sleep 1000)
    expect_eq "$(exec_sync "$id" cat /proc/sys/net/core/somaxconn /proc/sys/kernel/shm_rmid_forced | tr '\n' ' ')" '1234 1 '
    expect_status 1 exec_sync "$id" sh -c 'echo 99 >/proc/sys/net/core/somaxconn'
    remove_pod "$pod"
}

test_a_sysctl_of_the_host_is_refused() {
    expect_refusal 'vm.swappiness' new_pod untuned '.linux.sysctls = { "vm.swappiness": "1" }'
    expect_eq "$(cri call ListPodSandbox '{}' | jq '[.items[] | select(.metadata.name == "untuned" and .state == "SANDBOX_READY")] | length')" 0
}

feature logs

test_the_log_has_both_streams_and_nothing_of_the_runtime() {
    local id
    id=$(new_container base "$BASE" talker . sh -c 'echo out; sleep 0.1; echo err >&2; sleep 0.1; printf unfinished')
    eventually is_in_state "$id" EXITED
    expect_eq "$(cut -d ' ' -f 2- "$(status "$id" log_path)" | tr '\n' ';')" 'stdout F out;stderr F err;stdout P unfinished;'
}

test_a_log_that_was_moved_away_is_opened_anew() {
    local id log
    id=$(new_container base "$BASE" rotated . sh -c 'while :; do echo line; sleep 0.1; done')
    log=$(status "$id" log_path)
    eventually grep -q line "$log"
    mv "$log" "$log.1"
    cri call ReopenContainerLog "{\"container_id\":\"$id\"}"
    eventually grep -q line "$log"
}

run_tests
