# Sourced by the other scripts: makes the virtual environment in the clone and installs what they need, once.
# Usage: . scripts/environment.sh; prepare [extra]      (afterwards $python is the environment's)

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python="$root/.venv/bin/python"

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "Python 3.11 or newer is needed, and none was found. Name one: PYTHON=/path/to/python $0" >&2
    return 1
}

prepare() {
    local extra="${1:-}" wanted stamp="$root/.venv/prepared"
    # One clone may be prepared by two scripts at once; the second waits for the first.
    if command -v flock >/dev/null; then
        mkdir -p "$root/.venv"
        exec 9>"$root/.venv.lock"
        flock 9
    fi
    wanted=$(cat "$root/pyproject.toml" "$root/constraints.txt" | cksum)
    if [ "$(cat "$stamp$extra" 2>/dev/null)" != "$wanted" ] || ! "$python" -c 'import firstbell' 2>/dev/null; then
        local base
        base=$(find_python) || return 1
        echo "Installing into $root/.venv …" >&2
        # Not cleared where it works: something may be running from it.
        if ! "$python" -c '' 2>/dev/null && ! "$base" -m venv --clear "$root/.venv"; then
            echo "The virtual environment could not be made. On Debian and Ubuntu: apt-get install python3-venv" >&2
            return 1
        fi
        "$python" -m pip install --quiet --disable-pip-version-check \
            --constraint "$root/constraints.txt" --editable "$root${extra:+[$extra]}" >&2 || return 1
        echo "$wanted" >"$stamp$extra"
        # What has the extra has the rest as well.
        echo "$wanted" >"$stamp"
    fi
    if command -v flock >/dev/null; then flock -u 9; fi
}
