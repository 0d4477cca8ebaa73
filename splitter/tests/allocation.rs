//! In steady state dispatching and merging allocate nothing.
#![allow(clippy::unwrap_used)]
#![allow(unsafe_code)]

use legonf_core::{Headers, Layer, Link, Mac, Network};
use legonf_splitter::{Dispatcher, GroupSet, Merge, Owners, Parcel, Plan};
use std::alloc::{GlobalAlloc, Layout, System};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};

/// The system's allocator, counting.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is passed on unchanged to the system's allocator, which upholds the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller upholds the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the contract of `dealloc`, and the block is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn packet(i: u32) -> Headers {
    let ip = |bits| Some(Ipv4Addr::from_bits(bits).into());
    let network = if i.is_multiple_of(9) { Network::Arp } else { Network::Ipv4 };
    let outer = Layer { network, src: ip(i % 300), dst: ip(i % 7), ..Layer::default() };
    let link = Link { src: Mac([i as u8; 6]), dst: Mac([1; 6]), ..Link::default() };
    Headers { seq: i.into(), outer, link: Some(link), ..Headers::default() }
}

#[test]
fn steady_state_allocates_nothing() {
    let text = "name = 'x'\n[[group]]\nname = 'g'\nfields = ['SrcIP', 'DstIP']\nboth_directions = true\n\
                [[group.except]]\npackets = ['arp']\nfields = ['SrcMAC', 'DstMAC']\nboth_directions = true\n\
                [[group]]\nname = 'h'\nfields = ['SrcIP', 'DstIP']\nboth_directions = true\n";
    let plan = Plan::exact(&GroupSet::from_toml(text).unwrap());
    assert_eq!(plan.shards.iter().map(|shard| shard.routes.len()).sum::<usize>(), 2);
    let packets: Vec<_> = (0..50_000).map(packet).collect();
    let mut merge = Merge::new(1 << 16, 0u64);
    let mut dispatchers: Vec<_> =
        plan.shards.iter().map(|s| Dispatcher::new(s, Owners::even(3).unwrap(), 1).unwrap()).collect();
    let mut round = || {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        let (mut base, mut parts) = (None, 0);
        for _ in &packets {
            base.get_or_insert(merge.expect([(0, 0)].into_iter()).unwrap().0);
        }
        for dispatcher in &mut dispatchers {
            let mut send = |_: usize, parcel: &Parcel| {
                for headers in &parcel.headers {
                    parts += u64::from(merge.deliver(base.unwrap() + headers.seq, 1).is_some());
                }
            };
            packets.chunks(256).for_each(|packets| dispatcher.dispatch(packets, &mut send));
            dispatcher.flush(&mut send);
        }
        while merge.next_complete().is_some() {}
        assert_eq!((parts, merge.pending()), (packets.len() as u64, 0));
        ALLOCATIONS.load(Ordering::Relaxed) - before
    };
    assert!(round() > 0);
    assert_eq!(round(), 0);
}
