#!/bin/sh
# Asks the API of a running stack for everything that its OpenAPI document
# promises, and for much that it does not: tests/schemathesis.toml says how.
# By hand, against the stack of `make up`, with any option of `st run`:
#
#   tests/schemathesis.sh --include-path /profiles
set -eu
cd "$(dirname "$0")/.."
set -a
. "${MUSTER_ENV_FILE:-$PWD/.local/env}"
set +a

case $MUSTER_API_URL in
# `*.localhost` is this machine (RFC 6761), but glibc does not know. The
# emulator has another address for it.
http://*.execute-api.localhost:*)
    id=${MUSTER_API_URL#http://}
    api="$AWS_ENDPOINT_URL/_aws/execute-api/${id%%.*}/\$default"
    ;;
*) api=$MUSTER_API_URL ;;
esac

# What Hypothesis keeps for itself, out of the way.
export HYPOTHESIS_STORAGE_DIRECTORY=target/hypothesis

exec .venv/schemathesis/bin/st --config-file tests/schemathesis.toml \
    run --url "$api" "$@" functions/api/openapi.json
