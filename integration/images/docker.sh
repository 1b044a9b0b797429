#!/bin/bash
# Ordinary services, unchanged, under docker with casemate as its default runtime and nothing else.
# slow
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=integration/docker/daemon.bash
. "$TOP/integration/docker/daemon.bash"

configure_docker '.'
engine docker "$(docker version --format 'docker {{.Server.Version}}')"
VOLUMES=image
docker load -q -i "$PREPARED/services.tar" >/dev/null

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
    docker run -d --name "$1" "${flags[@]}" "localhost/$2:latest" >/dev/null
}
once() {
    local image=$1 asked=() flags
    shift
    while [ "$1" != -- ]; do asked+=("$1") && shift; done
    shift
    mapfile -t flags < <(options "${asked[@]}")
    docker run --rm "${flags[@]}" "localhost/$image:latest" "$@"
}
address() { printf '127.0.0.1/%s' "$2"; }
inside() { docker exec "$@"; }
logs() { docker logs "$1"; }
gone() { docker rm -f -v "$1" >/dev/null; }
init_pid() { docker inspect -f '{{.State.Pid}}' "$1"; }
bundle_of() { printf '/run/containerd/io.containerd.runtime.v2.task/moby/%s' "$(docker inspect -f '{{.Id}}' "$1")"; }
# shellcheck disable=SC2046  # a list of names
cleanup() { docker rm -f -v $(docker ps -aq); }

# shellcheck source=integration/images/services.bash
. "$HERE/services.bash"
