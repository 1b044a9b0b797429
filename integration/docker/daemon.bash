# shellcheck shell=bash
# The docker daemon of the test host: the runtime under test is its default, as docs/user/engines/docker.md sets it up.

export IMAGE=localhost/busybox:latest
DAEMON=$WORK/daemon.json
cp /etc/docker/daemon.json "$DAEMON"

# configure_docker FILTER: restart the daemon with the host's configuration, the runtime, and what the jq filter changes.
# The test host has no network to the outside; the bridge is docker's own.
configure_docker() {
    jq --arg name "$CASEMATE_RUNTIME" "del(.bridge, .iptables, .ip6tables, .runtimes.ut)
        | if \$name == \"runc\" then . else .runtimes[\$name].path = \"$RUNTIME\" end
        | .\"default-runtime\" = \$name | $1" "$DAEMON" >/etc/docker/daemon.json
    systemctl reset-failed docker docker.socket 2>/dev/null || true
    systemctl restart docker
}

# reason TEXT: what the runtime said, without what docker wrote around it.
reason() { grep -oE 'denied by profile.*' <<<"$1" | head -n 1 | sed 's/: unknown\.\?$//'; }
