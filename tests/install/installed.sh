#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# An installed tree, moved away from where it was built, is enough to compile and run a program of a
# user's, through pkg-config and through CMake, and `viaduct` works from there.
# installed.sh BUILD_DIRECTORY SOURCE_DIRECTORY C_COMPILER
set -eu
build=$1
source=$2
cc=$3
work=$(mktemp -d)
backend=
trap 'kill $backend 2>/dev/null || :; rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/first" >/dev/null
mv "$work/first" "$work/moved"
export PKG_CONFIG_PATH=$(echo "$work"/moved/lib*/pkgconfig "$work"/moved/lib/*/pkgconfig | tr ' ' ':')

# shellcheck disable=SC2046
"$cc" -std=gnu11 -Wall -Werror -o "$work/with-pkg-config" "$source/examples/echo-backend.c" \
    $(pkg-config --cflags --libs viaduct)

mkdir "$work/project"
cp "$source/examples/echo-backend.c" "$work/project"
cat >"$work/project/CMakeLists.txt" <<'EOF'
cmake_minimum_required(VERSION 3.25)
project(user C)
find_package(viaduct 0.1 REQUIRED)
add_executable(with-cmake echo-backend.c)
target_compile_definitions(with-cmake PRIVATE _GNU_SOURCE)
target_link_libraries(with-cmake PRIVATE viaduct::viaduct)
EOF
cmake -S "$work/project" -B "$work/project/build" -DCMAKE_PREFIX_PATH="$work/moved" \
    -DCMAKE_C_COMPILER="$cc" >/dev/null
cmake --build "$work/project/build" >/dev/null

for program in "$work/with-pkg-config" "$work/project/build/with-cmake"; do
    "$program" "$work/socket" &
    backend=$!
    until [ -S "$work/socket" ]; do sleep 0.02; done
    said=$("$work/moved/bin/viaduct" linux --device "vhost-user:$work/socket,id=7" -- \
        "$source/tests/install/say-hello.sh")
    [ "$said" = "hello" ] || { echo "the echo said '$said'"; exit 1; }
    kill "$backend"
    wait "$backend" || :
    rm -f "$work/socket"
done
