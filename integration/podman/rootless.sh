#!/bin/bash
# podman without root, as the ordinary user `user` of the test host of hack/vm: what containers.sh and features.sh do as root, as
# far as podman itself lets ordinary users do it.
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"

IMAGE=localhost/busybox:latest
TERMINAL=$TOP/integration/terminal.py
HOME_DIR=/home/user/podman-test
engine 'podman rootless' "$(podman --version)"

pm() { as_user podman --runtime "$CASEMATE_RUNTIME" "$@"; }
run() { pm run --rm --network=none "$@"; }
start() { pm run -d --network=none "$@" >/dev/null; }
sleeper() { start --name "$@" $IMAGE sleep 1000; }
state() { pm inspect -f "{{.State.$2}}" "$1"; }
is() { [ "$(state "$1" "$2")" = "$3" ]; }
gone() { pm rm -f -t 0 "$@" >/dev/null; }
says() { pm logs "$1" 2>&1 | grep -q "$2"; }
count_of() { [ "$(pm logs "$1" | grep -c "$2")" = "$3" ]; }
# What the runtime said, without what podman wrote around it.
reason() { grep -oE 'denied by profile.*' <<<"$1" | head -n 1 | sed 's/: OCI .*//'; }
# own NAME: a directory of the user's.
own() { as_user mkdir -p "$HOME_DIR/$1" && echo "$HOME_DIR/$1"; }
cleanup() { pm pod rm -fa -t 0; pm rm -fa -t 0; }
SERVE='mkdir -p /tmp/www; echo served >/tmp/www/index.html; exec httpd -f -p 80 -h /tmp/www'

feature run quick

test_a_user_runs_a_container() {
    expect_match "$(run $IMAGE id)" 'uid=0'
    expect_status 7 run $IMAGE sh -c 'exit 7'
    expect_eq "$(echo piped | run -i $IMAGE cat)" piped
}

test_what_cannot_be_run_has_its_status() {
    expect_status 127 run $IMAGE /no/such/command
    expect_status 126 run $IMAGE /etc/passwd
}

feature stop

test_a_detached_container_runs_until_it_is_stopped() {
    start --name stopme $IMAGE sh -c 'trap "exit 5" TERM; echo up; while :; do sleep 0.1; done'
    eventually says stopme up
    pm stop -t 10 stopme
    expect_eq "$(state stopme ExitCode)" 5
    start --name deaf $IMAGE sh -c 'trap "" TERM; while :; do sleep 0.1; done'
    pm stop -t 1 deaf
    expect_eq "$(state deaf ExitCode)" 137
    gone stopme deaf
}

feature logs

test_logs_keep_stdout_and_stderr() {
    start --name talker $IMAGE sh -c 'echo out; echo err >&2'
    pm wait talker
    expect_eq "$(pm logs talker 2>/dev/null)" out
    expect_eq "$(pm logs talker 2>&1 >/dev/null)" err
    gone talker
}

feature attach

test_attach_reaches_stdin_and_stdout() {
    # shellcheck disable=SC2016  # expanded in the container
    start -i --name attached $IMAGE sh -c 'read line; echo "got $line"; sleep 5'
    expect_match "$( (echo word && sleep 3) | pm attach attached)" 'got word'
    gone attached
}

feature exec quick

test_exec_runs_in_the_container_and_gives_its_status() {
    sleeper mine
    expect_match "$(pm exec mine id)" 'uid=0'
    expect_eq "$(pm exec -u 1000 -w /tmp mine sh -c 'id -u; pwd' | tr '\n' ' ')" '1000 /tmp '
    expect_status 9 pm exec mine sh -c 'exit 9'
    expect_status 127 pm exec mine /no/such/command
    gone mine
}

feature terminal

test_a_terminal_follows_the_size_of_the_users() {
    "$TERMINAL" 33x99 expect='# ' send='stty size\n' expect='33 99' resize=44x88 send='until stty size | grep 44; do sleep 0.2; done\n' expect='44 88' send='exit\n' -- \
        "${AS_USER[@]}" podman --runtime "$CASEMATE_RUNTIME" run -it --rm --network none $IMAGE sh
}

test_exec_with_a_terminal_follows_the_size_of_the_users() {
    sleeper typed
    "$TERMINAL" 33x99 expect='# ' send='tty\n' expect='/dev/pts/' send='stty size\n' expect='33 99' resize=44x88 send='until stty size | grep 44; do sleep 0.2; done\n' \
        expect='44 88' send='exit\n' -- "${AS_USER[@]}" podman --runtime "$CASEMATE_RUNTIME" exec -it typed sh
    gone typed
}

