# shellcheck shell=bash
# What the test programs of integration/ share. `hack/integration` runs them on the test host of hack/vm as root, each
# directory on a machine of its own.
#
# A program sources this file, says what it tests, holds its tests and ends with `run_tests`:
#
#     engine podman "$(podman --version)"  a column of docs/user/COMPAT.md; a program without it has no column
#     feature exec quick                   all tests down to the next `feature` belong to that row of the table, and are
#                                          part of the quick run that hack/test makes
#     test_exec_gives_the_status() { ... } a test: its name says a behaviour, it fails when one of its commands fails
#
# Rows have the same name for every engine: look at docs/user/COMPAT.md before inventing one. A row is "yes" when all of its
# tests pass. A test that has shown that something does not work by design ends with `no WHY`; one that works in another way than
# with runc, with `differs WHY`; one for which the user has to give something ordinary, with `works_with WHAT`. All three stand in
# the table.
#
# A line `# vm: OPTIONS` in the head of a program is for hack/vm and gives it a machine of its own; `# slow` leaves the program out of
# the quick run. An executable file `prepare` in the directory is run on the host first, with a directory as its
# argument; what it puts there is in $PREPARED.
#
# CASEMATE_RUNTIME is the runtime under test: the name podman knows it by, and a program in the PATH (default: casemate).
# CASEMATE_QUICK is set for the quick run, TEST_LIMIT the seconds that one test may take, CASEMATE_ONLY a pattern of test names.

CASEMATE_RUNTIME=${CASEMATE_RUNTIME:-casemate}
RUNTIME=$(command -v "$CASEMATE_RUNTIME")
HERE=$(cd "$(dirname "$0")" && pwd)
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
WORK=$(mktemp -d /var/tmp/casemate-test.XXXXXX)
PREPARED=${PREPARED:-/share/prepared}
export CASEMATE_RUNTIME RUNTIME HERE TOP WORK PREPARED
chmod 755 "$WORK"

FEATURES=() # "LINE NAME" of each heading, in order
QUICK=()    # the names of those in the quick run

# engine NAME [VERSION]: the tests are of this engine.
engine() {
    printf '# engine %s\n# version %s\n' "$1" "${2:-}"
}

# feature NAME [quick]: a heading for the tests below.
feature() {
    FEATURES+=("${BASH_LINENO[0]} $1")
    [ "${2:-}" != quick ] || QUICK+=("$1")
}

# skip WHY: leave the test, counted as skipped.
skip() {
    printf 'SKIP %s\n' "$*"
    exit 77
}

# no WHY: the test has shown that the feature is not there, and that it says so properly.
no() {
    printf 'NO %s\n' "$*"
    exit 78
}

# differs WHY: the test has shown that the feature works, but not as with runc.
differs() {
    printf 'DIFFERS %s\n' "$*"
    exit 79
}

# works_with WHAT: the feature is there; the table says what it needs.
works_with() { printf 'WITH %s\n' "$*"; }

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

# expect_refusal PATTERN COMMAND...: the command must fail and say why.
expect_refusal() {
    local pattern=$1 said status=0
    shift
    said=$("$@" 2>&1) || status=$?
    [ "$status" != 0 ] || { printf 'not refused: %s\n%s\n' "$*" "$said"; return 1; }
    expect_match "$said" "$pattern"
}

# eventually COMMAND...: true as soon as the command is, within a minute: the host may be busy with other things.
eventually() {
    local said status end=$((SECONDS + 60))
    while :; do
        status=0
        said=$("$@" 2>&1) || status=$?
        [ "$status" != 0 ] || return 0
        [ "$SECONDS" -lt "$end" ] || break
        sleep 0.1
    done
    printf 'still not true after a minute: %s\nstatus %s, it says: %s\n' "$*" "$status" "$said"
    return 1
}

# as_user COMMAND...: as the ordinary user of the test host, with the user's systemd, bus and runtime directory, but in our own
# cgroup: outside of what is delegated to the user. `systemctl start user@1000` comes first.
as_user() {
    setpriv --reuid 1000 --regid 1000 --init-groups --reset-env env -C /home/user \
        XDG_RUNTIME_DIR=/run/user/1000 DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus "$@"
}

# as_login COMMAND...: the same in a cgroup beside user@1000.service, where logind puts the sessions of ssh and consoles.
as_login() {
    systemd-run --quiet --slice user-1000.slice -p User=user -p WorkingDirectory=/home/user --pipe --wait \
        -E XDG_RUNTIME_DIR=/run/user/1000 -E PATH="$PATH" "$@"
}

