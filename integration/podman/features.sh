#!/bin/bash
# The less common commands and options of podman as root, through the runtime under test. Runs on the test host of hack/vm.
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"

IMAGE=localhost/busybox:latest
TERMINAL=$TOP/integration/terminal.py
engine podman "$(podman --version)"

pm() { podman --runtime "$CASEMATE_RUNTIME" "$@"; }
run() { pm run --rm --network=none "$@"; }
start() { pm run -d --network=none "$@" >/dev/null; }
sleeper() { start --name "$@" $IMAGE sleep 1000; }
state() { pm inspect -f "{{.State.$2}}" "$1"; }
is() { [ "$(state "$1" "$2")" = "$3" ]; }
gone() { pm rm -f -t 0 "$@" >/dev/null; }
# What the runtime said, without what podman wrote around it.
reason() { grep -oE 'denied by profile.*' <<<"$1" | head -n 1 | sed 's/: OCI .*//'; }
cleanup() { pm pod rm -fa -t 0; pm rm -fa -t 0; }
SERVE='mkdir -p /tmp/www; echo served >/tmp/www/index.html; exec httpd -f -p 80 -h /tmp/www'

feature terminal

test_a_terminal_follows_the_size_of_the_users() {
    "$TERMINAL" 33x99 expect='# ' send='stty size\n' expect='33 99' resize=44x88 send='until stty size | grep 44; do sleep 0.2; done\n' expect='44 88' send='exit\n' -- \
        podman --runtime "$CASEMATE_RUNTIME" run -it --rm --network none $IMAGE sh
}

test_exec_with_a_terminal_follows_the_size_of_the_users() {
    sleeper typed
    "$TERMINAL" 33x99 expect='# ' send='tty\n' expect='/dev/pts/' send='stty size\n' expect='33 99' resize=44x88 send='until stty size | grep 44; do sleep 0.2; done\n' \
        expect='44 88' send='exit\n' -- podman --runtime "$CASEMATE_RUNTIME" exec -it typed sh
    gone typed
}

test_control_c_interrupts_the_payload_on_its_terminal() {
    expect_status 4 "$TERMINAL" 24x80 expect='up' send='\x03' expect='interrupted' -- podman --runtime "$CASEMATE_RUNTIME" run -it --rm \
        --network none $IMAGE sh -c 'trap "echo interrupted; exit 4" INT; echo up; while :; do sleep 0.1; done'
}

feature attach

test_attach_reaches_stdin_and_stdout_of_a_running_container() {
    # shellcheck disable=SC2016  # expanded in the container
    start -i --name attached $IMAGE sh -c 'read line; echo "got $line"; sleep 1000'
    mkfifo "$WORK/words"
    pm attach attached <"$WORK/words" >"$WORK/heard" 2>&1 &
    # Held open: at the end of its input the client may go without waiting for an answer.
    exec 9>"$WORK/words"
    echo word >&9
    eventually grep 'got word' "$WORK/heard"
    gone attached
    exec 9>&-
    wait
}

feature restart

test_podman_restart_and_start_run_the_container_again() {
    sleeper again
    pm restart -t 0 again
    expect_eq "$(state again Running)" true
    pm stop -t 0 again
    pm start again
    expect_eq "$(state again Running)" true
    gone again
}

test_a_container_that_fails_is_started_again_as_often_as_its_policy_says() {
    start --name flaky --restart on-failure:2 $IMAGE sh -c 'echo try; exit 1'
    # shellcheck disable=SC2016  # expanded at every try
    eventually sh -c '[ "$(podman logs flaky | grep -c try)" = 3 ]'
    gone flaky
}

feature cp quick

test_cp_copies_both_ways() {
    sleeper copied
    pm cp copied:/etc/passwd "$WORK/passwd"
    expect_match "$(cat "$WORK/passwd")" '^root:'
    echo sent >"$WORK/sent"
    pm cp "$WORK/sent" copied:/tmp/sent
    expect_eq "$(pm exec copied cat /tmp/sent)" sent
    gone copied
}

