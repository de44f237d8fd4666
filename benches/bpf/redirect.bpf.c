// SPDX-License-Identifier: (GPL-2.0-only OR MIT)
/*
 * The least that a switch can do: every frame that an interface receives leaves by another one, in
 * XDP, unread. It stands for what the kernel and the wires allow.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* Where frames go: an interface of the same namespace. Set when the program is loaded. */
const volatile __u32 out_ifindex;

SEC("xdp")
int redirect(struct xdp_md *ctx __attribute__((unused)))
{
	return bpf_redirect(out_ifindex, 0);
}

char _license[] SEC("license") = "Dual MIT/GPL";
