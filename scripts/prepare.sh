# SPDX-License-Identifier: BSD-3-Clause
# Sourced by ./demo and ./check: install the Debian packages that are missing. Needs root only if there
# are any.

packages_to_build="build-essential cmake ninja-build pkg-config libuv1-dev libjansson-dev"
packages_for_kernel="linux-source-6.1 bc bison flex make xz-utils"
packages_to_check="libcmocka-dev clang libclang-rt-14-dev llvm clang-format g++"

is_installed() {
    [ "$(dpkg-query -W -f '${Status}' "$1" 2>/dev/null)" = "install ok installed" ]
}

# prepare PACKAGE...
prepare() {
    local package missing=()

    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "installing ${missing[*]} ..." >&2
    if [ "$(id -u)" = 0 ]; then
        install_packages "${missing[@]}"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo bash -c "$(declare -f install_packages); install_packages ${missing[*]}"
    else
        echo "These Debian packages are missing; install them as root and start again:" >&2
        echo "    apt-get install ${missing[*]}" >&2
        return 1
    fi
}

install_packages() {
    export DEBIAN_FRONTEND=noninteractive
    { apt-get -qq update && apt-get -qq -y install --no-install-recommends "$@"; } >/dev/null
}
