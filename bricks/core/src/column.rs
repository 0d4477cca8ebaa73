//! Columns by declaration: name, element type, shape of a row, and table.

use crate::Verdict;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// Raw packets; only of the column [`ColumnSpec::PACKETS`].
    Packet,
    /// Parsed headers.
    Headers,
    /// Verdicts.
    Verdict,
    /// Dispositions.
    Disposition,
    /// Header actions.
    HeaderAction,
    /// Double-precision numbers.
    F64,
    /// Double-precision numbers in tiles of [`LANES`](crate::LANES) rows.
    F64Tiles,
    /// Single-precision numbers.
    F32,
    /// Bytes.
    U8,
    /// 16-bit numbers.
    U16,
    /// 32-bit numbers.
    U32,
    /// 64-bit numbers.
    U64,
    /// 64-bit numbers with a sign.
    I64,
    /// Truth values.
    Bool,
}

impl Element {
    /// The name used in messages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Packet => "packet",
            Self::Headers => "headers",
            Self::Verdict => "verdict",
            Self::Disposition => "disposition",
            Self::HeaderAction => "header action",
            Self::F64 => "f64",
            Self::F64Tiles => "f64 in tiles",
            Self::F32 => "f32",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::I64 => "i64",
            Self::Bool => "bool",
        }
    }
}

/// The shape of a column's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One value.
    Scalar,
    /// Rows of cells, all of one width, which this declaration leaves open.
    Rows,
    /// Rows of cells with these dimensions, such as `[115]` or `[28, 28]`.
    Of(Cow<'static, [usize]>),
}

impl Shape {
    /// A row of this many cells.
    pub fn row(cells: usize) -> Self {
        Self::Of(Cow::Owned(vec![cells]))
    }

    /// Whether a row is one value.
    pub const fn is_scalar(&self) -> bool {
        matches!(self, Self::Scalar)
    }

    /// Cells of a row, where that is known.
    pub fn width(&self) -> Option<usize> {
        match self {
            Self::Scalar => Some(1),
            Self::Rows => None,
            Self::Of(dimensions) => Some(dimensions.iter().product()),
        }
    }

    /// The shape that two declarations of one column have in common; none if they contradict each other.
    pub fn agree<'a>(&'a self, other: &'a Self) -> Option<&'a Self> {
        match (self, other) {
            (Self::Rows, Self::Of(_)) => Some(other),
            (Self::Of(_), Self::Rows) => Some(self),
            _ => (self == other).then_some(self),
        }
    }
}

/// Nothing for one value, `[]` for rows of any width, otherwise the dimensions: `[115]`, `[28, 28]`.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar => Ok(()),
            Self::Rows => f.write_str("[]"),
            Self::Of(dimensions) => write!(f, "{dimensions:?}"),
        }
    }
}

/// The table that a column belongs to. Files say `packets` or `flows`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    /// A row for every packet.
    #[default]
    Packets,
    /// A row for every flow that became ready in the batch.
    Flows,
}

impl Table {
    /// The name used in messages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Packets => "packets",
            Self::Flows => "flows",
        }
    }
}

/// What a brick, a source or a sink declares about a column that it fills or reads.
///
/// ```
/// use legonf_core::{ColumnSpec, Element, Shape, Table};
///
/// // One number for each packet; rows of 115; images of flows; verdicts with words of their own.
/// let score = ColumnSpec::scalar("score", Element::F64);
/// let features = ColumnSpec::rows("features", Element::F64).of_width(115);
/// let shape = Shape::Of(vec![28, 28].into());
/// let image = ColumnSpec { shape, ..ColumnSpec::rows("image", Element::U8) }.in_flows();
/// let class = ColumnSpec::scalar("class", Element::Verdict).with_labels(["web", "mail"].map(Into::into));
/// assert_eq!(score.kind(), "f64");
/// assert_eq!(features.kind(), "f64[115]");
/// assert_eq!(image.kind(), "u8[28, 28] of flows");
/// assert_eq!(class.kind(), "verdict (web, mail)");
/// // A declaration that leaves the width open agrees with one that states it.
/// let open = ColumnSpec::rows("features", Element::F64);
/// assert_eq!(open.agree(&features), Some(features));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnSpec {
    /// Its name. Declarations of the same name are of the same column of a graph.
    pub name: Cow<'static, str>,
    /// The type of a cell.
    pub element: Element,
    /// Shape of a row.
    pub shape: Shape,
    /// The table that it belongs to.
    pub table: Table,
    /// The labels of verdicts, each at its verdict's number. Empty if the column holds no verdicts, or if this declaration leaves
    /// them open.
    pub labels: Labels,
}

/// Words for the verdicts of a column.
pub type Labels = Cow<'static, [Cow<'static, str>]>;

impl ColumnSpec {
    /// Raw packets: there is such a column in every graph.
    pub const PACKETS: Self = Self::scalar("packets", Element::Packet);
    /// Parsed headers: there is such a column in every graph.
    pub const HEADERS: Self = Self::scalar("headers", Element::Headers);
    /// What happens to each packet. Every graph with a brick that declares this column has it. Before the first brick it is filled
    /// with [`Disposition::default`](crate::Disposition), and bricks change it in place, one after another.
    pub const DISPOSITION: Self = Self::scalar("disposition", Element::Disposition);
    /// Nanoseconds of stream time since the first packet of the stream ([`Clock::age`](crate::Clock::age)). Every graph with a brick
    /// that declares this column has it, filled before the first brick. Rows of a table, which have no time, have the greatest number.
    pub const AGE: Self = Self::scalar("stream-age", Element::U64);
    /// The latest stream time of a packet and all packets before it, in nanoseconds: it never goes back. Every graph with a brick
    /// that declares this column has it, filled before the first brick. Rows of a table, which have no time, have 0.
    pub const WATERMARK: Self = Self::scalar("watermark", Element::I64);

