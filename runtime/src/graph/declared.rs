//! The columns of a graph: those that its source, bricks and sinks declare, by number.

use crate::GraphError;
use legonf_core::{
    Batch, Clock, ColumnSpec, Columns, Descriptor, Disposition, Handle, Layout, LayoutError, Table,
};

/// The columns that a brick uses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use {
    pub kind: &'static str,
    pub reads: Columns,
    pub writes: Columns,
}

/// What is declared of the columns of a graph.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    pub layout: Layout,
    /// What each brick uses, in their order.
    pub uses: Vec<Use>,
    /// The columns of the table of flows.
    pub flows: Columns,
    /// What happens to each packet, where a brick declares that.
    disposition: Option<Handle<Vec<Disposition>>>,
    /// How old the stream is at each packet, where a brick declares that.
    age: Option<Handle<Vec<u64>>>,
    /// The latest stream time up to each packet, where a brick declares that.
    watermark: Option<Handle<Vec<i64>>>,
}

impl Declared {
    /// The columns that a source gives, that bricks declare and that sinks want.
    ///
    /// # Errors
    /// If two declarations of a column contradict each other, or there are too many.
    pub fn of(
        given: &[ColumnSpec],
        bricks: &[(&str, Descriptor)],
        wanted: &[ColumnSpec],
    ) -> Result<Self, GraphError> {
        let mut register = Register::default();
        given.iter().try_for_each(|spec| register.add("the source", "gives", spec))?;
        for (id, brick) in bricks {
            let who = format!("brick `{id}` ({})", brick.kind);
            brick.reads.iter().try_for_each(|spec| register.add(&who, "reads", spec))?;
            brick.writes.iter().try_for_each(|spec| register.add(&who, "fills", spec))?;
        }
        wanted.iter().try_for_each(|spec| register.add("the sink", "reads", spec))?;
        for own in [ColumnSpec::DISPOSITION, ColumnSpec::AGE, ColumnSpec::WATERMARK] {
            if register.layout.get(&own.name).is_some() {
                register.add("every graph", "has", &own)?;
            }
        }
        let layout = register.layout;
        let of = |brick: &Descriptor| Use {
            kind: brick.kind,
            reads: layout.columns(&*brick.reads),
            writes: layout.columns(&*brick.writes),
        };
        let uses = bricks.iter().map(|(_, brick)| of(brick)).collect();
        let disposition = layout.handle(&ColumnSpec::DISPOSITION).ok();
        let age = layout.handle(&ColumnSpec::AGE).ok();
        let watermark = layout.handle(&ColumnSpec::WATERMARK).ok();
        Ok(Self { flows: layout.of_table(Table::Flows), layout, uses, disposition, age, watermark })
    }

    /// The columns that are filled before the first brick, by a source that gives some.
    pub fn given(&self, source: &[ColumnSpec]) -> Columns {
        self.layout.columns(source).union(self.begun())
    }

    /// The columns that [`begin`](Self::begin) fills.
    pub fn begun(&self) -> Columns {
        let age = self.age.map_or(Columns::NONE, Handle::column);
        self.disposition().union(age).union(self.watermark.map_or(Columns::NONE, Handle::column))
    }

    /// The column of watermarks, where there is one.
    pub fn watermark(&self) -> Option<Handle<Vec<i64>>> {
        self.watermark
    }

    /// The column of dispositions, where there is one.
    pub fn disposition(&self) -> Columns {
        self.disposition.map_or(Columns::NONE, Handle::column)
    }

    /// The dispositions of a batch, where there are any.
    pub fn dispositions<'a>(&self, batch: &'a Batch) -> Option<&'a [Disposition]> {
        self.disposition.map(|column| &batch.columns.get(column)[..])
    }

    /// Whether a brick may drop packets.
    pub fn may_drop(&self, brick: usize) -> bool {
        !self.uses[brick].writes.intersection(self.disposition()).is_empty()
    }

    /// Whether a brick changes in place what others have filled.
    pub fn changes_in_place(&self, brick: usize) -> bool {
        let Use { reads, writes, .. } = self.uses[brick];
        !reads.intersection(writes).is_empty()
    }

    /// Fills what the packets of a new batch, which the clock has marked, have before the first brick.
    pub fn begin(&self, batch: &mut Batch, clock: &Clock) {
        if let Some(column) = self.disposition {
            let packets = batch.len();
            batch.columns.get_mut(column).resize(packets, Disposition::default());
        }
        self.age.into_iter().for_each(|column| ages(column, batch, clock));
        if let Some(column) = self.watermark {
            let mut watermarks = std::mem::take(batch.columns.get_mut(column));
            clock.watermarks(batch, &mut watermarks);
            *batch.columns.get_mut(column) = watermarks;
        }
    }

    /// The columns that a sink looks at.
    pub fn wanted(&self, reads: Option<Vec<ColumnSpec>>) -> Columns {
        reads.map_or(Columns::ALL, |specs| self.layout.columns(&specs))
    }

    /// The columns that any brick fills with a number or a verdict for each packet.
    pub fn results(&self) -> Columns {
        let filled = self.uses.iter().fold(Columns::NONE, |all, brick| all.union(brick.writes));
        filled.iter().filter(|index| self.layout.specs()[*index].is_result()).collect()
    }

    /// The names of some columns.
    pub fn names(&self, columns: Columns) -> String {
        self.layout.names(columns).join(", ")
    }
}