feature kill

test_kill_delivers_the_named_signal() {
    start --name victim $IMAGE sh -c 'trap "echo got; exit 3" USR1; echo up; while :; do sleep 0.1; done'
    eventually says victim up
    pm kill -s USR1 victim
    expect_eq "$(pm wait victim)" 3
    gone victim
}

feature rm

test_rm_force_removes_a_running_container() {
    sleeper lost
    gone lost
    expect_status 1 pm container exists lost
}

feature restart

test_restart_and_restart_policies_work() {
    sleeper again
    pm restart -t 0 again
    expect_eq "$(state again Running)" true
    start --name flaky --restart on-failure:2 $IMAGE sh -c 'echo try; exit 1'
    eventually count_of flaky try 3
    gone again flaky
}

feature limits quick

test_limits_hold_in_the_users_own_slice() {
    expect_eq "$(run --memory 64m --pids-limit 33 --cpus 0.5 $IMAGE sh -c 'cd /sys/fs/cgroup; cat memory.max pids.max cpu.max' | tr '\n' ' ')" \
        '67108864 33 50000 100000 '
    sleeper where
    expect_match "$(cat "/proc/$(state where Pid)/cgroup")" '/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-[0-9a-f]*.scope'
    gone where
}

feature update

test_update_changes_the_limits_of_a_running_container() {
    sleeper grown --memory 64m
    pm update --memory 128m grown
    expect_eq "$(pm exec grown cat /sys/fs/cgroup/memory.max)" 134217728
    gone grown
}

feature pause

test_pause_and_unpause_change_the_state() {
    sleeper frozen
    pm pause frozen
    expect_eq "$(state frozen Status)" paused
    pm unpause frozen
    expect_eq "$(state frozen Status)" running
    gone frozen
}

feature 'read-only root'

test_the_root_is_read_only_and_tmp_is_not() {
    run --read-only $IMAGE sh -c '! touch /file 2>/dev/null && touch /tmp/file /run/file /var/tmp/file'
}

feature user

test_other_users_are_those_of_the_range() {
    expect_match "$(run --user 1000:1000 $IMAGE id)" 'uid=1000.*gid=1000'
    local dir
    dir=$(own users)
    chmod 777 "$dir"
    run --user 33:44 -v "$dir:/data" $IMAGE touch /data/file
    expect_eq "$(stat -c %u:%g "$dir/file")" 100032:100043
    run -v "$dir:/data" $IMAGE touch /data/roots
    expect_eq "$(stat -c %u:%g "$dir/roots")" 1000:1000
}

feature capabilities

test_added_and_dropped_capabilities_are_applied() {
    # CAP_CHOWN is bit 0.
    expect_eq "$(run --cap-drop all --cap-add CHOWN $IMAGE sed -n 's/^CapEff:\t//p' /proc/self/status)" 0000000000000001
}

feature volumes

test_volumes_are_shared_with_the_user_and_with_other_containers() {
    local dir
    dir=$(own volume)
    expect_eq "$(run -v "$dir:/data" $IMAGE sh -c 'echo kept >/data/file; echo done')" 'done'
    expect_eq "$(stat -c %u:%g "$dir/file")" 1000:1000
    run -v "$dir:/data:ro" $IMAGE sh -c '! touch /data/new 2>/dev/null'
    run -v "$dir:/data:O" $IMAGE sh -c 'echo changed >/data/file'
    expect_eq "$(cat "$dir/file")" kept
    run --user 33:44 -v keep:/data:U $IMAGE sh -c 'echo named >/data/file'
    expect_eq "$(run -v keep:/data $IMAGE cat /data/file)" named
    pm volume rm keep
}

feature tmpfs

test_a_tmpfs_has_the_asked_size() {
    expect_match "$(run --tmpfs /scratch:size=1m $IMAGE sh -c 'df -k /scratch; touch /scratch/file')" '1024 .*/scratch'
}

feature secrets

test_a_secret_is_a_file_for_its_owner() {
    echo hidden | pm secret create key - >/dev/null
    expect_eq "$(run --secret key,uid=1000,mode=0400 --user 1000 $IMAGE cat /run/secrets/key)" hidden
    # shellcheck disable=SC2016  # expanded in the container
    expect_eq "$(run --secret key,type=env,target=KEY $IMAGE sh -c 'echo $KEY')" hidden
    pm secret rm key
}