test_cp_keeps_to_the_read_only_root_of_a_running_container() {
    only_casemate
    echo sent >"$WORK/sent"
    sleeper copied
    expect_refusal 'read-only file system' pm cp "$WORK/sent" copied:/root/sent
    gone copied
    pm create --name copied --network none $IMAGE sleep 1000 >/dev/null
    pm cp "$WORK/sent" copied:/root/sent
    pm start copied
    expect_eq "$(pm exec copied stat -c %u:%g /root/sent)" 0:0
    gone copied
}

test_cp_into_a_running_container_knows_no_other_ids_than_podmans() {
    only_casemate
    mkdir -p "$WORK/volume"
    echo sent >"$WORK/sent"
    sleeper copied -v "$WORK/volume:/data"
    pm cp "$WORK/sent" copied:/tmp/sent
    expect_eq "$(pm exec copied stat -c %u:%g /tmp/sent)" 65534:65534
    expect_refusal 'value too large for defined data type' pm cp "$WORK/sent" copied:/data/sent
    # Paused, podman goes around the container and by the host's own paths.
    pm pause copied
    pm cp "$WORK/sent" copied:/data/sent
    pm cp "$WORK/sent" copied:/root/sent
    pm unpause copied
    expect_eq "$(pm exec copied stat -c %u:%g /data/sent /root/sent | tr '\n' ' ')" '0:0 0:0 '
    gone copied
    # With a mapping that podman itself has chosen it knows the ids.
    sleeper copied --userns=auto -v copies:/data
    pm cp "$WORK/sent" copied:/tmp/sent
    pm cp "$WORK/sent" copied:/data/sent
    expect_eq "$(pm exec copied stat -c %u:%g /tmp/sent /data/sent | tr '\n' ' ')" '0:0 0:0 '
    gone copied
    pm volume rm copies
    differs "podman copies into a running container from inside its mounts, but with the host's ids, because it does not know those that casemate chose: the root is read-only, files in a tmpfs belong to nobody, and volumes give an error; with a created, stopped or paused container, and with podman's own --userns=auto, it works as usual"
}

feature diff quick

test_diff_shows_what_changed() {
    pm create --name changed $IMAGE true >/dev/null
    echo sent >"$WORK/sent"
    pm cp "$WORK/sent" changed:/root/sent
    expect_match "$(pm diff changed)" 'A /root/sent'
    gone changed
}

test_diff_shows_what_a_payload_with_a_writable_root_wrote() {
    only_casemate
    pm run --name wrote --network none --annotation org.casemate.allow/rootfs.writable=true $IMAGE touch /file
    expect_match "$(pm diff wrote)" 'A /file'
    gone wrote
}

feature commit quick

test_commit_keeps_what_changed_and_who_owns_it() {
    only_casemate
    pm run --name kept --network none --annotation org.casemate.allow/rootfs.writable=true $IMAGE \
        sh -c 'echo text >/file; chown 1000:1000 /file'
    pm commit kept localhost/committed >/dev/null
    expect_eq "$(run localhost/committed sh -c 'cat /file; stat -c %u:%g /file /bin/busybox' | tr '\n' ' ')" 'text 1000:1000 0:0 '
    gone kept
    pm rmi localhost/committed
}

feature top

test_top_shows_the_processes() {
    sleeper topped
    expect_match "$(pm top topped pid,user,args)" '1 .*root .*sleep 1000'
    gone topped
}

feature stats

test_stats_reads_the_containers_cgroup() {
    sleeper measured --memory 64m
    expect_match "$(pm stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.PIDs}}' measured)" 'measured .*67.11MB 1'
    gone measured
}

feature healthcheck

