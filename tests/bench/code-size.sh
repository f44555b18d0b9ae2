#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# How much code the freestanding rpmsg remote is at -Os: everything from shared memory to endpoints, linked
# for a program that uses all of its calls, without what nothing refers to.
# code-size.sh [C_COMPILER...]    (default: cc, and the cross compilers that are installed)
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A program that needs all of it, and a place for what a C library would bring.
cat >"$work/user.c" <<'EOF'
#include "viaduct/rpmsg_remote.h"

struct vd_rpmsg_remote remote;
static struct vd_rpmsg_ept ept;
static unsigned long long memory[4096];

static enum vd_rpmsg_verdict echo(struct vd_rpmsg_ept *e, const struct vd_rpmsg_msg *msg)
{
	vd_rpmsg_trysendto(e, msg->data, msg->len, msg->src);
	vd_rpmsg_send(e, msg->data, msg->len);
	return VD_RPMSG_HOLD;
}

void start(const struct vd_device_transport_ops *transport, const struct vd_mem *mem,
	   const struct vd_queue_setup *setup);
void start(const struct vd_device_transport_ops *transport, const struct vd_mem *mem,
	   const struct vd_queue_setup *setup)
{
	struct vd_rpmsg_remote_config config = VD_RPMSG_REMOTE_DEFAULTS;
	struct vd_rpmsg_msg msg = {0};
	struct vd_rpmsg_tx tx;

	config.packed = PACKED;
	vd_rpmsg_remote_init(&remote, &config, memory, sizeof(memory));
	vd_rpmsg_create_ept(&remote.link, &ept, "echo", VD_RPMSG_ADDR_ANY, VD_RPMSG_ADDR_ANY, echo, 0);
	vd_device_attach(&remote.dev, transport, 0, mem, ~0ull);
	vd_device_set_features(&remote.dev, vd_device_offered(&remote.dev));
	vd_device_queue_enable(&remote.dev, 0, setup);
	vd_device_set_status(&remote.dev, 15);
	vd_device_kick(&remote.dev, 1);
	vd_rpmsg_poll(&remote.link, 1);
	vd_rpmsg_release(&msg);
	vd_rpmsg_tx_begin(&remote.link, &tx);
	vd_rpmsg_tx_commit(&tx, 1, 2, 3);
	vd_rpmsg_tx_abort(&tx);
	vd_rpmsg_destroy_ept(&ept);
}
EOF

sources="src/mem/*.c src/ring/layout.c src/ring/order.c src/ring/walk.c src/ring/vq_dev.c src/ring/split_dev.c
    src/ring/packed.c src/ring/packed_dev.c src/virtio/device.c src/virtio/device_config.c
    src/virtio/features.c src/rpmsg/*.c"

# measure COMPILER LAYOUTS PACKED
measure() {
    local cc=$1 flags
    flags="-std=c11 -Os -ffreestanding -fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections -Iinclude -Isrc"
    case $cc in *arm-none-eabi*) flags="$flags -mcpu=cortex-m4 -mthumb" ;; esac
    # shellcheck disable=SC2086
    "$cc" $flags "-DPACKED=$3" -nostdlib -static -Wl,--gc-sections -Wl,-e,start \
        -Wl,--unresolved-symbols=ignore-all -o "$work/image" "$work/user.c" $sources 2>"$work/log" ||
        { cat "$work/log"; return 1; }
    size "$work/image" | awk -v cc="$cc" -v layouts="$2" \
        'NR == 2 { printf "%-28s %-14s %6d bytes of code and constants\n", cc, layouts, $1 + $2 }'
}

[ $# -gt 0 ] || set -- cc $(for c in arm-none-eabi-gcc riscv64-linux-gnu-gcc aarch64-linux-gnu-gcc; do
    command -v "$c" >/dev/null && echo "$c" || :; done)
for cc; do
    measure "$cc" split NULL
    measure "$cc" "split + packed" "&vd_packed_dev"
done
