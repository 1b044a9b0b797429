#!/bin/bash
# How containers end badly: what a crash starts on the host, and what runs out of memory with whom.
# Runs as root on the test host of hack/vm; kernel.core_pattern is set back.
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"

PATTERN=/proc/sys/kernel/core_pattern
BEFORE=$(cat $PATTERN)

rt() { "$RUNTIME" --root "$WORK/state" "$@"; }

# bundle NAME JQ-FILTER COMMAND...: a bundle in WORK/NAME with the filter applied to its config.json.
bundle() {
    local name=$1 filter=$2
    shift 2
    "$TOP/hack/bundle" plain "$WORK/$name" --id "$name" --oci-version 1.0.2 -- "$@"
    jq -c "$filter" "$WORK/$name/config.json" >"$WORK/$name/new"
    mv "$WORK/$name/new" "$WORK/$name/config.json"
}

cleanup() {
    local id
    echo "$BEFORE" >$PATTERN
    for id in $(rt list -q 2>/dev/null); do rt delete --force "$id"; done
}

# The host's program for core dumps: it writes down the limit that it is told (core(5), %c).
catch_crashes() {
    only_casemate
    # shellcheck disable=SC2016  # for the script that is written
    printf '#!/bin/sh\necho "limit $1" >>%s/crashes\n' "$WORK" >"$WORK/catch"
    chmod 755 "$WORK/catch"
    rm -f "$WORK/crashes"
    echo "|$WORK/catch %c" >$PATTERN
}

# crash OPTION... NAME: the signal of the payload's child, which dumps core.
crash() {
    bundle crash "$1" sh -c 'sh -c "kill -SEGV \$\$"; echo "status $?"'
    shift
    expect_eq "$(rt "$@" run --bundle "$WORK/crash" crash 2>/dev/null)" 'status 139'
}

test_a_crash_starts_no_program_of_the_host() {
    catch_crashes
    # First the other way round, so that the test can tell.
    crash 'del(.process.rlimits)' --profile privileged
    eventually grep -q limit "$WORK/crashes"
    rm "$WORK/crashes"
    crash 'del(.process.rlimits)'
    crash '.process.rlimits = [{type: "RLIMIT_CORE", soft: 0, hard: 0}]'
    # The kernel would have been quicker than this container.
    crash . --profile privileged
    eventually grep -q limit "$WORK/crashes"
    expect_eq "$(grep -c limit "$WORK/crashes")" 1
    echo "$BEFORE" >$PATTERN
}

test_a_limit_of_zero_would_not_keep_the_kernel_from_it() {
    catch_crashes
    crash '.process.rlimits = [{type: "RLIMIT_CORE", soft: 0, hard: 0}]' --profile privileged
    eventually grep -q 'limit 0' "$WORK/crashes"
    echo "$BEFORE" >$PATTERN
}

test_programs_that_limit_core_dumps_themselves_still_can() {
    catch_crashes
    bundle own 'del(.process.rlimits)' sh -c 'ulimit -S -c 0 && ulimit -H -c 0 && ulimit -c'
    expect_eq "$(rt run --bundle "$WORK/own" own)" 0
    echo "$BEFORE" >$PATTERN
}

# hog NAME: init waits for a child that takes more than there is.
hog() {
    bundle "$1" '.linux.resources.memory = { limit: 33554432, swap: 33554432 }' \
        sh -c 'tail /dev/zero; echo survived'
}

test_out_of_memory_a_container_ends_as_a_whole_where_the_policy_says_so() {
    only_casemate
    hog single
    expect_match "$(rt run --bundle "$WORK/single" single 2>&1)" survived
    mkdir -p "$WORK/policy"
    printf '[controls]\n"memory.oom-group" = "enforce"\n' >"$WORK/policy/policy.toml"
    hog group
    expect_status 137 rt --policy-dir "$WORK/policy" run --bundle "$WORK/group" group >"$WORK/out" 2>&1
    ! grep survived "$WORK/out" || return 1
    expect_match "$(rt --policy-dir "$WORK/policy" --allow memory.oom-single run --bundle "$WORK/group" group 2>&1)" survived
    # With systemd's manager too.
    bundle scope '.linux.cgroupsPath = "system.slice:casemate:scope"' sleep 1000
    rt --systemd-cgroup --policy-dir "$WORK/policy" run --detach --bundle "$WORK/scope" scope </dev/null >/dev/null 2>&1
    expect_eq "$(cat "/sys/fs/cgroup/system.slice/casemate-scope.scope/memory.oom.group")" 1
    rt delete --force scope
}

run_tests
