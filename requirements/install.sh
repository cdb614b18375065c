#!/bin/sh
# Finds a Python that can make the virtual environment, and hands over to install.py.
# From the top of the tree: sh requirements/install.sh FOLDER run|dev
#
# PYTHON names the interpreter. Without it the first fit one on PATH is taken: each is tried, for the
# first may be old, or a version switcher's empty shell. The environment's own is passed over: it may
# be about to be replaced.
set -uf
folder=$1 kind=$2
advice='Install one, or name it: make PYTHON=/path/to/python3'

probe='import sys
have = "%d.%d.%d" % sys.version_info[:3]
if sys.version_info < (3, 11):
    print("old " + have)
else:
    try:
        import ensurepip, venv
        print("fit " + have)
    except ImportError:
        print("bare " + have)'

trouble() {
    printf '\n%s\n' "$*" >&2
    exit 1
}

try() { # Sets `found` if the program is fit; else remembers the best reason why none is.
    answer=$("$1" -c "$probe" 2>/dev/null) || answer=
    case $answer in
        fit*) found=$1 ;;
        bare*) bare=${bare:-"$1 (Python ${answer#* })"} ;;
        old*) old=${old:-"$1 is Python ${answer#* }"} ;;
    esac
}

search() {
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        IFS=:
        for place in $PATH; do
            [ -x "$place/$name" ] && [ "$place" != "$PWD/$folder/bin" ] && try "$place/$name"
            [ -z "$found" ] || return
        done
    done
}

found='' bare='' old=''
if [ -n "${PYTHON:-}" ]; then
    try "$PYTHON"
else
    search
fi
unset IFS

[ -z "$found" ] || exec "$found" -I requirements/install.py "$folder" "$kind"
[ -z "$bare" ] || trouble "$bare cannot make virtual environments: install its venv module" \
    "(Debian and Ubuntu: apt install python3-venv), or name another Python: make PYTHON=/path/to/python3"
[ -z "$old" ] || trouble "$old, and Gapless needs 3.11 or newer. $advice"
[ -z "${PYTHON:-}" ] || trouble "PYTHON=$PYTHON is not a Python that runs: name one that is 3.11 or newer, or leave it out."
trouble "No Python was found, and Gapless needs 3.11 or newer (Debian and Ubuntu: apt install python3-venv). $advice"
