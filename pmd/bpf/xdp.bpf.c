// SPDX-License-Identifier: (GPL-2.0-only OR MIT)
/*
 * What a port's interface does with a frame before user space sees it: to the AF_XDP socket of its
 * receive queue, to the host's kernel, or away.
 *
 * LACP, LLDP and CDP from the wire go to the kernel, where the daemon's control sockets hear them: a
 * full data queue must not cost a port-channel.
 *
 * Away go, counted, only frames that the switch would drop unseen anyway: spanning-tree BPDUs from
 * the wire, and VLANs that no port of this host is in. A switch cannot tell the physical network which
 * VLANs it needs, so it gets the broadcasts of all of them; this is where that costs least.
 *
 * A queue without a socket passes to the kernel: a daemon that is not ready takes nobody's traffic.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define QUEUES_MAX 64
#define VLAN_WORDS 64 /* 4096 VLANs, 64 a word */
#define VID_RESERVED 4095 /* IEEE 802.1Q table 9-2 */

/* struct settings: flags. Mirrored in pmd/src/xdp.rs. */
#define FILTER_BPDUS 1u /* an uplink: BPDUs go no further */
#define FILTER_VLANS 2u /* an uplink: `vlans` counts */
#define HOST_TRAFFIC 4u /* the interface carries the host's own traffic too */
#define CONTROL_TO_KERNEL 8u /* an uplink: control frames are heard elsewhere */

struct settings {
	__u32 flags;
	__u16 native_vlan; /* of untagged frames; 0: none */
	__u8 host_mac[ETH_ALEN];
};

/* Indexes of `outcomes`. Mirrored in pmd/src/xdp.rs. */
enum outcome {
	TO_SOCKET,
	TO_KERNEL_NO_SOCKET,
	TO_KERNEL_HOST,
	TO_KERNEL_CONTROL,
	DROPPED_BPDU,
	DROPPED_NOT_ALLOWED, /* the uplink does not carry the VLAN */
	DROPPED_NO_MEMBER, /* it does, but no port here is in it */
	OUTCOMES,
};

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
} port_settings SEC(".maps");

/* Word v / 64 has bit v % 64 for VLAN v. */
struct vlan_word {
	__u64 allowed; /* the uplink carries it */
	__u64 wanted; /* and a port of this host is in it */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, VLAN_WORDS);
	__type(key, __u32);
	__type(value, struct vlan_word);
} vlans SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OUTCOMES);
	__type(key, __u32);
	__type(value, __u64);
} outcomes SEC(".maps");

struct vlan_tag {
	__be16 tci;
	__be16 ether_type;
};

static __always_inline void count(__u32 outcome)
{
	__u64 *frames = bpf_map_lookup_elem(&outcomes, &outcome);

	if (frames)
		*frames += 1; /* per CPU, and not preempted in between */
}

static __always_inline int same_mac(const __u8 *a, const __u8 *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3] && a[4] == b[4] &&
	       a[5] == b[5];
}

/*
 * IEEE 802.1Q table 8-1: the bridge group address and the provider bridge's; and Cisco's PVST+.
 * LLDP may use the first one too (IEEE 802.1AB table 7-1: nearest customer bridge).
 */
static __always_inline int is_bpdu(const struct ethhdr *eth)
{
	static const __u8 bridge[] = { 0x01, 0x80, 0xc2, 0x00, 0x00, 0x00 };
	static const __u8 provider[] = { 0x01, 0x80, 0xc2, 0x00, 0x00, 0x08 };
	static const __u8 pvst[] = { 0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcd };
	const __u8 *dst = eth->h_dest;

	if (same_mac(dst, bridge))
		return eth->h_proto != bpf_htons(ETH_P_LLDP);
	return same_mac(dst, provider) || same_mac(dst, pvst);
}

