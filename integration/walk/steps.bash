# shellcheck shell=bash
# What the programs of this directory share: a host with nothing but the engines and the package, and steps that are pasted from the
# documents.

export CASEMATE_RUNTIME=dpkg # there is no casemate yet

# block FILE START [NUMBER]: the indented block, the first by default, behind the first line of FILE that begins with START.
block() {
    awk -v start="$2" -v wanted="${3:-1}" '
        !found { found = index($0, start) == 1; next }
        /^    / { if (!inside) { inside = 1; n++ } if (n == wanted) print substr($0, 5); next }
        /^$/ && inside { if (n == wanted) print ""; next }
        { if (inside && n == wanted) exit; inside = 0 }' "$1" | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}'
}

# paste_and_run FILE START [NUMBER]
paste_and_run() {
    local text
    text=$(block "$@")
    [ -n "$text" ] || { echo "no such block: $*"; return 1; }
    printf '%s\n' "$text" >&2
    bash -e -c "$text"
}

# A host as it is before: the test host's own settings for casemate are gone, a new docker installation has no configuration, and
# docker knows the image by the whole of its short name, as podman does.
fresh_host() {
    systemctl start user@1000 containerd
    docker tag localhost/busybox busybox
    rm -f /etc/docker/daemon.json /usr/local/bin/casemate /etc/containers/containers.conf.d/*casemate*
}

# install_package: as the README says. No mirror can be reached, which is no matter: the package needs nothing.
install_package() {
    local line
    line=$(block "$PREPARED/README.md" '## Install' | grep '^apt install' | sed 's/ *#.*//')
    mkdir -p "$WORK/target"
    cp -r "$PREPARED/packages" "$WORK/target/"
    (cd "$WORK" && bash -e -c "DEBIAN_FRONTEND=noninteractive ${line/apt install/apt-get install -y}")
}
