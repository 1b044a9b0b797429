#!/bin/bash
# What a kubelet asks of a container: to run, to answer probes and kubectl exec, to keep within its limits and to end.
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=integration/containerd/cri.bash
. "$(dirname "$0")/cri.bash"

engine "$(engine_name)" "$(version_of_containerd)"
start_containerd
BASE=$(new_pod base)

feature run

test_a_container_gives_its_output_and_its_status() {
    expect_eq "$(in_base . echo hello)" hello
    expect_status 7 in_base . sh -c 'exit 7'
}

test_environment_arguments_and_directory_are_those_of_the_pod() {
    # shellcheck disable=SC2016  # expanded in the container
    expect_eq "$(in_base '.envs = [{ key: "GREETING", value: "hi there" }] | .args = ["one two"] | .working_dir = "/var/tmp"' \
        sh -c 'echo "$GREETING,$0,$PWD"')" 'hi there,one two,/var/tmp'
}

test_a_missing_command_is_an_error_of_the_start_that_names_it() {
    local id
    id=$(create_container base "$BASE" absent . /no/such/command)
    expect_refusal '/no/such/command.*no such file or directory' start_container "$id"
    expect_match "$(status "$id" state) $(status "$id" reason) $(status "$id" exit_code)" '^CONTAINER_EXITED StartError 12[78]$'
}

test_a_container_that_ended_can_be_followed_by_another_attempt() {
    local first second
    first=$(new_container base "$BASE" again . false)
    eventually is_in_state "$first" EXITED
    second=$(new_container base "$BASE" again '.metadata.attempt = 1' sleep 1000)
    is_in_state "$second" RUNNING
}

test_a_container_that_was_created_and_never_started_can_be_removed() {
    local id
    id=$(create_container base "$BASE" never . sleep 1000)
    is_in_state "$id" CREATED
    remove_container "$id"
    [ ! -e "$STATE_ROOT/$id" ]
}

feature exec quick

test_exec_gives_output_error_and_status() {
    local id
    id=$(sleeper target)
    expect_eq "$(exec_sync "$id" sh -c 'echo out; echo err >&2' 2>/dev/null)" out
    expect_match "$(exec_sync "$id" sh -c 'echo out; echo err >&2' 2>&1 >/dev/null)" err
    expect_status 9 exec_sync "$id" sh -c 'exit 9'
    expect_status 137 exec_sync "$id" sh -c 'kill -9 $$'
}

test_a_missing_command_of_an_exec_is_an_error_that_names_it() {
    local id
    id=$(sleeper lacking)
    expect_refusal 'no-such-command.*not found' exec_sync "$id" no-such-command
    is_in_state "$id" RUNNING
}

test_an_exec_that_takes_too_long_is_ended() {
    local id
    id=$(sleeper slow)
    expect_refusal 'timeout|deadline' cri call ExecSync "{\"container_id\":\"$id\",\"cmd\":[\"sleep\",\"777\"],\"timeout\":1}"
    # shellcheck disable=SC2317  # called by eventually
    is_over() { ! exec_sync "$id" sh -c 'ps | grep -v grep | grep "sleep 777"'; }
    eventually is_over
}

test_exec_has_the_user_and_the_environment_of_the_container() {
    local id
    id=$(sleeper owned '.envs = [{ key: "MODE", value: "test" }] | .linux.security_context.run_as_user = { value: 1000 }')
    # shellcheck disable=SC2016  # expanded in the container
    expect_eq "$(exec_sync "$id" sh -c 'id -u; echo $MODE' | tr '\n' ' ')" '1000 test '
}

test_probes_in_quick_succession_leave_nothing_behind() {
    local id
    id=$(sleeper probed)
    for _ in {1..10}; do exec_sync "$id" true; done
    # What is there besides the first process belongs to this exec itself.
    expect_eq "$(exec_sync "$id" sh -c 'cat /proc/[0-9]*/comm' | sort | tr '\n' ' ')" 'cat sleep '
    expect_eq "$(find "$CRI_STATE/$id" -name '*.pid' ! -name init.pid)" ''
}

