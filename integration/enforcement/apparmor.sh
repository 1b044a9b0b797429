#!/bin/bash
# AppArmor: who names no profile is confined by casemate-default all the same, and what happens when it cannot be had.
# Runs as root on the test host of hack/vm, which boots with AppArmor.
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"

PROFILES=/sys/kernel/security/apparmor/profiles
PARSER=$(command -v apparmor_parser || true)

rt() { "$RUNTIME" --root "$WORK/state" "$@"; }

# bundle NAME JQ-FILTER COMMAND...
bundle() {
    local name=$1 filter=$2
    shift 2
    "$TOP/hack/bundle" plain "$WORK/$name" --id "$name" -- "$@"
    jq -c "$filter" "$WORK/$name/config.json" >"$WORK/$name/new"
    mv "$WORK/$name/new" "$WORK/$name/config.json"
}

need_apparmor() {
    only_casemate
    [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ] || skip "AppArmor is off"
    [ -n "$PARSER" ] || skip "there is no apparmor_parser"
}

loaded() { grep -q '^casemate-default ' "$PROFILES"; }
unload() { ! loaded || echo 'profile casemate-default {}' | "$PARSER" --remove --quiet; }
cleanup() {
    local id
    for id in $(rt list -q 2>/dev/null); do rt delete --force "$id"; done
}

test_a_container_without_a_profile_gets_ours_which_is_loaded_for_it() {
    need_apparmor
    unload
    bundle default 'del(.process.apparmorProfile)' cat /proc/self/attr/current
    expect_match "$(rt run --bundle "$WORK/default" default)" '^casemate-default \(enforce\)$'
    loaded
}

test_a_process_of_exec_is_confined_too_and_can_be_killed() {
    need_apparmor
    bundle exec 'del(.process.apparmorProfile)' sleep 1000
    rt run --detach --bundle "$WORK/exec" exec </dev/null >/dev/null 2>&1
    expect_match "$(rt exec exec cat /proc/self/attr/current)" '^casemate-default \(enforce\)$'
    expect_match "$(rt exec exec sh -c 'sleep 100 & kill $! && echo signalled')" signalled
    rt kill exec KILL
    eventually sh -c "$RUNTIME --root $WORK/state state exec | grep -q stopped"
    rt delete exec
}

test_kernel_files_stay_closed_when_their_masks_are_taken_off() {
    need_apparmor
    # shellcheck disable=SC2016 # for the container's shell
    local script='for f in timer_list kallsyms; do cat /proc/$f >/dev/null 2>&1 && echo $f is open; done
        echo 1 >/proc/sys/vm/drop_caches && echo written; echo done'
    # Without our user namespace and masks only the profile is left.
    bundle masks 'del(.process.apparmorProfile) | .linux.maskedPaths = [] | .linux.readonlyPaths = []' sh -c "$script"
    local allow=paths.unmasked,paths.writable,userns.host
    expect_eq "$(rt --allow $allow run --bundle "$WORK/masks" masks 2>/dev/null)" "done"
    expect_match "$(rt --allow $allow,apparmor.unconfined run --bundle "$WORK/masks" open 2>/dev/null)" 'timer_list is open'
}

test_unconfined_is_refused_and_can_be_allowed() {
    need_apparmor
    bundle unconfined '.process.apparmorProfile = "unconfined"' cat /proc/self/attr/current
    local refusal
    refusal=$(rt run --bundle "$WORK/unconfined" unconfined 2>&1) && return 1
    expect_match "$refusal" 'AppArmor profile unconfined \(rule apparmor.profile\); allow with --allow apparmor.unconfined, or annotation org.casemate.allow/apparmor.unconfined=true'
    expect_eq "$(rt --allow apparmor.unconfined run --bundle "$WORK/unconfined" unconfined)" unconfined
}

test_a_profile_of_the_configurations_own_is_applied() {
    need_apparmor
    printf 'profile casemate-test-own { file, capability, signal, ptrace, network, }\n' | "$PARSER" --replace --skip-cache
    bundle own '.process.apparmorProfile = "casemate-test-own"' cat /proc/self/attr/current
    expect_match "$(rt run --bundle "$WORK/own" own)" '^casemate-test-own \(enforce\)$'
    bundle absent '.process.apparmorProfile = "casemate-test-absent"' true
    refusal=$(rt run --bundle "$WORK/absent" absent 2>&1) && return 1
    expect_match "$refusal" 'casemate-test-absent'
}

test_where_it_cannot_be_loaded_the_record_says_so_and_restricted_refuses() {
    need_apparmor
    unload
    local moved=$WORK/parser place
    place=$(readlink -f "$PARSER")
    mv "$place" "$moved"
    bundle waived 'del(.process.apparmorProfile)' cat /proc/self/attr/current
    local seen refusal decision
    seen=$(rt run --bundle "$WORK/waived" waived 2>&1) || true
    decision=$(rt explain --bundle "$WORK/waived" 2>&1) || true
    bundle strict 'del(.process.apparmorProfile) | .process.user = {uid: 1000, gid: 1000}
        | .linux.resources.memory = {limit: 33554432}' true
    refusal=$(rt --profile restricted run --bundle "$WORK/strict" strict 2>&1) || true
    mv "$moved" "$place"
    expect_eq "$seen" unconfined
    expect_match "$decision" 'no apparmor_parser to load it'
    expect_match "$refusal" 'denied by profile restricted: profile casemate-default: .*\(rule apparmor.profile\)'
}

run_tests
