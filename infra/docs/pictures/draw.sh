#!/bin/sh
# Redraws system-light.svg and system-dark.svg from system.dot. Needs node 18 or newer
# and npm; installs a pinned Graphviz (compiled to WebAssembly) into .venv/pictures.
set -eu
cd "$(dirname "$0")"
tools=$(cd ../../.. && pwd)/.venv/pictures
npm install --silent --no-save --no-package-lock --prefix "$tools" @viz-js/viz@3.31.0
node draw.mjs "$tools" "$PWD"