    const fn new(
        name: &'static str,
        element: Element,
        shape: Shape,
        labels: &'static [Cow<'static, str>],
    ) -> Self {
        let (name, labels) = (Cow::Borrowed(name), Cow::Borrowed(labels));
        Self { name, element, shape, table: Table::Packets, labels }
    }

    /// A column of one value a packet.
    pub const fn scalar(name: &'static str, element: Element) -> Self {
        Self::new(name, element, Shape::Scalar, &[])
    }

    /// A column of rows whose width is left open.
    pub const fn rows(name: &'static str, element: Element) -> Self {
        Self::new(name, element, Shape::Rows, &[])
    }

    /// A column of verdicts on scores: benign, anomalous, or none yet (warming up).
    pub const fn of_scores(name: &'static str) -> Self {
        Self::new(
            name,
            Element::Verdict,
            Shape::Scalar,
            &[Cow::Borrowed("benign"), Cow::Borrowed("anomalous"), Cow::Borrowed("warming_up")],
        )
    }

    /// The column with these labels for its verdicts.
    #[must_use]
    pub fn with_labels(self, labels: impl IntoIterator<Item = String>) -> Self {
        Self { labels: labels.into_iter().map(Cow::Owned).collect(), ..self }
    }

    /// The column with rows of this many cells.
    #[must_use]
    pub fn of_width(self, cells: usize) -> Self {
        Self { shape: Shape::row(cells), ..self }
    }

    /// The column with rows whose width is left open.
    #[must_use]
    pub fn of_any_width(self) -> Self {
        Self { shape: Shape::Rows, ..self }
    }

    /// The column as one of the table of flows.
    #[must_use]
    pub const fn in_flows(self) -> Self {
        self.in_table(Table::Flows)
    }

    /// The column as one of a table.
    #[must_use]
    pub const fn in_table(mut self, table: Table) -> Self {
        self.table = table;
        self
    }

    /// The words for its verdicts by their places: the labels, and last the word for what was rejected.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().map(|label| &**label).chain([Verdict::REJECTED_LABEL])
    }

    /// Whether it is a result of a graph: a number or a verdict for each packet.
    pub fn is_result(&self) -> bool {
        let is_scalar = self.shape.is_scalar() && self.table == Table::Packets;
        is_scalar && matches!(self.element, Element::F64 | Element::Verdict)
    }

    /// The declaration that two of one column make together; none if they contradict each other.
    pub fn agree(&self, other: &Self) -> Option<Self> {
        let same = (&self.name, self.element, self.table) == (&other.name, other.element, other.table);
        let shape = self.shape.agree(&other.shape).filter(|_| same)?;
        let labels = match (&*self.labels, &*other.labels) {
            ([], _) => &other.labels,
            (_, []) => &self.labels,
            (own, others) => (own == others).then_some(&self.labels)?,
        };
        Some(Self { shape: shape.clone(), labels: labels.clone(), ..self.clone() })
    }

    /// The names of some columns, with commas between them.
    pub fn names(specs: &[Self]) -> String {
        specs.iter().map(|spec| &*spec.name).collect::<Vec<_>>().join(", ")
    }

    /// Element type and shape, the labels of verdicts, and the table where it is not that of packets: `f64[115]`,
    /// `verdict (web, mail)`, `u32 of flows`.
    pub fn kind(&self) -> String {
        let table = if self.table == Table::Packets { "" } else { " of flows" };
        let labels =
            if self.labels.is_empty() { String::new() } else { format!(" ({})", self.labels.join(", ")) };
        format!("{}{}{labels}{table}", self.element.label(), self.shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_agree_where_one_leaves_the_width_open() {
        let open = ColumnSpec::rows("a", Element::F32);
        let wide = open.clone().of_width(28);
        assert_eq!(open.agree(&wide), Some(wide.clone()));
        assert_eq!(wide.agree(&open), Some(wide.clone()));
        for other in [
            wide.clone().of_width(27),
            ColumnSpec::scalar("a", Element::F32),
            ColumnSpec::rows("a", Element::F64),
            ColumnSpec::rows("b", Element::F32),
            open.clone().in_flows(),
        ] {
            assert_eq!(wide.agree(&other), None, "{other:?}");
        }
        let open = ColumnSpec::scalar("v", Element::Verdict);
        let classes = |words: [&str; 2]| open.clone().with_labels(words.map(str::to_owned));
        assert_eq!(open.agree(&classes(["web", "mail"])), Some(classes(["web", "mail"])));
        assert_eq!(classes(["web", "mail"]).agree(&open), Some(classes(["web", "mail"])));
        assert_eq!(classes(["web", "mail"]).agree(&classes(["mail", "web"])), None);
        assert_eq!(ColumnSpec::of_scores("v").kind(), "verdict (benign, anomalous, warming_up)");
        assert_eq!(wide.kind(), "f32[28]");
        assert_eq!(ColumnSpec::scalar("n", Element::U32).in_flows().kind(), "u32 of flows");
    }
}