test_a_healthcheck_runs_in_the_container() {
    start --name healthy --health-cmd 'test -e /tmp/fine' --health-interval disable $IMAGE sh -c 'sleep 5; touch /tmp/fine; sleep 1000'
    expect_status 1 pm healthcheck run healthy
    eventually pm healthcheck run healthy
    gone healthy
}

test_a_healthcheck_runs_at_its_interval() {
    start --name healthy --health-cmd 'test -e /tmp/fine' --health-interval 1s --health-retries 2 $IMAGE sh -c 'touch /tmp/fine; sleep 1000'
    eventually is healthy Health.Status healthy
    pm exec healthy rm /tmp/fine
    eventually is healthy Health.Status unhealthy
    gone healthy
}

feature 'joined namespaces'

test_a_container_joins_the_processes_of_another_and_signals_them() {
    start --name first $IMAGE sh -c 'trap "exit 6" USR1; echo up; while :; do sleep 0.1; done'
    eventually sh -c 'podman logs first | grep -q up'
    expect_eq "$(run --pid container:first $IMAGE readlink /proc/self/ns/pid)" "$(pm exec first readlink /proc/self/ns/pid)"
    run --pid container:first $IMAGE kill -USR1 1
    expect_eq "$(pm wait first)" 6
    gone first
}

test_a_container_joins_network_host_name_and_shared_memory_of_another() {
    local kind
    sleeper first --ipc shareable
    pm run -d --name side --network container:first --uts container:first --ipc container:first --volumes-from first $IMAGE \
        sleep 1000 >/dev/null
    for kind in net ipc uts; do
        expect_eq "$(pm exec side readlink /proc/self/ns/$kind)" "$(pm exec first readlink /proc/self/ns/$kind)"
    done
    pm exec side sh -c 'echo shared >/dev/shm/file'
    expect_eq "$(pm exec first cat /dev/shm/file)" shared
    gone side
    gone first
}

feature pods

test_containers_of_a_pod_share_the_namespaces_that_pods_share() {
    local kind
    pm pod create --name shared --network none --infra-image $IMAGE --infra-command 'sleep 1000' >/dev/null
    pm run -d --pod shared --name one $IMAGE sleep 1000 >/dev/null
    pm run -d --pod shared --name two $IMAGE sleep 1000 >/dev/null
    for kind in net ipc uts; do
        expect_eq "$(pm exec one readlink /proc/self/ns/$kind)" "$(pm exec two readlink /proc/self/ns/$kind)"
    done
    [ "$(pm exec one readlink /proc/self/ns/pid)" != "$(pm exec two readlink /proc/self/ns/pid)" ]
    pm exec one sh -c 'echo shared >/dev/shm/file'
    expect_eq "$(pm exec two cat /dev/shm/file)" shared
    pm pod stop -t 0 shared
    pm pod start shared
    pm pod rm -f -t 0 shared
}

test_containers_of_a_pod_can_share_their_processes() {
    pm pod create --name processes --share pid,net,ipc --network none --infra-image $IMAGE --infra-command 'sleep 1000' >/dev/null
    pm run -d --pod processes --name one $IMAGE sleep 1234 >/dev/null
    expect_match "$(pm run --rm --pod processes $IMAGE ps)" 'sleep 1234'
    # shellcheck disable=SC2016  # expanded in the container
    pm run --rm --pod processes $IMAGE sh -c 'kill -9 $(ps | grep "[s]leep 1234" | awk "{ print \$1 }")'
    eventually sh -c 'podman inspect -f "{{.State.Status}}" one | grep -q exited'
    pm pod rm -f -t 0 processes
}

test_containers_of_a_pod_share_files_on_a_volume() {
    pm pod create --name files --network none --infra-image $IMAGE --infra-command 'sleep 1000' >/dev/null
    pm run --rm --pod files -v common:/data $IMAGE sh -c 'umask 077; echo text >/data/file'
    expect_eq "$(pm run --rm --pod files -v common:/data $IMAGE cat /data/file)" text
    pm pod rm -f -t 0 files
    pm volume rm common
}

