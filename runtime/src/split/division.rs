//! By which keys a brick's packets are dealt out, and which cells of an answer come from where.

use super::{Deal, Lane, Owners, Parcel, Slots, Tally};
use crate::declared::Declared;
use crate::unit::west_east;
use legonf_core::{
    Batch, Brick, BrickError, Columns, Division, Headers, PacketKind, PacketKinds, SLOTS, Storage,
};
use legonf_splitter::{GroupSet, MAX_ROUTES, Plan, Projector, Route, Served, Shard as Groups};
use std::ops::Range;

/// One way into a shard.
struct Way {
    packets: PacketKinds,
    projector: Projector,
    /// For each kind of packet the cells of the groups that the way serves.
    spans: Vec<Vec<Range<usize>>>,
}

/// Groups that one replica computes for a packet.
struct Shard {
    groups: Vec<String>,
    ways: Vec<Way>,
    /// The ways that each kind of packet takes, a bit each.
    taken: [u8; PacketKind::ALL.len()],
}

/// How the work of one brick is divided: by the exact plan.
pub(crate) struct Split {
    /// The brick's number in the graph.
    pub unit: usize,
    shards: Vec<Shard>,
    reads: Columns,
    /// The column that it fills, and the cells of a row of it.
    fills: usize,
    width: usize,
}

impl Split {
    /// How a brick's work is divided, or in one line why it cannot be.
    pub fn of(unit: usize, brick: &mut dyn Brick, declared: &Declared) -> Result<Self, String> {
        let uses = declared.uses[unit];
        let division = brick.west_east().ok_or("it has no west-east interface")?.division();
        if !uses.reads.holds(Columns::HEADERS) {
            return Err("it does not read headers, by which packets are dealt out".into());
        }
        let filled = declared.layout.columns([&division.fills]);
        if filled != uses.writes || filled.iter().count() != 1 {
            return Err(format!(
                "it fills {}, not {} alone",
                declared.names(uses.writes),
                division.fills.name
            ));
        }
        let flows = uses.reads.union(uses.writes).intersection(declared.flows);
        if !flows.is_empty() {
            return Err(format!("it uses {} of the table of flows", declared.names(flows)));
        }
        let fills = filled.iter().sum();
        let shards = shards(&division)?;
        let split = Self { unit, shards, reads: uses.reads, fills, width: division.cells.len() };
        match PacketKind::ALL.into_iter().find(|kind| split.cells(*kind) != split.width) {
            Some(kind) => Err(format!("{} packets have cells of no group", kind.label())),
            None => Ok(split),
        }
    }

    /// Shards of the work.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Prepares a brick for parcels.
    pub fn prepare(&self, brick: &mut dyn Brick) -> Result<(), BrickError> {
        let parts: Vec<_> = self.shards.iter().map(|shard| shard.groups.clone()).collect();
        west_east(brick)?.divide(&parts)
    }

    /// All slots at the first replica.
    pub fn alone(&self) -> Owners {
        vec![vec![0; SLOTS].into(); self.shards.len()]
    }

    fn cells(&self, kind: PacketKind) -> usize {
        let spans =
            self.shards.iter().flat_map(|shard| &shard.ways).flat_map(|way| &way.spans[kind as usize]);
        spans.map(Range::len).sum()
    }

    /// Lanes of a parcel.
    pub fn lanes(&self) -> usize {
        2 * self.shards.len()
    }

    /// Deals packets of a batch out to parcels, one for each replica: those that are `chosen`.
    pub fn deal(
        &self,
        batch: &Batch,
        deal: &Deal,
        chosen: impl Fn(usize) -> bool,
        parcels: &mut [Parcel],
        tally: &Tally,
    ) {
        for (place, headers) in batch.headers.iter().enumerate().filter(|(place, _)| chosen(*place)) {
            let kind = PacketKind::of(headers);
            for (at, (shard, owners)) in self.shards.iter().zip(&deal.owners).enumerate() {
                let count = &mut |slot| tally.count(at, slot);
                shard.deal(headers, kind, owners, count, &mut |replica, routes| {
                    let parcel = &mut parcels[replica];
                    let moving = deal.moving(at);
                    let late = moving.is_some_and(|slots| shard.waits(headers, routes, at, slots, parcel));
                    parcel.lanes[if late { self.shards.len() + at } else { at }].push(place, kind, routes);
                });
            }
        }
    }

    /// Room for what the brick fills, a row for each packet of a batch.
    pub fn rows(&self, batch: &Batch) -> Box<dyn Storage> {
        let mut rows = batch.column(self.fills).empty();
        rows.fill(batch.len(), self.width);
        rows
    }

