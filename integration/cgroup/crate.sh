#!/bin/bash
# The tests of crates/cgroup that need a host with all cgroup v2 controllers, systemd and a user's session.
set -euo pipefail
# shellcheck source=integration/lib.sh
. "$(dirname "$0")/../lib.sh"

# Each by itself, so that one that hangs does not take the others along.
one() { "$PREPARED/$1" --ignored --exact "$2"; }
one_as_user() { as_user "$WORK/$1" --ignored --exact "$2"; }

# add PROGRAM PATTERN RUNNER: the matching tests of a program become tests of this one.
add() {
    local name
    for name in $("$PREPARED/$1" --list --ignored 2>/dev/null | sed -n 's/: test$//p' | grep -E "$2"); do
        eval "test_${1}_$name() { $3 $1 $name; }"
    done
}

# The share is not the user's to read.
install -m 755 "$PREPARED/systemd" "$WORK/systemd"
add controllers . one
add systemd '^system_' one
# user_scope_from_inside is a part of another test.
add systemd '^user_.*(limits|namespace|apart)$' one_as_user
systemctl start user@1000
run_tests