feature cp

test_cp_copies_both_ways_and_files_belong_to_the_containers_root() {
    local dir
    dir=$(own copies)
    sleeper copied
    pm cp copied:/etc/passwd "$dir/passwd"
    expect_match "$(cat "$dir/passwd")" '^root:'
    pm cp "$dir/passwd" copied:/tmp/sent
    expect_eq "$(pm exec copied stat -c %u:%g /tmp/sent)" 0:0
    gone copied
}

feature diff

test_diff_and_commit_keep_what_changed() {
    only_casemate
    pm run --name kept --network none --annotation org.casemate.allow/rootfs.writable=true $IMAGE \
        sh -c 'echo text >/file; chown 1000:1000 /file'
    expect_match "$(pm diff kept)" 'A /file'
    pm commit kept localhost/committed >/dev/null
    expect_eq "$(run localhost/committed sh -c 'cat /file; stat -c %u:%g /file /bin/busybox' | tr '\n' ' ')" 'text 1000:1000 0:0 '
    gone kept
    pm rmi localhost/committed
}

feature top

test_top_and_stats_show_the_container() {
    sleeper measured --memory 64m
    expect_match "$(pm top measured pid,user,args)" '1 .*root .*sleep 1000'
    expect_match "$(pm stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.PIDs}}' measured)" 'measured .*67.11MB 1'
    gone measured
}

feature healthcheck

test_a_healthcheck_runs_by_the_users_systemd() {
    start --name healthy --health-cmd 'test -e /tmp/fine' --health-interval 1s $IMAGE sh -c 'touch /tmp/fine; sleep 1000'
    eventually is healthy Health.Status healthy
    gone healthy
}

feature networks

test_published_ports_answer() {
    local network port=8100
    for network in pasta slirp4netns bridge; do
        port=$((port + 1))
        pm run -d --name web --network $network -p $port:80 $IMAGE sh -c "$SERVE" >/dev/null
        eventually curl -sf -m 2 http://127.0.0.1:$port/
        expect_eq "$network $(curl -sf -m 5 http://127.0.0.1:$port/)" "$network served"
        gone web
    done
}

test_two_containers_of_a_network_find_each_other_by_name() {
    pm network create pair >/dev/null
    pm run -d --name backend --network pair $IMAGE sh -c "$SERVE" >/dev/null
    eventually pm run --rm --network pair $IMAGE wget -T 2 -qO- http://backend/
    expect_eq "$(pm run --rm --network container:backend $IMAGE wget -T 2 -qO- http://127.0.0.1/)" served
    gone backend
    pm network rm pair
}

feature 'host network'

test_the_hosts_network_is_given_or_refused_by_name() {
    local out
    if out=$(pm run --rm --network host $IMAGE readlink /proc/self/ns/net 2>&1); then
        expect_eq "$out" "$(readlink /proc/self/ns/net)"
        return
    fi
    expect_match "$out" 'namespaces.host-network'
    no "refused: $(reason "$out")"
}

feature 'host processes'

test_the_hosts_processes_are_given_or_refused_by_name() {
    local out
    if out=$(run --pid host $IMAGE readlink /proc/self/ns/pid 2>&1); then
        expect_eq "$out" "$(readlink /proc/self/ns/pid)"
        return
    fi
    expect_match "$out" 'namespaces.host-pid'
    no "refused: $(reason "$out")"
}

feature pods

test_containers_of_a_pod_share_what_pods_share() {
    local kind
    pm pod create --name shared -p 8110:80 >/dev/null
    pm run -d --pod shared --name one $IMAGE sh -c "echo shared >/dev/shm/file; $SERVE" >/dev/null
    pm run -d --pod shared --name two $IMAGE sleep 1000 >/dev/null
    for kind in net ipc uts; do
        expect_eq "$(pm exec one readlink /proc/self/ns/$kind)" "$(pm exec two readlink /proc/self/ns/$kind)"
    done
    eventually curl -sf -m 2 http://127.0.0.1:8110/
    expect_eq "$(pm exec two cat /dev/shm/file)" shared
    pm pod stop -t 0 shared
    pm pod start shared
    eventually curl -sf -m 2 http://127.0.0.1:8110/
    pm pod rm -f -t 0 shared
}

feature 'joined namespaces'

