// SPDX-License-Identifier: (GPL-2.0-only OR MIT)
/*
 * The least that a kernel can do for a frame between two interfaces: out by the other one, unread.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* Index of the other interface; set before the program is loaded. */
const volatile __u32 PEER;

SEC("xdp")
int redirect(struct xdp_md *ctx)
{
	(void)ctx;
	return bpf_redirect(PEER, 0);
}

char _license[] SEC("license") = "Dual MIT/GPL";
