#!/bin/bash
# Ordinary services, unchanged, under podman with casemate named on the command line and nothing else.
# slow
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"

engine podman "$(podman --version)"
VOLUMES=image
podman load -q -i "$PREPARED/services.tar" >/dev/null

pm() { podman --runtime "$CASEMATE_RUNTIME" "$@"; }
options() {
    local option
    for option in "$@"; do
        case $option in
            port=*) printf -- '-p\n%s\n' "${option#port=}" ;;
            user=*) printf -- '--user=%s\n' "${option#user=}" ;;
            cap=*) printf -- '--cap-add=%s\n' "${option#cap=}" ;;
            allow=*) printf -- '--annotation=org.casemate.allow/%s=true\n' "${option#allow=}" ;;
        esac
    done
}
start() {
    local flags
    mapfile -t flags < <(options "${@:3}")
    pm run -d --name "$1" "${flags[@]}" "localhost/$2:latest" >/dev/null
}
once() {
    local image=$1 asked=() flags
    shift
    while [ "$1" != -- ]; do asked+=("$1") && shift; done
    shift
    mapfile -t flags < <(options "${asked[@]}")
    pm run --rm "${flags[@]}" "localhost/$image:latest" "$@"
}
address() { printf '127.0.0.1/%s' "$2"; }
inside() { pm exec "$@"; }
logs() { pm logs "$1"; }
gone() { pm rm -f -v -t 2 "$1" >/dev/null; }
init_pid() { pm inspect -f '{{.State.Pid}}' "$1"; }
bundle_of() { dirname "$(pm inspect -f '{{.OCIConfigPath}}' "$1")"; }
cleanup() { pm rm -fa -v -t 0; }

# shellcheck source=integration/images/services.bash
. "$HERE/services.bash"
