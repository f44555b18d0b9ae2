#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Runs inside the kernel: one word to the echo service and back.
until [ -c /dev/rpmsg0 ]; do sleep 0.02; done
exec 3<>/dev/rpmsg0
printf hello >&3
head -c 5 <&3
