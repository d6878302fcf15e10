# Sourced by ../server, ../client and ../install. Sees to it that the suite is installed and sets
# AUTOBAHN_PYTHON (the interpreter) and PYTHONPATH (the suite, made to run on Python 3). It is kept in
# ${XDG_CACHE_HOME:-~/.cache}/tidegate, under a name made of all that goes into it.

autobahn_die() { echo "autobahn: $*" >&2; exit 2; }

autobahn_install() { # FOLDER
    rm -rf "$1" && "$python" -m venv "$1" ||
        autobahn_die "cannot make a virtual environment with $python (Debian: apt-get install python3-venv)"
    local pip=("$1/bin/python" -m pip --disable-pip-version-check -q install --no-deps --require-hashes)
    "${pip[@]}" -r "$lib/requirements-build.txt" || return
    "${pip[@]}" --no-build-isolation -r "$lib/requirements.txt" || return
    local packages
    packages=$("$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))') || return
    "$1/bin/python" "$lib/port.py" "$packages/autobahntestsuite" "$1/port" || return
    PYTHONPATH="$1/port" "$1/bin/python" -W ignore -c 'from autobahntestsuite import fuzzing; assert len(fuzzing.Cases) == 517' || return
    touch "$1/ready"
}

autobahn_usable() { [ -e "$1/ready" ] && "$1/bin/python" -c '' 2>/dev/null; }

autobahn_environment() { # LIB
    local lib=$1 python tag key cache folder
    python=$(command -v "${AUTOBAHN_PYTHON:-python3}") || autobahn_die "there is no ${AUTOBAHN_PYTHON:-python3}; AUTOBAHN_PYTHON names another"
    tag=$("$python" -c 'import sys; assert sys.version_info >= (3, 11); print("cp%d%d-%s" % (sys.version_info[:2] + (sys.platform,)))' 2>/dev/null) ||
        autobahn_die "$python is older than Python 3.11; AUTOBAHN_PYTHON names another"
    key=$(cat "$lib"/requirements*.txt "$lib/port.py" | sha256sum | cut -c1-12)
    cache=${XDG_CACHE_HOME:-${HOME:-.}/.cache}/tidegate
    folder=$cache/autobahn-$tag-$(uname -m)-$key
    if ! autobahn_usable "$folder"; then
        mkdir -p "$cache" || autobahn_die "cannot write to $cache"
        # The installation inherits the lock, so that one whose parent was ended still keeps others out.
        (
            flock -w 900 9 || autobahn_die "another installation holds $cache/autobahn.lock"
            autobahn_usable "$folder" && exit 0
            echo "autobahn: the suite is installed once, into $folder" >&2
            export -f autobahn_install autobahn_die
            python=$python lib=$lib timeout -k 10 900 bash -c 'autobahn_install "$1"' - "$folder" >&2 || autobahn_die "the installation failed"
        ) 9>"$cache/autobahn.lock" || exit 2
    fi
    AUTOBAHN_PYTHON=$folder/bin/python
    export PYTHONPATH=$folder/port PYTHONDONTWRITEBYTECODE=1
}
