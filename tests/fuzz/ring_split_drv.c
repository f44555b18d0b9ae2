/* SPDX-License-Identifier: BSD-3-Clause */
#include "ring_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_drv(false, data, size);
	return 0;
}
