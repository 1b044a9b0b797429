# shellcheck shell=bash
# What the programs of this directory share: a host with nothing but the engines and the package, and steps that are pasted from the
# documents: what stands there behind a line `<!-- try: NAME -->`. `not tried: WHY` stands before the rest; tests/tests/documents.rs
# sees to it that each block has one of the two, and each NAME a test here.

export CASEMATE_RUNTIME=dpkg # there is no casemate yet
IMAGE=localhost/busybox:latest
# What the pages call a bundle, for the test to say.
BUNDLE=''

# snippet PAGE NAME: the block of that name, as it stands.
snippet() {
    local page text
    case $1 in
        README.md) page=$PREPARED/README.md ;;
        *) page=$(find "$TOP/docs" -name "$1") ;;
    esac
    text=$(awk -v mark="<!-- try: $2 -->" '
        { line = $0; sub(/^ +/, "", line) }
        line == mark { found = 1; next }
        !found { next }
        /^ *$/ { if (n) held = held "\n"; next }
        /^```/ { if (fence) exit; fence = 1; next }
        !fence && !/^    / { exit }
        !n++ && !fence { match($0, /^ +/); indent = RLENGTH }
        { print held substr($0, indent + 1); held = "" }' "$page")
    [ -n "$text" ] || { echo "no block $2 in $1" >&2; return 1; }
    printf '%s\n' "$text"
}

# commands PAGE NAME: the same, with the words for an image, a container and a bundle filled in.
commands() {
    local text
    text=$(snippet "$@") || return
    sed -E "s,\bIMAGE\b,$IMAGE,g; s,\bNAME\b,step$RANDOM,g; s,\bDIR\b,${BUNDLE:-DIR},g" <<<"$text"
}

# paste PAGE NAME: and run.
paste() {
    local text
    text=$(commands "$@") || return
    printf '%s\n' "$text" >&2
    docker_may_start
    bash -e -c "$text"
}

# systemd counts how often docker is started, and ends that with the fourth time in a minute.
docker_may_start() { systemctl reset-failed docker docker.socket 2>/dev/null || true; }

# type_in PAGE NAME INPUT: the same on a terminal, where INPUT is typed then.
type_in() {
    commands "$1" "$2" >"$WORK/steps"
    printf '%b' "$3" >"$WORK/input"
    chmod 644 "$WORK/steps" "$WORK/input"
    # shellcheck disable=SC2016  # expanded by the inner shell
    printf 'script -qec "bash -e %s" /dev/null <%s 2>&1' "$WORK/steps" "$WORK/input" >"$WORK/typed"
    "${@:4}" bash "$WORK/typed"
}

# A host as it is before: the test host's own settings for casemate are gone, as is what another program here has pasted; docker has no
# configuration, and knows the image by the whole of its short name, as podman does.
fresh_host() {
    local config=/etc/containerd/config.toml kept=/var/tmp/containerd-config
    # With what the test host has configured: docker's bridge is a route that pasta of podman cannot copy.
    docker_may_start
    systemctl start user@1000 containerd docker
    docker tag localhost/busybox busybox
    if [ -e $kept ]; then cp $kept $config; elif [ -e $config ]; then cp $config $kept; fi
    rm -rf /etc/docker/daemon.json /usr/local/bin/casemate* /etc/containers/containers.conf.d/*{casemate,site}* /usr/local/lib/casemate \
        /etc/systemd/system/docker.service.d /etc/crio/crio.conf.d /etc/casemate/policy.d/*
    for package in "$PREPARED"/*.deb; do dpkg-deb -x "$package" /; done
    systemctl daemon-reload
}

# The same, with settings of the engines' own that have to stay.
settled_host() {
    fresh_host
    mkdir -p /etc/docker /etc/containers/containers.conf.d /etc/crio/crio.conf.d
    cat >/etc/docker/daemon.json <<'TEXT'
{ "log-driver": "local", "runtimes": { "site": { "path": "/usr/bin/crun" } } }
TEXT
    cat >/etc/containers/containers.conf.d/10-site.conf <<'TEXT'
[containers]
log_driver = "k8s-file"
[engine]
runtime = "crun"
[engine.runtimes]
site = ["/usr/bin/crun"]
TEXT
    cat >/etc/containerd/config.toml <<'TEXT'
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  max_container_log_line_size = 4096
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.site]
  runtime_type = "io.containerd.runc.v2"
TEXT
    cat >/etc/crio/crio.conf.d/10-site.conf <<'TEXT'
[crio.runtime]
default_runtime = "crun"
[crio.runtime.runtimes.crun]
runtime_path = "/usr/bin/crun"
TEXT
    docker_may_start
    systemctl restart containerd docker
}

# packages: where the README's `hack/package` has put them.
packages() {
    mkdir -p "$WORK/target"
    cp -r "$PREPARED/packages" "$WORK/target/"
    cd "$WORK" || return
}

need_package() {
    command -v casemate >/dev/null || (packages && paste README.md install >/dev/null 2>&1)
}