/// Fills how old the stream is at each packet.
fn ages(column: Handle<Vec<u64>>, batch: &mut Batch, clock: &Clock) {
    let Batch { packets, headers, columns, timeless, .. } = batch;
    let ages = columns.get_mut(column);
    ages.clear();
    match *timeless {
        true => ages.resize(headers.len(), u64::MAX),
        false if packets.is_empty() => {
            ages.extend(headers.iter().map(|packet| clock.age(packet.stream_time())))
        }
        false => ages.extend(packets.iter().map(|(packet, _)| clock.age(packet.stream_time()))),
    }
}

/// Bytes of a column's name at most.
const LONGEST: usize = 64;
/// Headings of tables of results that are no column's name.
const HEADINGS: [&str; 4] = ["seq", "timestamp", "score", "verdict"];

/// Whether a column can have this name: it is a heading of tables, too.
fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    (1..=LONGEST).contains(&name.len()) && name.bytes().all(plain) && !HEADINGS.contains(&name)
}

/// Declarations so far, with who made the first of each column.
#[derive(Default)]
struct Register {
    layout: Layout,
    first: Vec<(String, String)>,
}

impl Register {
    fn add(&mut self, who: &str, verb: &str, spec: &ColumnSpec) -> Result<(), GraphError> {
        if !is_name(&spec.name) {
            let name = spec.name.to_string();
            return Err(GraphError::ColumnName { who: format!("{who} {verb}"), name });
        }
        let declared = self.first.iter().find(|(name, _)| *name == spec.name);
        let (first, known) = (declared.map(|(_, first)| first.clone()), declared.is_some());
        match self.layout.add(spec) {
            Err(LayoutError::Contradiction { name, first: kind, second }) => Err(GraphError::Contradiction {
                second: format!("{who} {verb} {name} as {second}"),
                first: format!("{} it as {kind}", first.unwrap_or_else(|| "every graph has".into())),
            }),
            Err(LayoutError::TooMany { .. } | LayoutError::Bind(_)) => Err(GraphError::TooManyColumns {
                who: who.to_owned(),
                name: spec.name.to_string(),
                most: Columns::MOST,
            }),
            Ok(()) => {
                if !known {
                    self.first.push((spec.name.to_string(), format!("{who} {verb}")));
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{Element, State};

    const A: ColumnSpec = ColumnSpec::rows("a", Element::F64);

    fn brick(reads: ColumnSpec, writes: ColumnSpec) -> Descriptor {
        let (reads, writes) = (vec![reads].into(), vec![writes].into());
        Descriptor { kind: "k", title: "k", reads, writes, state: State::Stateless }
    }

    fn error(given: &[ColumnSpec], second: Descriptor, wanted: &[ColumnSpec]) -> String {
        let first = brick(ColumnSpec::HEADERS, A.of_width(3));
        Declared::of(given, &[("one", first), ("two", second)], wanted).unwrap_err().to_string()
    }

    #[test]
    fn columns_have_names_that_tables_can_show() {
        let long = "x".repeat(65);
        for name in
            ["", "a,b", "a b", "a\n", "\u{1b}", "\"", "ä", "seq", "timestamp", "score", "verdict", &long]
        {
            let odd = ColumnSpec { name: name.to_owned().into(), ..ColumnSpec::scalar("", Element::F64) };
            let error = error(&[], brick(A, odd), &[]);
            assert!(
                error.starts_with(&format!("brick `two` (k) fills `{name}`: expected a name")),
                "{error}"
            );
        }
        assert!(is_name("second_scores") && is_name("is-jumbo") && is_name("v1.x") && is_name(&long[1..]));
    }

    #[test]
    fn contradictions_name_both_sides_and_the_column() {
        let narrow = brick(A.of_width(2), ColumnSpec::scalar("b", Element::F64));
        let expected = "brick `two` (k) reads a as f64[2], but brick `one` (k) fills it as f64[3]";
        assert_eq!(error(&[], narrow.clone(), &[]), expected);
        let other = brick(A, ColumnSpec::scalar("b", Element::F64));
        let sink = [ColumnSpec::scalar("b", Element::F32)];
        let expected = "the sink reads b as f32, but brick `two` (k) fills it as f64";
        assert_eq!(error(&[], other.clone(), &sink), expected);
        let source = [ColumnSpec::scalar("a", Element::F64)];
        let expected = "brick `one` (k) fills a as f64[3], but the source gives it as f64";
        assert_eq!(error(&source, other.clone(), &[]), expected);
        let headers = brick(ColumnSpec::scalar("headers", Element::U8), A);
        let expected = "brick `two` (k) reads headers as u8, but brick `one` (k) reads it as headers";
        assert_eq!(error(&[], headers, &[]), expected);
        let disposition = brick(A, ColumnSpec::scalar("disposition", Element::U8));
        let expected = "every graph has disposition as disposition, but brick `two` (k) fills it as u8";
        assert_eq!(error(&[], disposition, &[]), expected);
        let many: Vec<_> =
            (0..Columns::MOST).map(|n| ColumnSpec { name: format!("c{n}").into(), ..A }).collect();
        assert_eq!(
            error(&many, other, &[]),
            "the source: c62 is one column too many; a graph has at most 64"
        );
    }
}