feature 'streaming exec'

# stream ID REQUEST [OPTION...]: what kubectl exec does; REQUEST is what is asked beside the container.
stream() {
    local url
    url=$(jq -nc --arg id "$1" '{ container_id: $id, stdout: true } + '"$2" | cri call Exec | jq -r .url)
    timeout 90 "$PREPARED/cri-client" "${@:3}" stream "$url"
}

test_streams_go_both_ways_and_the_status_comes_back() {
    local id
    id=$(sleeper streamed)
    echo words | {
        # shellcheck disable=SC2016  # expanded in the container
        expect_status 3 stream "$id" '{ cmd: ["sh", "-c", "read x; echo got $x; echo err >&2; exit 3"], stdin: true, stderr: true }' >"$WORK/out" 2>"$WORK/err"
    }
    expect_eq "$(cat "$WORK/out")" 'got words'
    expect_eq "$(cat "$WORK/err")" err
}

test_much_output_arrives_whole() {
    local id
    id=$(sleeper verbose)
    expect_eq "$(stream "$id" '{ cmd: ["sh", "-c", "seq 1 50000"] }' | cksum)" "$(seq 1 50000 | cksum)"
}

feature terminal

test_an_exec_with_a_terminal_has_one_of_the_asked_size() {
    local id
    id=$(sleeper typed)
    expect_eq "$(stream "$id" '{ cmd: ["sh", "-c", "until stty size 2>/dev/null | grep -q 99; do sleep 0.1; done; tty; stty size"], stdin: true, tty: true }' --size 33x99 </dev/null | tr -d '\r' | tr '\n' ' ')" '/dev/pts/0 33 99 '
}

test_a_container_with_a_terminal_can_be_attached_to() {
    local id url
    # shellcheck disable=SC2016  # expanded in the container
    id=$(new_container base "$BASE" console '.tty = true | .stdin = true' sh -c 'test -t 0 && read line && echo "heard $line"; tty; exit 6')
    url=$(cri call Attach "{\"container_id\":\"$id\",\"stdin\":true,\"stdout\":true,\"tty\":true}" | jq -r .url)
    expect_match "$(printf 'a word\n' | timeout 90 "$PREPARED/cri-client" stream "$url")" 'heard a word'
    eventually is_in_state "$id" EXITED
    expect_eq "$(status "$id" exit_code)" 6
    expect_match "$(log_of "$id")" '/dev/(console|pts/0)'
}

test_ctrl_c_interrupts_what_runs_on_the_terminal() {
    local id
    id=$(sleeper interrupted)
    expect_status 130 stream "$id" '{ cmd: ["sh", "-c", "sleep 100"], stdin: true, tty: true }' < <(sleep 1; printf '\003'; sleep 1)
}

feature stop

test_stop_sends_the_signal_and_gives_time() {
    local id
    id=$(new_container base "$BASE" polite . sh -c 'trap "exit 5" TERM; echo up; while :; do sleep 0.1; done')
    eventually grep -q up "$(status "$id" log_path)"
    stop_container "$id" 10
    expect_eq "$(status "$id" exit_code)" 5
}

test_stop_kills_what_does_not_listen() {
    local id
    id=$(new_container base "$BASE" deaf . sh -c 'trap "" TERM; while :; do sleep 0.1; done')
    stop_container "$id" 1
    expect_eq "$(status "$id" exit_code)" 137
}

test_stopping_twice_and_removing_twice_is_no_error() {
    local id
    id=$(sleeper twice)
    stop_container "$id"
    stop_container "$id"
    remove_container "$id"
    remove_container "$id"
}

feature limits

test_the_limits_of_a_container_are_in_its_cgroup() {
    local id
    id=$(sleeper limited '.linux.resources = { memory_limit_in_bytes: 67108864, cpu_quota: 50000, cpu_period: 100000, cpu_shares: 512, unified: { "pids.max": "44" } }')
    expect_eq "$(exec_sync "$id" sh -c 'cd /sys/fs/cgroup; cat memory.max cpu.max pids.max' | tr '\n' ';')" '67108864;50000 100000;44;'
    expect_match "$(exec_sync "$id" cat /sys/fs/cgroup/cpu.weight)" '^(20|59)$'
}