feature volumes

test_a_volume_belongs_to_the_user_who_writes_it() {
    mkdir -p "$WORK/owned"
    chmod 777 "$WORK/owned"
    run --user 1234:4321 -v "$WORK/owned:/data" $IMAGE touch /data/file
    expect_eq "$(stat -c %u:%g "$WORK/owned/file")" 1234:4321
    run -v "$WORK/owned:/data" $IMAGE touch /data/roots
    expect_eq "$(stat -c %u:%g "$WORK/owned/roots")" 0:0
}

test_a_volume_can_be_an_overlay() {
    mkdir -p "$WORK/lower"
    echo below >"$WORK/lower/file"
    run -v "$WORK/lower:/data:O" $IMAGE sh -c 'cat /data/file; echo changed >/data/file'
    expect_eq "$(cat "$WORK/lower/file")" below
}

test_a_volume_of_an_image_can_be_mounted() {
    run --mount type=image,source=$IMAGE,destination=/image $IMAGE test -x /image/bin/busybox
}

test_a_volume_can_be_changed_to_the_containers_owner() {
    mkdir -p "$WORK/chowned"
    expect_eq "$(run --user 1234:4321 -v "$WORK/chowned:/data:U" $IMAGE sh -c 'touch /data/file && stat -c %u:%g /data')" 1234:4321
}

feature tmpfs

test_a_tmpfs_has_the_asked_size() {
    expect_match "$(run --tmpfs /scratch:size=1m $IMAGE sh -c 'df -k /scratch; touch /scratch/file')" '1024 .*/scratch'
}

feature secrets

test_a_secret_is_a_file_for_its_owner() {
    echo hidden | pm secret create key - >/dev/null
    expect_eq "$(run --secret key $IMAGE cat /run/secrets/key)" hidden
    expect_eq "$(run --secret key,uid=1000,mode=0400 --user 1000 $IMAGE cat /run/secrets/key)" hidden
    # shellcheck disable=SC2016  # expanded in the container
    expect_eq "$(run --secret key,type=env,target=KEY $IMAGE sh -c 'echo $KEY')" hidden
    pm secret rm key
}

feature networks quick

test_a_published_port_answers() {
    pm run -d --name web -p 8080:80 $IMAGE sh -c "$SERVE" >/dev/null
    eventually curl -sf -m 2 http://127.0.0.1:8080/
    expect_eq "$(curl -sf -m 5 http://127.0.0.1:8080/)" served
    gone web
}

test_two_containers_of_a_network_find_each_other_by_name() {
    pm network create pair >/dev/null
    pm run -d --name backend --network pair $IMAGE sh -c "$SERVE" >/dev/null
    eventually pm run --rm --network pair $IMAGE wget -T 2 -qO- http://backend/
    gone backend
    pm network rm pair
}

