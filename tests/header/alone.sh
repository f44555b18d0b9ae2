#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# alone.sh INCLUDE_DIR COMPILER FLAG...: every public header, by itself and included twice, without a
# warning.
set -u
include=$1
shift
command -v "$1" >/dev/null || exit 77
status=0
for header in "$include"/viaduct/*.h; do
  name=viaduct/${header##*/}
  printf '#include "%s"\n#include "%s"\nint unused_but_not_empty;\n' "$name" "$name" |
    "$@" -I"$include" -Wall -Wextra -Werror -pedantic-errors -fsyntax-only - || {
    echo "$name does not compile alone"
    status=1
  }
done
exit $status