test_a_container_joins_the_namespaces_of_another() {
    start --name first --ipc shareable $IMAGE sh -c 'trap "exit 6" USR1; echo up; while :; do sleep 0.1; done'
    eventually says first up
    run --ipc container:first $IMAGE sh -c 'echo shared >/dev/shm/file'
    expect_eq "$(pm exec first cat /dev/shm/file)" shared
    run --pid container:first $IMAGE kill -USR1 1
    expect_eq "$(pm wait first)" 6
    gone first
}

feature kube

test_a_pod_is_played_from_yaml_and_taken_down() {
    as_user sh -c "cat >$HOME_DIR/pod.yaml" <<TEXT
apiVersion: v1
kind: Pod
metadata: { name: duo }
spec:
  containers:
  - name: web
    image: $IMAGE
    command: [sh, -c, 'echo played >/tmp/index.html; trap "exit 0" TERM; httpd -f -p 80 -h /tmp & wait']
    ports: [{ containerPort: 80, hostPort: 8111 }]
    volumeMounts: [{ name: data, mountPath: /data }]
  - name: side
    image: $IMAGE
    command: [sh, -c, 'trap "exit 0" TERM; echo shared >/data/file; sleep 1000 & wait']
    volumeMounts: [{ name: data, mountPath: /data }]
  volumes: [{ name: data, emptyDir: {} }]
TEXT
    pm kube play "$HOME_DIR/pod.yaml"
    eventually curl -sf -m 2 http://127.0.0.1:8111/
    eventually pm exec duo-web grep -q shared /data/file
    pm kube generate duo | grep -q 'kind: Pod'
    pm kube down "$HOME_DIR/pod.yaml"
    expect_eq "$(pm ps -aq)" ''
}

feature '--userns=keep-id' quick

test_a_kept_user_id_is_the_users_own() {
    local dir
    dir=$(own kept)
    expect_eq "$(run --userns=keep-id -v "$dir:/data" $IMAGE sh -c 'id -u; touch /data/file')" 1000
    expect_eq "$(stat -c %u:%g "$dir/file")" 1000:1000
    expect_eq "$(run --userns=keep-id:uid=33,gid=33 $IMAGE id -u)" 33
}

feature '--userns=auto'

test_userns_auto_takes_a_part_of_the_users_range() {
    # shellcheck disable=SC2016  # awk's
    run --userns=auto $IMAGE awk '$1 == 0 && $2 == 0 { exit 1 }' /proc/self/uid_map
    expect_eq "$(run --userns=auto -v autovol:/data:U $IMAGE sh -c 'touch /data/file && stat -c %u /data/file')" 0
    pm volume rm autovol
}

feature --uidmap

test_an_explicit_mapping_is_applied() {
    expect_match "$(run --uidmap 0:1:1000 --gidmap 0:1:1000 $IMAGE cat /proc/self/uid_map)" '0 +1 +1000'
}

feature 'keep groups'

test_groups_of_the_user_can_be_kept() {
    mkdir -p $HOME_DIR/group
    chown root:4242 $HOME_DIR/group
    chmod 770 $HOME_DIR/group
    run -v $HOME_DIR/group:/data $IMAGE sh -c '! touch /data/file 2>/dev/null'
    setpriv --reuid 1000 --regid 1000 --groups 1000,4242 --reset-env env -C /home/user XDG_RUNTIME_DIR=/run/user/1000 \
        DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus podman --runtime "$CASEMATE_RUNTIME" run --rm --network none \
        --group-add keep-groups -v $HOME_DIR/group:/data $IMAGE touch /data/file
    [ -e $HOME_DIR/group/file ]
}

feature --cgroups=disabled

test_cgroups_can_be_disabled() {
    start --cgroups=disabled --name free $IMAGE sleep 1000
    expect_eq "$(cat "/proc/$(state free Pid)/cgroup")" "$(cat /proc/self/cgroup)"
    expect_eq "$(pm exec free echo inside)" inside
    pm stop -t 0 free
    gone free
}

feature 'cgroupfs driver'

test_the_cgroupfs_manager_works_in_a_delegated_scope() {
    expect_eq "$(as_delegated podman --runtime "$CASEMATE_RUNTIME" --cgroup-manager cgroupfs run --rm --network=none $IMAGE echo fine)" fine
}

feature seccomp

test_an_own_seccomp_profile_is_in_force() {
    local dir
    dir=$(own seccomp)
    printf '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}' >"$dir/seccomp.json"
    run --security-opt "seccomp=$dir/seccomp.json" $IMAGE sh -c 'touch /tmp/file && ! mkdir /tmp/dir 2>/dev/null'
}

