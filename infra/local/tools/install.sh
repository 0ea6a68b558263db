#!/bin/sh
# Installs what the Makefile needs into .venv/, or only what is named, once: a
# stamp says which versions are there. Says what is missing, and what to do about
# it.
set -eu
cd "$(dirname "$0")/../../.."

missing() {
    echo "error: $1" >&2
    echo "       $2" >&2
    exit 1
}

command -v cargo >/dev/null 2>&1 ||
    missing "cargo is not installed" "Install Rust from https://rustup.rs and run this again."
command -v python3 >/dev/null 2>&1 ||
    missing "python3 is not installed" "Install Python 3.10 or newer and run this again."
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    missing "python3 is too old: $(python3 --version)" "Install Python 3.10 or newer and run this again."
python3 -c 'import ensurepip, venv' 2>/dev/null ||
    missing "this Python has no venv module" "On Debian and Ubuntu: apt-get install python3-venv"

install() {
    name=$1
    requirements=infra/local/tools/requirements-$name.txt
    stamp=.venv/$name/installed.txt
    cmp -s "$requirements" "$stamp" && return
    echo "Installing $(grep -v '^#' "$requirements" | tr '\n' ' ')into .venv/$name"
    rm -rf ".venv/$name"
    python3 -m venv ".venv/$name"
    ".venv/$name/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements" ||
        missing "pip could not install $requirements" "Is there a network and a package index (PyPI)? The lines above say what failed."
    cp "$requirements" "$stamp"
}

[ $# -gt 0 ] || set -- emulator sam schemathesis
for one; do
    install "$one"
done