# as_delegated COMMAND...: the same in a scope of the user's own systemd.
as_delegated() { as_user systemd-run --user --quiet --scope -p Delegate=yes "$@"; }

is_casemate() { "$RUNTIME" --version 2>/dev/null | grep -q casemate; }

only_casemate() { is_casemate || skip "says something about casemate's defaults only"; }

# "LINE NAME" of the tests as they stand in the program; bash by itself lists them by the alphabet.
tests_in_order() {
    shopt -s extdebug
    declare -F | awk '$3 ~ /^test_/ { print $3 }' | while read -r name; do declare -F "$name"; done |
        sort -k2n | awk '{ print $2, $1 }'
}

# feature_of LINE: the heading above that line.
feature_of() {
    local heading found=''
    for heading in "${FEATURES[@]}"; do
        [ "${heading%% *}" -gt "$1" ] || found=${heading#* }
    done
    printf '%s' "$found"
}

# in_this_run FEATURE TEST: false for what the quick run leaves out, and for tests that nobody asked for.
in_this_run() {
    [[ $2 =~ ${CASEMATE_ONLY:-} ]] || return 1
    [ -n "${CASEMATE_QUICK:-}" ] && [ ${#FEATURES[@]} -gt 0 ] || return 0
    local name
    for name in "${QUICK[@]}"; do
        [ "$name" != "$1" ] || return 0
    done
    return 1
}

# limited TEST: run a test, and end it with all that it started in the foreground when it takes too long.
limited() {
    local pid dog status=0
    set -m
    (
        set -e
        "$1"
    ) >"$WORK/log" 2>&1 </dev/null &
    pid=$!
    (
        sleep "${TEST_LIMIT:-300}"
        echo "took more than ${TEST_LIMIT:-300} seconds" >>"$WORK/log"
        kill -KILL -- "-$pid"
    ) >/dev/null 2>&1 &
    dog=$!
    set +m
    wait "$pid" 2>/dev/null || status=$?
    kill -KILL -- "-$dog" 2>/dev/null || true
    wait "$dog" 2>/dev/null || true
    return "$status"
}

# report NUMBER NAME STATUS SECONDS: one line of TAP, and what a failed test said.
report() {
    local line="$1 - $2" with
    case $3 in
        0)
            with=$(sed -n 's/^WITH //p' "$WORK/log" | tail -n 1)
            printf 'ok %s%s\n' "$line" "${with:+ # WITH $with}"
            ;;
        77) printf 'ok %s # SKIP %s\n' "$line" "$(sed -n 's/^SKIP //p' "$WORK/log" | tail -n 1)" ;;
        78) printf 'ok %s # NO %s\n' "$line" "$(sed -n 's/^NO //p' "$WORK/log" | tail -n 1)" ;;
        79) printf 'ok %s # DIFFERS %s\n' "$line" "$(sed -n 's/^DIFFERS //p' "$WORK/log" | tail -n 1)" ;;
        *)
            printf 'not ok %s\n' "$line"
            tail -n 20 "$WORK/log" | sed 's/^/# /'
            ;;
    esac
    [ "$4" -lt 10 ] || printf '# took %s s\n' "$4"
}

# What a failed test left must not be in the way of the others; `tidy`, where there is one, leaves what they all need.
after_failure() {
    if declare -F tidy; then
        tidy
    elif declare -F cleanup; then
        cleanup
    fi
}

run_tests() {
    local all=() line test name features=() names=() index status began failed=0
    mapfile -t all < <(tests_in_order)
    for test in "${all[@]}"; do
        line=${test%% *} test=${test#* }
        name=$(feature_of "$line")
        in_this_run "$name" "$test" || continue
        features+=("$name") names+=("$test")
    done
    printf 'TAP version 13\n1..%d\n' "${#names[@]}"
    for index in "${!names[@]}"; do
        name=${names[$index]#test_}
        [ -z "${features[$index]}" ] || name="${features[$index]}: $name"
        began=$SECONDS
        # Not in a condition: bash ignores `set -e` in all that is called there, subshells in the background too.
        set +e
        limited "${names[$index]}"
        status=$?
        set -e
        report $((index + 1)) "$name" "$status" $((SECONDS - began))
        case $status in
            0 | 77 | 78 | 79) ;;
            *)
                failed=1
                after_failure >/dev/null 2>&1 </dev/null || true
                ;;
        esac
    done
    ! declare -F cleanup >/dev/null || cleanup >/dev/null 2>&1 </dev/null || true
    rm -rf "$WORK"
    return $failed
}
