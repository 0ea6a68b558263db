#!/bin/sh
# `make test`: one stage after the other, the first failure ends it; the time
# of each is printed at the end.
set -u
cd "$(dirname "$0")/.."

# The system tests have a stack of their own, beside the one of `make up`.
export MUSTER_LOCAL_PORT=${MUSTER_TEST_PORT:-4577}
export MUSTER_LOCAL_DIR=.local/test
export MUSTER_ENV_FILE=$PWD/.local/test/env
unset AWS_ENDPOINT_URL AWS_PROFILE
local="cargo run --quiet --bin muster-local --"
times=""

stage() {
    name=$1
    shift
    printf '\n== %s\n' "$name"
    start=$(date +%s)
    "$@"
    status=$?
    times="$times$(printf '%-12s %4d s' "$name" $(($(date +%s) - start)))
"
    if [ $status -ne 0 ]; then
        printf '\n%s\nFAILED: %s\n' "$times" "$name"
        exit 1
    fi
}

stack() {
    # A run that was cut off may have left its stack behind.
    $local down >/dev/null
    trap '$local down >/dev/null' EXIT
    $local up
}

documentation() {
    RUSTDOCFLAGS="-D warnings" cargo doc --quiet --workspace --no-deps
}

# Each command selects the whole workspace: another selection has other features, and
# compiles the AWS SDK once more.
stage format cargo fmt --check
stage lints cargo clippy --quiet --workspace --all-targets -- -D warnings
stage docs documentation
stage units cargo test --workspace --lib --bins
stage simulation cargo test --workspace --test simulation --test api
stage template env AWS_DEFAULT_REGION=us-east-1 sam validate --lint
stage rules cargo test --workspace --test template --test structure
stage functions make --no-print-directory build
stage bootstraps cargo test --workspace --test bootstraps
stage kills cargo test --workspace --test kill
stage stack stack
# Before the system tests, whose imports make the emulator's lists slow.
stage contract tests/schemathesis.sh
stage system cargo test --workspace --test system -- --skip outage --skip hundred_thousand
# By itself: meanwhile nobody is sent a mail.
stage outage cargo test --workspace --test system outage
# Last: so many profiles make the emulator's lists slow.
stage import cargo test --workspace --test system hundred_thousand

printf '\n%s' "$times"