test_a_container_joins_the_network_of_another() {
    sleeper first
    expect_eq "$(pm run --rm --network container:first $IMAGE readlink /proc/self/ns/net)" "$(pm exec first readlink /proc/self/ns/net)"
    gone first
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

feature --userns=auto

test_userns_auto_maps_root_away() {
    # shellcheck disable=SC2016  # awk's
    run --userns=auto $IMAGE awk '$1 == 0 && $2 == 0 { exit 1 }' /proc/self/uid_map
    expect_eq "$(run --userns=auto -v "autovol:/data:U" $IMAGE sh -c 'touch /data/file && stat -c %u /data/file')" 0
    pm volume rm autovol
}

test_an_idmapped_volume_is_owned_as_on_the_host() {
    mkdir -p "$WORK/mapped"
    echo text >"$WORK/mapped/file"
    expect_eq "$(run --userns=auto -v "$WORK/mapped:/data:idmap" $IMAGE sh -c 'stat -c %u /data/file; touch /data/new' | tr '\n' ' ')" '0 '
    expect_eq "$(stat -c %u "$WORK/mapped/new")" 0
}

feature --userns=keep-id

# root is kept as root of the host.
test_userns_keep_id_of_root_is_given_or_refused_by_name() {
    local out
    if out=$(run --userns=keep-id $IMAGE id -u 2>&1); then
        expect_match "$out" '^[0-9]+$'
        return
    fi
    expect_match "$out" 'userns.host'
    no "refused: $(reason "$out")"
}

feature --uidmap

test_an_explicit_mapping_is_applied() {
    expect_match "$(run --uidmap 0:300000:1000 --gidmap 0:300000:1000 $IMAGE cat /proc/self/uid_map)" '0 +300000 +1000'
}

feature --cgroups=disabled

test_cgroups_can_be_disabled() {
    expect_eq "$(run --cgroups=disabled $IMAGE echo free)" free
    start --cgroups=disabled --name free $IMAGE sleep 1000
    expect_eq "$(pm exec free echo inside)" inside
    pm stop -t 0 free
    gone free
}

test_cgroups_can_be_split() {
    systemd-run -q --wait -p Delegate=yes --unit casemate-split-test podman --runtime "$CASEMATE_RUNTIME" run --rm --cgroups=split --network none $IMAGE true
}

feature seccomp

test_an_own_seccomp_profile_is_in_force() {
    printf '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}' >"$WORK/seccomp.json"
    run --security-opt "seccomp=$WORK/seccomp.json" $IMAGE sh -c 'touch /tmp/file && ! mkdir /tmp/dir 2>/dev/null'
}

test_seccomp_unconfined_leaves_the_runtimes_own_filter() {
    expect_eq "$(run --security-opt seccomp=unconfined $IMAGE sed -n 's/^Seccomp:\t//p' /proc/self/status)" 2
    differs "seccomp=unconfined removes podman's filter but not casemate's"
}

feature apparmor

test_an_apparmor_profile_can_be_named() {
    [ -e /sys/kernel/security/apparmor/profiles ] || skip 'no AppArmor on this host'
    printf 'profile casemate-podman-test flags=(attach_disconnected) {\n file,\n signal,\n deny /secret w,\n}\n' | apparmor_parser -r
    expect_match "$(run --security-opt apparmor=casemate-podman-test $IMAGE cat /proc/self/attr/current)" '^casemate-podman-test'
}

test_apparmor_unconfined_is_given_or_refused_by_name() {
    [ -e /sys/kernel/security/apparmor/profiles ] || skip 'no AppArmor on this host'
    local out
    if out=$(run --security-opt apparmor=unconfined $IMAGE cat /proc/self/attr/current 2>&1); then return; fi
    expect_match "$out" 'apparmor.unconfined'
    differs 'apparmor=unconfined is refused without the override apparmor.unconfined'
}

feature selinux

test_label_disable_is_harmless_without_selinux() {
    [ ! -e /sys/fs/selinux/enforce ] || skip 'tested by integration/enforcement'
    expect_eq "$(run --security-opt label=disable $IMAGE echo fine)" fine
}

test_labels_of_selinux_are_harmless_without_it() {
    [ ! -e /sys/fs/selinux/enforce ] || skip 'tested by integration/enforcement'
    local label
    for label in user:system_u role:system_r type:container_t level:s0 filetype:container_file_t; do
        expect_eq "$label $(run --security-opt "label=$label" $IMAGE echo fine)" "$label fine"
    done
}

feature no-new-privileges

test_no_new_privileges_stays_when_it_is_asked_away() {
    only_casemate
    expect_eq "$(run --security-opt no-new-privileges=false $IMAGE sed -n 's/^NoNewPrivs:\t//p' /proc/self/status)" 1
}

test_no_new_privileges_is_set() {
    expect_eq "$(run --security-opt no-new-privileges $IMAGE sed -n 's/^NoNewPrivs:\t//p' /proc/self/status)" 1
}

feature 'masked paths'

test_a_path_can_be_masked() {
    expect_eq "$(run --security-opt mask=/etc/passwd $IMAGE cat /etc/passwd)" ''
}

test_options_of_proc_are_applied() {
    expect_match "$(run --security-opt proc-opts=hidepid=2 $IMAGE grep ' /proc ' /proc/self/mountinfo)" 'hidepid=(invisible|2)'
}

test_unmasking_is_for_the_node_to_permit() {
    only_casemate
    local out
    out=$(run --security-opt unmask=ALL $IMAGE sh -c 'cat /proc/kcore | head -c 1 | wc -c; test -e /proc/timer_list && wc -c </proc/timer_list' 2>&1) || true
    expect_match "$out" '^0'
    differs 'unmask=ALL unmasks only what the profile does not mask'
}

feature init

test_init_reaps_orphans() {
    command -v catatonit >/dev/null || skip 'no catatonit on this host'
    expect_match "$(run --init $IMAGE ps)" '1 root .*(podman-init|catatonit)'
}

feature privileged

test_privileged_starts_and_stays_confined() {
    only_casemate
    local out
    if ! out=$(run --privileged $IMAGE sed -n 's/^CapEff:\t//p' /proc/self/status 2>&1); then
        expect_match "$out" 'denied by profile'
        no "refused: $(reason "$out")"
    fi
    [ "$out" != 000001ffffffffff ]
    differs 'starts, but the profile reduces capabilities, devices and writable paths'
}

feature devices

test_a_device_is_there_as_asked_or_refused_by_name() {
    local out
    if out=$(run --device /dev/fuse $IMAGE sh -c 'test -c /dev/fuse && : </dev/fuse' 2>&1); then return; fi
    expect_match "$out" 'org.casemate.allow/devices'
    run --device /dev/fuse --annotation org.casemate.allow/devices.fuse=true $IMAGE sh -c 'test -c /dev/fuse && : </dev/fuse' ||
        no "refused: $(reason "$out")"
    differs 'needs --annotation org.casemate.allow/devices.CLASS=true'
}

feature 'GPU hooks'

# A device of the Container Device Interface brings hooks along. Those of GPU toolkits run as createContainer: they read the
# state, find the root and leave links to the driver's libraries and the linker's cache there.
test_a_hook_of_a_cdi_device_writes_the_linkers_cache_into_the_root() {
    mkdir -p /etc/cdi
    cat >/usr/local/bin/example-cdi-hook <<'TEXT'
#!/bin/bash
set -e
root=$(jq -r .root.path "$(jq -r .bundle)/config.json")
ln -sf libexample.so.1 "$root/usr/libexample.so"
echo "made by $1" >"$root/etc/ld.so.cache"
TEXT
    chmod 755 /usr/local/bin/example-cdi-hook
    cat >/etc/cdi/example.json <<'TEXT'
{ "cdiVersion": "0.5.0", "kind": "example.org/gpu", "devices": [{ "name": "all", "containerEdits": {
    "env": ["EXAMPLE=visible"],
    "hooks": [{ "hookName": "createContainer", "path": "/usr/local/bin/example-cdi-hook",
        "args": ["example-cdi-hook", "update-ldcache"] }] } }] }
TEXT
    # shellcheck disable=SC2016  # expanded in the container
    local script='echo "$EXAMPLE $(cat /etc/ld.so.cache) $(readlink /usr/libexample.so) $(stat -c %u /etc/ld.so.cache)"'
    expect_eq "$(run --device example.org/gpu=all $IMAGE sh -c "$script")" 'visible made by update-ldcache libexample.so.1 0'
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

test_notify_reaches_systemd() {
    systemd-run -q --wait --unit casemate-notify-test -p Type=notify -p NotifyAccess=all \
        podman --runtime "$CASEMATE_RUNTIME" run --rm --network none --sdnotify=conmon $IMAGE true
}

feature 'keep groups'

test_groups_can_be_kept() {
    expect_match "$(setpriv --groups 4242 podman --runtime "$CASEMATE_RUNTIME" --runtime-flag allow=groups.kept,userns.fallback run --rm --network none --group-add keep-groups $IMAGE id -G)" '4242'
    is_casemate && works_with '--runtime-flag allow=groups.kept,userns.fallback for root'
    # An image could ask for it as well: without a word of the operator's root keeps its groups for itself.
    ! setpriv --groups 4242 podman --runtime "$CASEMATE_RUNTIME" run --rm --network none --group-add keep-groups $IMAGE id -G | grep -w 4242
}

feature systemd

# A root file system that is the test host's own programs, read-only, with an empty /etc and /var.
systemd_root() {
    local name
    mkdir -p "$1"/{dev,etc/systemd/system,home,proc,root,run,sys,tmp,usr,var}
    for name in bin lib lib64 sbin; do ln -s "usr/$name" "$1/$name"; done
    cp /etc/{os-release,group,passwd,nsswitch.conf} "$1/etc/"
    : >"$1/etc/machine-id"
    printf '[Unit]\nDescription=A container\nRequires=basic.target\nAfter=basic.target\n' >"$1/etc/systemd/system/container.target"
    printf '[Service]\nExecStart=/bin/sleep 1000\n' >"$1/etc/systemd/system/payload.service"
    ln -s container.target "$1/etc/systemd/system/default.target"
    mkdir "$1/etc/systemd/system/container.target.wants"
    ln -s ../payload.service "$1/etc/systemd/system/container.target.wants/"
}

test_systemd_runs_in_a_container() {
    systemd_root "$WORK/root"
    pm run -d --name booted --network none --systemd=always --tmpfs /var -v /usr:/usr:ro --rootfs "$WORK/root" \
        /usr/lib/systemd/systemd
    eventually pm exec booted systemctl is-active payload.service || { pm logs booted; pm exec booted systemctl --failed; return 1; }
    expect_match "$(pm exec booted cat /proc/1/comm)" systemd
    # An exec still works although systemd moved itself to a cgroup below.
    expect_eq "$(pm exec booted echo inside)" inside
    pm stop -t 10 booted
    gone booted
}

feature build quick

test_build_runs_its_steps_through_the_runtime() {
    build_in "$WORK/build"
    pm build -t localhost/built "$WORK/build"
    expect_eq "$(run localhost/built)" 'built by 0'
    pm rmi localhost/built
}

test_buildah_runs_its_steps_through_the_runtime() {
    build_in "$WORK/buildah"
    buildah bud --runtime "$RUNTIME" -t localhost/built "$WORK/buildah"
    expect_eq "$(run localhost/built)" 'built by 0'
    pm rmi localhost/built
}

build_in() {
    mkdir -p "$1"
    cat >"$1/Dockerfile" <<'TEXT'
FROM localhost/busybox:latest
RUN echo "built by $(id -u)" >/built && mkdir -p /srv/data && chown 1000:1000 /srv/data
USER 1000
RUN touch /srv/data/file
CMD ["cat", "/built"]
TEXT
}

feature checkpoint

test_checkpoint_is_refused_with_a_reason() {
    sleeper still
    expect_refusal 'checkpoint' pm container checkpoint still
    expect_eq "$(state still Running)" true
    gone still
    no 'casemate has no checkpoint and restore'
}

feature 'clean up'

test_nothing_is_left_behind() {
    cleanup >/dev/null 2>&1 || true
    # shellcheck disable=SC2016  # expanded at every try
    eventually sh -c '[ -z "$(find /sys/fs/cgroup -type d -name "libpod-*" ! -name "*conmon*")" ]'
    expect_eq "$(find "/run/$CASEMATE_RUNTIME" -mindepth 1 -maxdepth 1 -type d ! -name '.*' ! -name @past 2>/dev/null | wc -l)" 0
}

run_tests
