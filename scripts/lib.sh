# lib.sh - what the other scripts share; sourced, never run.
#
# Everything built or started by these scripts lives in build/ or in a scratch
# folder of its own; the machine's PostgreSQL is read (copied), never written.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${DYNPIPE_BUILD:-$root/build}
server=$build/pg

say()  { printf '%s\n' "$@"; }
fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# The newest PostgreSQL major (15 to 18) that is installed with its headers.
# PG_MAJOR chooses another one.
pg_major() {
    local major
    for major in ${PG_MAJOR:-18 17 16 15}; do
        if [ -x "/usr/lib/postgresql/$major/bin/postgres" ] &&
           [ -f "/usr/lib/postgresql/$major/lib/pgxs/src/makefiles/pgxs.mk" ]; then
            echo "$major"
            return 0
        fi
    done
    return 1
}

private_bin()    { echo "$server/usr/lib/postgresql/$(pg_major)/bin"; }
private_config() { echo "$(private_bin)/pg_config"; }
pgxs_dir()       { echo "$server/usr/lib/postgresql/$(pg_major)/lib/pgxs/src"; }

# PostgreSQL refuses to run as root: the account that runs it for us.
server_user() {
    if [ "$(id -u)" -ne 0 ]; then id -un
    elif getent passwd postgres >/dev/null; then echo postgres
    else echo nobody
    fi
}

# Run a command as that account, from a folder it can be in.
as_server() {
    if [ "$(id -u)" -ne 0 ]; then "$@"
    else setpriv --reuid="$(server_user)" --regid="$(id -g "$(server_user)")" --clear-groups \
            env HOME=/tmp USER="$(server_user)" LOGNAME="$(server_user)" "$@"
    fi
}

# A new scratch folder that belongs to that account; its path on stdout.
scratch_folder() {
    local dir
    dir=$(mktemp -d "${TMPDIR:-/tmp}/dynpipe-$1.XXXXXX")
    chmod 755 "$dir"
    [ "$(id -u)" -ne 0 ] || chown "$(server_user)": "$dir"
    echo "$dir"
}

# Make the private server usable by that account: where it is, or, when the
# checkout is somewhere only root may look, by a copy in scratch folder $1.
# (Links do not reach another file system, but what was begun would be in the way.)
reachable_server() {
    local part
    if ! as_server test -x "$(private_bin)/postgres" 2>/dev/null; then
        mkdir -p "$1/build"
        for part in pg tools kafka cloud; do
            [ -d "$build/$part" ] || continue
            cp -rl "$build/$part" "$1/build/$part" 2>/dev/null && continue
            rm -rf "$1/build/$part"
            cp -r "$build/$part" "$1/build/$part"
        done
        chmod -R a+rX "$1/build"
        build=$1/build
        server=$build/pg
    fi
}

free_port() {
    perl -MIO::Socket::INET -e \
        'print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")->sockport'
}
