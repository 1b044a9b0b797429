# shellcheck shell=bash
# Functions that the programs of hack/ share. Sourced, never run. Nothing here prints on stdout, because
# several callers (hack/build, hack/vm) have a stdout that other programs read.

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Everything that is made once and kept: peers, the conformance suite, the VM image.
CACHE=${CASEMATE_CACHE:-${XDG_CACHE_HOME:-/var/tmp}/casemate}
export REPO CACHE

log() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { log "$*"; exit 1; }

# usage: print the comment at the head of the calling script (without its #! line) as its help.
usage() { awk 'NR > 1 { if ($0 !~ /^#/) exit; sub(/^# ?/, ""); print }' "$0"; }

need_root() { [ "$(id -u)" = 0 ] || die "must run as root (namespaces, cgroups and packages need it)"; }

# apt_run ARGS...: apt-get that waits for another one to finish, quiet unless it fails.
apt_run() {
    local out
    if ! out=$(DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
        -o Acquire::Retries=3 "$@" 2>&1 </dev/null); then
        printf '%s\n' "$out" >&2
        return 1
    fi
}

# may_install WHAT: whether packages may be installed on this machine. CASEMATE_INSTALL=yes or no answers for all that a program
# calls; on a terminal somebody is asked once; without one (continuous integration) the answer is yes, for root.
may_install() {
    local answer
    if [ -z "${CASEMATE_INSTALL:-}" ] && [ -t 0 ] && [ -t 2 ]; then
        read -rp "${0##*/}: install $1 with apt-get? [y/N] " answer
        case $answer in [yY]*) CASEMATE_INSTALL=yes ;; *) CASEMATE_INSTALL=no ;; esac
        export CASEMATE_INSTALL
    fi
    [ "$(id -u)" = 0 ] && [ "${CASEMATE_INSTALL:-yes}" = yes ]
}

# apt_need PACKAGE...: install what is missing, refreshing the package lists only when that is needed.
apt_need() {
    local missing=() p
    for p in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null || true)" = installed ] || missing+=("$p")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    may_install "${missing[*]}" || die "needs packages that are not installed: apt-get install ${missing[*]}"
    log "installing ${missing[*]}"
    apt_run install --no-install-recommends "${missing[@]}" 2>/dev/null && return 0
    apt_run update
    apt_run install --no-install-recommends "${missing[@]}"
}

# debian_mirror: the address of the Debian mirror this host is configured with.
debian_mirror() {
    local uri
    uri=$(grep -hoE '^URIs: .*|^deb .*' /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null |
        grep -oE '[a-z]+://[^ ]+/debian/?( |$)' | head -n 1 || true)
    uri=${uri%% *}
    uri=${uri%/}
    [ -n "$uri" ] || die "no Debian mirror in /etc/apt/sources.list or sources.list.d"
    printf '%s\n' "$uri"
}

# suite_apt SUITE[:ARCH] ARGS...: apt-get with package lists of another Debian suite, kept apart from the host's own.
# The lists live in the cache; nothing of that suite is ever installed on the host.
suite_apt() {
    local suite=${1%:*} arch dir
    arch=$(dpkg --print-architecture)
    case $1 in *:*) arch=${1#*:} ;; esac
    dir=$CACHE/apt-$1
    shift
    if [ ! -e "$dir/ready" ]; then
        mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/parts"
        printf 'deb [signed-by=%s] %s %s main\ndeb-src [signed-by=%s] %s %s main\n' \
            /usr/share/keyrings/debian-archive-keyring.gpg "$(debian_mirror)" "$suite" \
            /usr/share/keyrings/debian-archive-keyring.gpg "$(debian_mirror)" "$suite" >"$dir/sources.list"
        # A leftover of the host's status file would make apt think that libraries are there already.
        : >"$dir/status"
        suite_apt_raw "$dir" "$arch" update >"$dir/update.log" 2>&1 || return 1
        touch "$dir/ready"
    fi
    suite_apt_raw "$dir" "$arch" "$@"
}

suite_apt_raw() {
    local dir=$1 arch=$2
    shift 2
    apt-get -q -y -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts="$dir/parts" \
        -o Dir::State::Lists="$dir/lists" -o Dir::State::Status="$dir/status" \
        -o Dir::Cache="$dir/cache" -o APT::Sandbox::User=root "$@" </dev/null
}

# v2_view COMMAND...: run in a private mount namespace where /sys/fs/cgroup is the cgroup v2 hierarchy alone.
# On a pure v2 host that is what is there already. On a hybrid host (v1 controllers beside a v2 tree) some peers
# refuse to start, and the rest would be measured driving v1; in this view all of them do the same thing.
v2_view() {
    if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then
        "$@"
        return
    fi
    # shellcheck disable=SC2016  # expanded by the inner shell
    unshare -m --propagation private sh -c \
        'umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec "$@"' sh "$@"
}

# v2_controllers: the cgroup v2 controllers of this host, in one line.
v2_controllers() {
    if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then
        cat /sys/fs/cgroup/cgroup.controllers
    else
        cat /sys/fs/cgroup/unified/cgroup.controllers 2>/dev/null || true
    fi
}

# busybox_rootfs DIR: a root file system of busybox-static, with the directories that engines expect.
busybox_rootfs() {
    local dir=$1 applet
    apt_need busybox-static
    mkdir -p "$dir"/{bin,dev,etc,home,proc,root,run,sys,tmp,usr/bin,var/tmp}
    chmod 755 "$dir"
    chmod 1777 "$dir/tmp" "$dir/var/tmp"
    install -m 755 /bin/busybox "$dir/bin/busybox"
    for applet in $(/bin/busybox --list); do
        [ "$applet" = busybox ] || ln -sf busybox "$dir/bin/$applet"
    done
    printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home:/bin/sh\n' >"$dir/etc/passwd"
    printf 'root:x:0:\nuser:x:1000:\n' >"$dir/etc/group"
}