/* 01:80:c2:00:00:0x and 01:00:0c:cc:cc:cc: LACP, LLDP, CDP. They belong to the link, not a VLAN. */
static __always_inline int is_link_control(const __u8 *dst)
{
	static const __u8 cdp[] = { 0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcc };

	return (dst[0] == 0x01 && dst[1] == 0x80 && dst[2] == 0xc2 && !dst[3] && !dst[4] &&
		!(dst[5] & 0xf0)) || same_mac(dst, cdp);
}

/* LACP and marker, LLDP, CDP: what R1 gives to a control task. Anything else is for the core to refuse. */
static __always_inline int is_for_control(const struct ethhdr *eth)
{
	static const __u8 slow[] = { 0x01, 0x80, 0xc2, 0x00, 0x00, 0x02 };

	if (!is_link_control(eth->h_dest))
		return 0;
	if (eth->h_dest[1] == 0x00)
		return 1; /* CDP */
	return eth->h_proto == bpf_htons(ETH_P_LLDP) ||
	       (eth->h_proto == bpf_htons(ETH_P_SLOW) && same_mac(eth->h_dest, slow));
}

/*
 * What becomes of frames of a VLAN: to a socket, or one of the two DROPPED outcomes. The reserved
 * VID goes to the socket: user space has a drop reason of its own for it.
 */
static __always_inline enum outcome vlan_outcome(__u16 vlan)
{
	__u32 index = vlan / 64;
	const struct vlan_word *word = bpf_map_lookup_elem(&vlans, &index);
	__u64 bit = 1ull << (vlan % 64);

	if (vlan == VID_RESERVED)
		return TO_SOCKET;
	if (!word || !(word->allowed & bit))
		return DROPPED_NOT_ALLOWED;
	return word->wanted & bit ? TO_SOCKET : DROPPED_NO_MEMBER;
}

/* The VLAN of a frame: of its tag, or the native one when it has none or a priority tag. */
static __always_inline __u16 vlan_of(const struct ethhdr *eth, const void *end,
				     const struct settings *settings)
{
	const struct vlan_tag *tag = (const void *)(eth + 1);
	__u16 vid = 0;

	if (eth->h_proto == bpf_htons(ETH_P_8021Q) && (const void *)(tag + 1) <= end)
		vid = bpf_ntohs(tag->tci) & 0x0fff;
	return vid ? vid : settings->native_vlan;
}

SEC("xdp.frags")
int weft_port(struct xdp_md *ctx)
{
	const void *end = (const void *)(long)ctx->data_end;
	const struct ethhdr *eth = (const void *)(long)ctx->data;
	__u32 queue = ctx->rx_queue_index;
	__u32 zero = 0;
	const struct settings *settings = bpf_map_lookup_elem(&port_settings, &zero);

	if (!settings || (const void *)(eth + 1) > end)
		return XDP_PASS;
	if (!bpf_map_lookup_elem(&sockets, &queue)) {
		count(TO_KERNEL_NO_SOCKET);
		return XDP_PASS;
	}
	if (settings->flags & FILTER_BPDUS && is_bpdu(eth)) {
		count(DROPPED_BPDU);
		return XDP_DROP;
	}
	if (settings->flags & CONTROL_TO_KERNEL && is_for_control(eth)) {
		count(TO_KERNEL_CONTROL);
		return XDP_PASS;
	}
	if (settings->flags & (FILTER_VLANS | HOST_TRAFFIC) && !is_link_control(eth->h_dest)) {
		enum outcome outcome = vlan_outcome(vlan_of(eth, end, settings));

		/* The host's own address in any VLAN; and what is flooded in a VLAN that no VM is in. */
		if (settings->flags & HOST_TRAFFIC &&
		    (same_mac(eth->h_dest, settings->host_mac) || (outcome != TO_SOCKET && eth->h_dest[0] & 1))) {
			count(TO_KERNEL_HOST);
			return XDP_PASS;
		}
		if (settings->flags & FILTER_VLANS && outcome != TO_SOCKET) {
			count(outcome);
			return XDP_DROP;
		}
	}
	count(TO_SOCKET);
	return bpf_redirect_map(&sockets, queue, XDP_PASS);
}

char _license[] SEC("license") = "Dual MIT/GPL";
