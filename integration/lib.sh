# shellcheck shell=bash
# What the test programs of integration/ share. A test is a function whose name begins with `test_` and says a
# behaviour; it fails when one of its commands fails. `run_tests` at the end of a program runs them all and prints TAP.
#
# CASEMATE_RUNTIME is the runtime under test: the name podman knows it by, and a program in the PATH (default: casemate).

CASEMATE_RUNTIME=${CASEMATE_RUNTIME:-casemate}
RUNTIME=$(command -v "$CASEMATE_RUNTIME")
HERE=$(cd "$(dirname "$0")" && pwd)
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
WORK=$(mktemp -d /var/tmp/casemate-test.XXXXXX)
export CASEMATE_RUNTIME RUNTIME HERE TOP WORK

# skip WHY: leave the test, counted as skipped.
skip() {
    printf 'SKIP %s\n' "$*"
    exit 77
}

expect_eq() {
    [ "$1" = "$2" ] && return
    printf 'got:      %s\nexpected: %s\n' "$1" "$2"
    return 1
}

expect_match() {
    local text=$1 pattern=$2
    grep -qE -- "$pattern" <<<"$text" && return
    printf 'got:              %s\nwhich lacks:      %s\n' "$text" "$pattern"
    return 1
}

# expect_status STATUS COMMAND...: the command must exit with exactly that status.
expect_status() {
    local wanted=$1 status=0
    shift
    "$@" || status=$?
    expect_eq "$status" "$wanted"
}

# eventually COMMAND...: true as soon as the command is, within ten seconds.
eventually() {
    local try
    for try in {1..100}; do
        "$@" >/dev/null 2>&1 && return
        sleep 0.1
    done
    printf 'after %s tries still not true: %s\n' "$try" "$*"
    return 1
}

is_casemate() { "$RUNTIME" --version 2>/dev/null | grep -q casemate; }

only_casemate() { is_casemate || skip "says something about casemate's defaults only"; }

# The names of the tests as they stand in the program; bash by itself lists them by the alphabet.
tests_in_order() {
    shopt -s extdebug
    declare -F | awk '$3 ~ /^test_/ { print $3 }' | while read -r name; do declare -F "$name"; done | sort -k2n | awk '{ print $1 }'
}

run_tests() {
    local tests test number=0 status failed=0 log=$WORK/log
    mapfile -t tests < <(tests_in_order)
    printf 'TAP version 13\n1..%d\n' "${#tests[@]}"
    for test in "${tests[@]}"; do
        number=$((number + 1))
        # Not in a condition, where bash would ignore `set -e` inside.
        set +e
        (
            set -e
            "$test"
        ) >"$log" 2>&1 </dev/null
        status=$?
        set -e
        case $status in
            0) printf 'ok %d - %s\n' $number "${test#test_}" ;;
            77) printf 'ok %d - %s # SKIP %s\n' $number "${test#test_}" "$(sed -n 's/^SKIP //p' "$log" | tail -n 1)" ;;
            *)
                failed=1
                printf 'not ok %d - %s\n' $number "${test#test_}"
                tail -n 20 "$log" | sed 's/^/# /'
                ;;
        esac
    done
    ! declare -F cleanup >/dev/null || cleanup >/dev/null 2>&1 || true
    rm -rf "$WORK"
    return $failed
}
