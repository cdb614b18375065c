#!/bin/sh
# Renews the lock files from pyproject.toml: sh requirements/lock.sh UV [--upgrade]
# run.txt is cut from the same cloth as dev.txt, so that going from one to the other changes no version.
# Locks name no package index: each machine uses its own.
set -eu
uv=$1
shift
cd "$(dirname "$0")/.."
export UV_CUSTOM_COMPILE_COMMAND='make lock'

compile() {
    "$uv" pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links "$@"
}

compile --all-extras --output-file requirements/dev.txt "$@"
compile --extra embedded --extra jwks --extra metrics --group build --constraints requirements/dev.txt \
    --output-file requirements/run.txt "$@"
