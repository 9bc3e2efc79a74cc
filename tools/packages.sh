# packages.sh: installs the Debian packages of the file `packages` that are missing. Sourced by ./demo and ./check, from the root of
# the tree. Needs nothing that a minimal Debian 12 lacks.

# package_group NAME: the packages of one [NAME] group.
package_group() {
    awk -v wanted="[$1]" '/^[[:space:]]*(#|$)/ { next } /^\[/ { inside = ($1 == wanted); next } inside { print $1 }' packages
}

# missing_packages NAME...: those of the groups that are not installed.
missing_packages() {
    local group package
    for group in "$@"; do
        for package in $(package_group "$group"); do
            if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
                echo "$package"
            fi
        done
    done
}

# as_root COMMAND...: directly as root, else through sudo.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "these packages need root and there is no sudo: run as root: apt-get install ${missing[*]}" >&2
        return 1
    fi
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        -o Dpkg::Use-Pty=0 "$@" </dev/null
}

# The package lists are fetched only when apt does not know a package, or when what it knows is out of date.
apt_update() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q </dev/null
}

# install_packages NAME...: says what it installs, then installs it. Its log is build/packages.log.
install_packages() {
    local missing package log=build/packages.log
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        echo "not a Debian system: the file packages names what must be installed; going on with what there is"
        return 0
    fi
    mapfile -t missing < <(missing_packages "$@")
    if [ "${#missing[@]}" -eq 0 ]; then
        return 0
    fi
    echo "installing ${#missing[@]} Debian packages: ${missing[*]}"
    mkdir -p build
    : >"$log"
    for package in "${missing[@]}"; do
        if ! apt-cache show "$package" >/dev/null 2>&1; then
            apt_update >>"$log" 2>&1 || break
            break
        fi
    done
    if ! apt_install "${missing[@]}" >>"$log" 2>&1; then
        if ! { apt_update && apt_install "${missing[@]}"; } >>"$log" 2>&1; then
            tail -n 15 "$log" >&2
            echo "the packages could not be installed; the whole log is $log" >&2
            return 1
        fi
    fi
}

# install_foreign_packages ARCHITECTURE NAME...: the same for groups with packages of another architecture, NAME:ARCHITECTURE.
install_foreign_packages() {
    local missing architecture=$1
    shift
    mapfile -t missing < <(missing_packages "$@")
    if [ "${#missing[@]}" -gt 0 ] && command -v dpkg >/dev/null && ! dpkg --print-foreign-architectures | grep -qx "$architecture"; then
        as_root dpkg --add-architecture "$architecture" || return 1
    fi
    install_packages "$@"
}