    /// [`rows`](Self::rows) that keep the memory of others.
    pub fn renew<'a>(&self, rows: &'a mut Option<Box<dyn Storage>>, batch: &Batch) -> &'a mut dyn Storage {
        let rows = rows.get_or_insert_with(|| batch.column(self.fills).empty());
        rows.reshape(batch.len(), self.width);
        &mut **rows
    }

    /// The columns that packets need.
    pub fn reads(&self) -> Columns {
        self.reads
    }

    /// Adds the slots of packets to those of each shard, or of one: also those in which they may leave traces.
    pub fn mark(&self, part: Option<usize>, packets: &[Headers], slots: &mut [Slots]) {
        for (at, shard) in
            self.shards.iter().enumerate().filter(|(at, _)| part.is_none_or(|part| part == *at))
        {
            for (headers, way) in
                packets.iter().flat_map(|headers| shard.ways.iter().map(move |way| (headers, way)))
            {
                slots[at].insert(way.projector.slot(headers));
            }
        }
    }

    /// Puts the cells of parcels in their places. Where all packets of the batch are in them, the rows of the parcel that the
    /// replica at `seat` has filled itself become the batch's.
    pub fn join(&self, parcels: &mut [Parcel], seat: Option<usize>, batch: &mut Batch) {
        let len = batch.len();
        let whole = batch.column_mut(self.fills);
        match parcels.iter_mut().find(|parcel| Some(parcel.seat) == seat).and_then(|own| own.rows.as_mut()) {
            Some(own) => whole.exchange(&mut **own),
            None => whole.reshape(len, self.width),
        }
        for parcel in parcels.iter().filter(|parcel| Some(parcel.seat) != seat) {
            let Some(rows) = &parcel.rows else { continue };
            for (shard, lane) in self.shards.iter().cycle().zip(&parcel.lanes[..self.lanes()]) {
                shard.join(lane, &**rows, whole);
            }
        }
    }
}

impl Shard {
    /// Finds the replicas that own a packet's slots, and the routes by which it comes to each.
    #[inline]
    fn deal(
        &self,
        headers: &Headers,
        kind: PacketKind,
        owners: &[u16],
        count: &mut impl FnMut(usize),
        to: &mut impl FnMut(usize, u8),
    ) {
        let ways = self.taken[kind as usize];
        if ways.is_power_of_two() {
            let slot = self.slot(headers, ways.trailing_zeros() as usize);
            count(slot);
            return to(owners[slot].into(), ways);
        }
        let owner = |way: usize| owners[self.slot(headers, way)];
        let mut left = ways;
        while left != 0 {
            let first = left.trailing_zeros() as usize;
            let replica = owner(first);
            let taken = |way: &usize| left & 1 << way != 0 && owner(*way) == replica;
            let routes = (0..self.ways.len()).filter(taken).fold(0, |routes, way| routes | 1 << way);
            count(self.slot(headers, first));
            to(replica.into(), routes);
            left &= !routes;
        }
    }

    fn slot(&self, headers: &Headers, way: usize) -> usize {
        self.ways[way].projector.slot(headers)
    }

    /// Whether a packet must wait for state that is on the move. Where it is in a slot that moves and in another one that
    /// does not, all packets behind it wait, too: they might be of that slot.
    #[inline(never)]
    fn waits(
        &self,
        headers: &Headers,
        routes: u8,
        shard: usize,
        moving: &Slots,
        parcel: &mut Parcel,
    ) -> bool {
        let taken = (0..self.ways.len()).filter(|way| routes & 1 << way != 0);
        let (mut some, mut all) = (false, true);
        for slot in taken.map(|way| self.slot(headers, way)) {
            let moves = moving.holds(slot);
            (some, all) = (some || moves, all && moves);
        }
        if some && !all {
            parcel.stalls |= 1 << shard;
        }
        some || parcel.stalls & 1 << shard != 0
    }

    /// Copies the cells that a lane is there for.
    fn join(&self, lane: &Lane, rows: &dyn Storage, whole: &mut dyn Storage) {
        for (place, (kind, routes)) in lane.places.iter().zip(&lane.routes) {
            let ways = self.ways.iter().enumerate().filter(|(way, _)| *routes & 1 << way != 0);
            ways.for_each(|(_, way)| whole.copy_cells(*place, &way.spans[*kind as usize], rows));
        }
    }
}

/// The shards of the exact plan.
fn shards(division: &Division) -> Result<Vec<Shard>, String> {
    if let Some((group, why)) = division.groups.iter().find_map(|g| Some((&g.name, g.coupled.as_ref()?))) {
        return Err(format!("streams of {} ({group}) cannot be divided: {why}", division.name));
    }
    let set = GroupSet::new(&division.name, division.groups.clone()).map_err(|error| error.to_string())?;
    let plan = Plan::exact(&set);
    plan.check(&set).map_err(|error| error.to_string())?;
    match plan.is_whole() {
        true => Err(format!("no key keeps the groups of {} whole", division.name)),
        false => Ok(plan.shards.iter().map(|groups| Shard::of(groups, division)).collect()),
    }
}

impl Shard {
    fn of(shard: &Groups, division: &Division) -> Self {
        let groups: Vec<_> = shard.groups().iter().map(|group| (*group).to_owned()).collect();
        let way = |route: &Route| Way {
            packets: route.packets,
            projector: Projector::new(&route.key, division.seed),
            spans: PacketKind::ALL.map(|kind| spans(&division.cells, route, kind)).into(),
        };
        let ways: Vec<Way> = shard.routes.iter().take(MAX_ROUTES).map(way).collect();
        let takes = |kind| move |(at, way): (usize, &Way)| u8::from(way.packets.holds(kind)) << at;
        let taken = PacketKind::ALL.map(|kind| ways.iter().enumerate().map(takes(kind)).sum());
        Self { groups, ways, taken }
    }
}

/// The cells of the groups that a route serves for packets of a kind.
fn spans(cells: &[String], route: &Route, kind: PacketKind) -> Vec<Range<usize>> {
    let serves = |served: &Served, group: &str| served.group == group && served.packets.holds(kind);
    let mut spans: Vec<Range<usize>> = Vec::new();
    for at in (0..cells.len()).filter(|at| route.serves.iter().any(|served| serves(served, &cells[*at]))) {
        match spans.last_mut() {
            Some(last) if last.end == at => last.end += 1,
            _ => spans.push(at..at + 1),
        }
    }
    spans
}