test_seccomp_unconfined_leaves_the_runtimes_own_filter() {
    expect_eq "$(run --security-opt seccomp=unconfined $IMAGE sed -n 's/^Seccomp:\t//p' /proc/self/status)" 2
    differs "seccomp=unconfined removes podman's filter but not casemate's"
}

feature 'masked paths'

test_a_path_can_be_masked() {
    expect_eq "$(run --security-opt mask=/etc/passwd $IMAGE cat /etc/passwd)" ''
}

feature init

test_init_is_the_first_process() {
    expect_match "$(run --init $IMAGE ps)" '1 root .*(podman-init|catatonit)'
}

feature privileged

test_privileged_starts_and_stays_confined() {
    only_casemate
    [ "$(run --privileged $IMAGE sed -n 's/^CapEff:\t//p' /proc/self/status)" != 000001ffffffffff ]
    differs 'starts, but the profile reduces capabilities, devices and writable paths'
}

feature devices

test_a_device_is_there_as_asked_or_refused_by_name() {
    local out
    if out=$(run --device /dev/fuse $IMAGE sh -c 'test -c /dev/fuse && : </dev/fuse' 2>&1); then return; fi
    expect_match "$out" 'org.casemate.allow/devices'
    no "refused: $(reason "$out")"
}

feature sysctls

test_a_parameter_of_the_containers_own_network_is_set() {
    expect_eq "$(pm run --rm --sysctl net.ipv4.ip_forward=1 $IMAGE cat /proc/sys/net/ipv4/ip_forward)" 1
}

feature 'shared memory'

test_shared_memory_has_the_asked_size_and_can_be_shared() {
    expect_match "$(run --shm-size 8m $IMAGE df -k /dev/shm)" '8192 '
    start --name owner --ipc shareable $IMAGE sh -c 'echo shared >/dev/shm/file; sleep 1000'
    expect_eq "$(run --ipc container:owner $IMAGE cat /dev/shm/file)" shared
    gone owner
}

feature 'socket activation'

test_notify_reaches_the_users_systemd() {
    as_user systemd-run --user -q --wait --unit casemate-notify-test -p Type=notify -p NotifyAccess=all \
        podman --runtime "$CASEMATE_RUNTIME" run --rm --network none --sdnotify=conmon $IMAGE true
}

feature build

test_build_runs_its_steps_through_the_runtime() {
    local dir
    dir=$(own build)
    cat >"$dir/Dockerfile" <<'TEXT'
FROM localhost/busybox:latest
RUN echo "built by $(id -u)" >/built && mkdir -p /srv/data && chown 1000:1000 /srv/data
USER 1000
RUN touch /srv/data/file
CMD ["cat", "/built"]
TEXT
    pm build --network none --isolation oci -t localhost/built "$dir"
    expect_eq "$(run localhost/built)" 'built by 0'
    pm rmi localhost/built
}

feature checkpoint

test_checkpoint_is_refused_with_a_reason() {
    sleeper still
    expect_refusal 'checkpoint|root' pm container checkpoint still
    expect_eq "$(state still Running)" true
    gone still
    no 'podman permits it only to root, and casemate has no checkpoint and restore'
}

feature 'hardened by default' quick

test_the_payload_is_hardened_without_being_asked() {
    only_casemate
    local status
    status=$(run $IMAGE cat /proc/self/status)
    expect_match "$status" '^NoNewPrivs:[[:space:]]1$'
    expect_match "$status" '^Seccomp:[[:space:]]2$'
    run $IMAGE sh -c '! touch /file 2>/dev/null && touch /tmp/file'
}

feature 'clean up'

test_nothing_is_left_behind() {
    cleanup >/dev/null 2>&1 || true
    # shellcheck disable=SC2016  # expanded at every try
    eventually sh -c '[ -z "$(find /sys/fs/cgroup/user.slice -type d -name "libpod-*" ! -name "*conmon*")" ]'
    expect_eq "$(find "/run/user/1000/$CASEMATE_RUNTIME" -mindepth 1 -maxdepth 1 -type d ! -name '.*' ! -name @past 2>/dev/null | wc -l)" 0
}

AS_USER=(setpriv --reuid 1000 --regid 1000 --init-groups --reset-env env -C /home/user XDG_RUNTIME_DIR=/run/user/1000
    DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus TERM=xterm)
systemctl start user@1000
as_user mkdir -p $HOME_DIR
run_tests
