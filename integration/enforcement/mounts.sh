#!/bin/bash
# What engines mount, and what they are made to mount: through podman, docker and containerd, with their own
# configurations. Needs root, the three engines, and for the last test btrfs.
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"

IMAGE=localhost/busybox:latest

pm() { podman --runtime "$CASEMATE_RUNTIME" run --rm --network=none "$@"; }
dk() { docker run --rm --runtime casemate --network none "$@"; }
# Ids that are the container's own: the map does not begin with the host's root.
has_own_ids() { awk '$1 == 0 { exit $2 == 0 }' <<<"$1"; }
cleanup() {
    podman rm -f -t 0 shares >/dev/null 2>&1 || true
    docker volume rm -f all >/dev/null 2>&1 || true
    umount -l /var/lib/dbus "$WORK/one" "$WORK/top" 2>/dev/null || true
}

test_the_upper_directory_of_an_overlay_is_no_way_to_write_to_the_host() {
    only_casemate
    mkdir -p "$WORK/low" "$WORK/work"
    expect_refusal 'bind source /etc \(a layer of an overlay\)' \
        pm -v "$WORK/low:/h:O,upperdir=/etc,workdir=$WORK/work" $IMAGE sh -c 'echo x >/h/cron.d/casemate'
    [ ! -e /etc/cron.d/casemate ]
}

test_the_lower_directory_of_an_overlay_is_judged_like_a_bind() {
    only_casemate
    expect_refusal 'mounts.host-etc' pm -v /etc:/h:O $IMAGE cat /h/shadow
    expect_refusal 'mounts.host-etc' pm -v /etc:/h:ro $IMAGE cat /h/shadow
}

test_an_overlay_of_a_volume_works_with_ids_of_the_containers_own() {
    mkdir -p "$WORK/low"
    echo below >"$WORK/low/f"
    chown 7:7 "$WORK/low/f"
    local out
    out=$(pm -v "$WORK/low:/h:O" $IMAGE sh -c 'head -1 /proc/self/uid_map; cat /h/f; stat -c %u /h/f; touch /h/new')
    expect_eq "$(tail -n 2 <<<"$out" | xargs)" 'below 7'
    [ ! -e "$WORK/low/new" ]
    ! is_casemate || has_own_ids "$out"
}

test_an_image_as_a_volume_is_shown_with_ids_of_the_containers_own() {
    local out part
    for part in '' ,subpath=/etc; do
        out=$(pm --mount "type=image,source=$IMAGE,dst=/img$part" $IMAGE \
            sh -c 'head -1 /proc/self/uid_map; ls /img/etc/passwd /img/passwd 2>/dev/null; stat -c %u /img/.')
        expect_match "$out" 'passwd'
        expect_eq "$(tail -n 1 <<<"$out")" 0
        ! is_casemate || has_own_ids "$out"
    done
}

test_another_containers_namespace_does_not_open_the_hosts() {
    only_casemate
    podman --runtime "$CASEMATE_RUNTIME" run -d --name shares --network=none $IMAGE sleep 1000
    expect_refusal 'mounts.host-proc' pm --pid=container:shares -v /proc:/proc $IMAGE true
    expect_refusal 'mounts.host-dev' pm --ipc=container:shares -v /dev/shm:/dev/shm $IMAGE true
    expect_eq "$(pm --ipc=container:shares $IMAGE sh -c 'touch /dev/shm/x && echo shared')" shared
}

test_what_podman_and_docker_mount_on_their_own_needs_no_override() {
    expect_eq "$(pm -v casemate-v:/v --tmpfs /t --init $IMAGE sh -c 'touch /v/x /t/x && echo fine')" fine
    expect_eq "$(dk -v casemate-v:/v --tmpfs /t --init $IMAGE sh -c 'touch /v/x /t/x && echo fine')" fine
    dk -v casemate-v:/v $IMAGE mkdir -p /v/part
    expect_eq "$(dk --mount type=volume,src=casemate-v,dst=/p,volume-subpath=part $IMAGE sh -c 'touch /p/x && echo fine')" fine
    podman volume rm casemate-v
    docker volume rm casemate-v
}

test_a_volume_of_docker_that_shows_the_host_is_the_host() {
    only_casemate
    docker volume create --opt type=none --opt o=bind --opt device=/ all
    expect_refusal 'mounts.host-etc' dk --mount type=volume,src=all,dst=/h,volume-subpath=etc/ssl $IMAGE ls /h
    expect_refusal 'mounts.host-root' dk --mount type=volume,src=all,dst=/h $IMAGE ls /h
}

test_containerd_does_not_mount_a_second_procfs() {
    only_casemate
    local ctr=(ctr run --rm --runc-binary "$RUNTIME")
    expect_refusal 'mounts.second-proc' \
        "${ctr[@]}" --mount type=proc,src=proc,dst=/mnt,options=rw $IMAGE second true
    expect_eq "$("${ctr[@]}" $IMAGE plain echo fine)" fine
}

test_subvolumes_are_told_by_the_file_system_and_not_by_the_path() {
    only_casemate
    command -v mkfs.btrfs >/dev/null || skip "no btrfs-progs"
    truncate -s 200M "$WORK/image"
    mkfs.btrfs -q "$WORK/image"
    mkdir -p "$WORK/top" "$WORK/one"
    mount -o loop "$WORK/image" "$WORK/top" || skip "no btrfs in this kernel"
    local device
    device=$(findmnt -no SOURCE "$WORK/top")
    btrfs -q subvolume create "$WORK/top/data"
    btrfs -q subvolume create "$WORK/top/host"
    mkdir "$WORK/top/data/x" /var/lib/dbus 2>/dev/null || true
    mount -o subvol=data "$device" "$WORK/one"
    mount -o subvol=host "$device" /var/lib/dbus
    expect_eq "$(pm -v "$WORK/one/x:/v" $IMAGE echo fine)" fine
    expect_refusal 'is /var/lib/dbus' pm -v "$WORK/top/host:/v" $IMAGE true
    expect_refusal 'contains /var/lib/dbus' pm -v "$WORK/top:/v" $IMAGE true
}

run_tests
