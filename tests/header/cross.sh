#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# cross.sh SOURCE_DIR "SOURCE ..." COMPILER FLAG...: the core built for another machine, with no C
# library in sight, and looked at by freestanding.sh.
set -u
here=$(cd "$(dirname "$0")" && pwd)
top=$1
read -r -a sources <<<"$2"
shift 2
command -v "$1" >/dev/null || exit 77
echo 'int x;' | "$@" -xc -c -o /dev/null - 2>/dev/null || exit 77
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
headers=$("$@" -print-file-name=include)
objects=()
for source in "${sources[@]}"; do
  object=$work/${source//\//_}.o
  "$@" -std=c11 -O1 -ffreestanding -nostdinc -isystem "$headers" -isystem "$here/freestanding" \
    -I"$top/include" -I"$top/src" \
    -Wall -Wextra -Werror -c "$top/src/$source" -o "$object" || exit 1
  objects+=("$object")
done
"$here/freestanding.sh" "${objects[@]}"