has_reason() { [ "$(status "$1" reason)" = "$2" ]; }

test_a_container_that_takes_too_much_memory_is_reported_as_killed_for_it() {
    local id
    # It lives on for a moment: containerd looks at the cgroup when the kernel tells it of the kill, and asks nobody later.
    # shellcheck disable=SC2016  # expanded in the container
    id=$(new_container base "$BASE" greedy '.linux.resources = { memory_limit_in_bytes: 33554432, memory_swap_limit_in_bytes: 33554432 }' sh -c 'sleep 2; tail /dev/zero; status=$?; sleep 5; exit $status')
    eventually is_in_state "$id" EXITED
    expect_eq "$(status "$id" exit_code)" 137
    eventually has_reason "$id" OOMKilled
}

test_oom_score_is_what_the_kubelet_asked() {
    expect_eq "$(in_base '.linux.resources.oom_score_adj = 800' cat /proc/self/oom_score_adj)" 800
}

feature update quick

test_the_limits_of_a_running_container_can_be_changed() {
    local id
    id=$(sleeper grown '.linux.resources = { memory_limit_in_bytes: 67108864, cpu_quota: 50000, cpu_period: 100000 }')
    cri call UpdateContainerResources "{\"container_id\":\"$id\",\"linux\":{\"memory_limit_in_bytes\":134217728,\"cpu_quota\":20000,\"cpu_period\":100000,\"cpu_shares\":2048}}"
    expect_eq "$(exec_sync "$id" sh -c 'cd /sys/fs/cgroup; cat memory.max cpu.max' | tr '\n' ';')" '134217728;20000 100000;'
    expect_eq "$(status "$id" resources.linux.memory_limit_in_bytes)" 134217728
}

feature stats

test_stats_of_a_container_say_what_it_uses() {
    local id answer
    id=$(new_container base "$BASE" worker . sh -c 'while :; do :; done')
    # shellcheck disable=SC2317  # called by eventually
    has_worked() {
        answer=$(cri call ContainerStats "{\"container_id\":\"$id\"}")
        [ "$(jq .stats.cpu.usage_core_nano_seconds.value <<<"$answer")" -gt 200000000 ]
    }
    eventually has_worked
    has_worked
    [ "$(jq .stats.memory.working_set_bytes.value <<<"$answer")" -gt 10000 ]
    stop_container "$id"
}

test_stats_of_pods_name_their_containers_and_their_network() {
    local id answer
    id=$(sleeper counted)
    answer=$(cri call ListPodSandboxStats '{}' | jq --arg id "$BASE" '.stats[] | select(.attributes.id == $id)')
    expect_eq "$(jq -r --arg id "$id" '.linux.containers[] | select(.attributes.id == $id) | .attributes.metadata.name' <<<"$answer")" counted
    expect_eq "$(jq -r .linux.network.default_interface.name <<<"$answer")" eth0
    expect_match "$(jq .linux.process.process_count.value <<<"$answer")" '^[1-9]'
}

feature checkpoint

test_a_checkpoint_is_refused_and_the_container_lives_on() {
    local id
    id=$(sleeper kept)
    expect_refusal 'checkpoint|unknown method|not implemented' cri call CheckpointContainer "{\"container_id\":\"$id\",\"location\":\"$WORK/checkpoint.tar\"}"
    expect_eq "$(exec_sync "$id" echo alive)" alive
    no 'casemate does not checkpoint containers'
}

feature 'restart of containerd'

test_containers_survive_a_restart_of_containerd() {
    local id
    id=$(sleeper survivor)
    systemctl restart casemate-cri 2>/dev/null || { systemctl stop casemate-cri; start_containerd; }
    eventually cri call Version '{}'
    eventually is_in_state "$id" RUNNING
    expect_eq "$(exec_sync "$id" echo alive)" alive
    stop_container "$id"
    remove_container "$id"
}

run_tests
