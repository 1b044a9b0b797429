# shellcheck shell=bash
# A host to attack: this one's root below an overlay in memory, with namespaces, /dev and /run of its own. Sourced by
# hack/attack.d/generate and hack/attack.d/asked, which put secrets into it: what a container should not get to, it gets to
# there. The kernel is the same one, so nothing is written to it.

# in_own_namespaces VARIABLE PROGRAM ARGUMENT...: runs it where own_host can be called, with VARIABLE naming a directory.
in_own_namespaces() {
    local variable=$1 base
    shift
    need_root
    base=$(mktemp -d /var/tmp/casemate-host.XXXXXX)
    # shellcheck disable=SC2064  # the directory as it is now
    trap "rmdir '$base'" EXIT
    env "$variable=$base" unshare --mount --propagation private --pid --fork --kill-child --net --ipc --uts "$@"
}

# own_host BASE WORK: makes it below BASE, and sets $root; WORK in it is in memory.
own_host() {
    local base=$1 work=$2 node
    mount -t tmpfs tmpfs "$base"
    root=$base/root
    mkdir "$base"/{upper,work,root}
    mount -t overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" overlay "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    mount -t tmpfs -o mode=755 tmpfs "$root/dev"
    for node in null zero full random urandom tty; do
        touch "$root/dev/$node"
        mount --bind "/dev/$node" "$root/dev/$node"
    done
    mkdir "$root"/dev/{pts,shm,mqueue}
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    mount -t tmpfs tmpfs "$root/dev/shm"
    mount -t mqueue mqueue "$root/dev/mqueue"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mkdir "$root$work"
    mount -t tmpfs -o mode=755 tmpfs "$root$work"
}

# enter_host COMMAND...: executes it there, where nothing leads back.
enter_host() {
    mkdir "$root/.old"
    cd "$root" || return
    pivot_root . .old
    # shellcheck disable=SC2016  # expanded by the shell inside
    exec chroot . /bin/bash -c 'umount -l /.old && rmdir /.old && exec "$@"' host "$@"
}
