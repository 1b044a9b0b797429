#!/bin/bash
# Ordinary services, unchanged, under containerd: `ctr run` with casemate in place of runc. ctr makes no network and none of the
# volumes that an image asks for: those are given.
# slow
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"

engine containerd "$(containerd --version | awk '{ sub(/[~+].*/, "", $3); print "containerd " $3 " of Debian 13" }')"
VOLUMES=given
# shellcheck disable=SC2016  # backquotes are for the table
NEW_PRIVILEGES='`--allow-new-privs --annotation org.casemate.allow/process.new-privileges=true`'
# shellcheck disable=SC2016
CHROOT='`--cap-add CAP_SYS_CHROOT --annotation org.casemate.allow/capabilities.sys_chroot=true`'
systemctl start containerd
ctr images import "$PREPARED/services.tar" >/dev/null

options() {
    local option volume
    for option in "$@"; do
        case $option in
            volume=*)
                volume=$(mktemp -d "$WORK/volume.XXXX")
                chmod 755 "$volume"
                printf -- '--mount\ntype=bind,src=%s,dst=%s,options=rbind:rw\n' "$volume" "${option#volume=}"
                ;;
            user=*) printf -- '--user\n%s\n' "${option#user=}" ;;
            cap=*) printf -- '--cap-add\nCAP_%s\n' "${option#cap=}" ;;
            # ctr itself sets no_new_privs.
            allow=process.new-privileges) printf -- '--allow-new-privs\n--annotation\norg.casemate.allow/%s=true\n' "${option#allow=}" ;;
            allow=*) printf -- '--annotation\norg.casemate.allow/%s=true\n' "${option#allow=}" ;;
        esac
    done
}
ct() { ctr run --runc-binary "$RUNTIME" "$@"; }
start() {
    local flags
    mapfile -t flags < <(options "${@:3}")
    # The log goes to a file, which a detached task keeps open.
    ct -d --log-uri "file://$WORK/$1.log" "${flags[@]}" "localhost/$2:latest" "$1"
}
once() {
    local image=$1 asked=() flags
    shift
    while [ "$1" != -- ]; do asked+=("$1") && shift; done
    shift
    mapfile -t flags < <(options "${asked[@]}")
    ct --rm "${flags[@]}" "localhost/$image:latest" "once-$RANDOM$RANDOM" "$@"
}
address() { :; }
inside() { ctr task exec --exec-id "e$RANDOM$RANDOM" "$@"; }
logs() { cat "$WORK/$1.log"; }
gone() {
    ctr task kill -s KILL "$1" 2>/dev/null || true
    eventually is_stopped "$1"
    ctr task delete "$1" >/dev/null 2>&1 || true
    ctr container delete "$1"
}
is_stopped() { ! ctr task ls | awk -v name="$1" '$1 == name && $3 == "RUNNING"' | grep -q .; }
init_pid() { ctr task ls | awk -v name="$1" '$1 == name { print $2 }'; }
bundle_of() { printf '/run/containerd/io.containerd.runtime.v2.task/default/%s' "$1"; }
cleanup() {
    local name
    for name in $(ctr container ls -q); do gone "$name"; done
}

# shellcheck source=integration/images/services.bash
. "$HERE/services.bash"
