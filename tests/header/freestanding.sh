#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# freestanding.sh OBJECT...: the objects, put together, need nothing but <string.h> and what a compiler
# brings along.
set -u
library='memcpy|memmove|memset|memcmp|strlen|strcmp|strncmp'
# Division and shifts of 64 bits on 32-bit machines, and Arm's names for them and for <string.h>. Not
# atomics: a compiler that calls a function for them needs a library with locks.
runtime='__(u?divdi3|u?moddi3|u?divmoddi4|ashldi3|ashrdi3|lshrdi3|popcountdi2|popcountsi2|aeabi_[a-z0-9_]+|bswap[sd]i2)'
defined=$(nm --defined-only "$@" | awk 'NF == 3 { print $3 }' | sort -u)
missing=$(nm --undefined-only "$@" | awk 'NF == 2 { print $2 }' | sort -u |
  grep -vxE "$library|$runtime|_GLOBAL_OFFSET_TABLE_|__x86\..*" | grep -vxF "$defined")
[ -n "$defined" ] || { echo "no symbols found"; exit 1; }
[ -z "$missing" ] || { printf 'the core needs:\n%s\n' "$missing"; exit 1; }
