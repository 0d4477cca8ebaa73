//! The columns that source, bricks and sinks of a graph declare, numbered.

use crate::storage::{Storage, Typed, storage};
use crate::{Brick, ColumnSpec, Columns, Element, Handle, Shape, Store, Table};

/// Why the declarations of a graph's columns do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Two declarations of one column contradict each other.
    #[error("column {name} is declared as {first} and as {second}")]
    Contradiction {
        /// The column.
        name: String,
        /// Its type and shape, as first declared.
        first: String,
        /// Its type and shape in the other declaration.
        second: String,
    },
    /// A brick does not bind to the columns that it declares itself.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// More columns than a graph may have.
    #[error("column {name} is one too many; a graph has at most {most} columns", most = Columns::MOST)]
    TooMany {
        /// The first column that has no room.
        name: String,
    },
}

/// A column that is not in the graph as a brick or a sink needs it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// No column has this name.
    #[error("nothing fills the column {0}")]
    Missing(String),
    /// It is of another type or shape.
    #[error("the column {name} is {found}, not {expected}")]
    Other {
        /// The column.
        name: String,
        /// What was expected.
        expected: String,
        /// What the graph has.
        found: String,
    },
    /// No verdict of the column has this label.
    #[error("the column {column} has no verdict named `{label}` (there are: {known})")]
    Label {
        /// The column.
        column: String,
        /// The label.
        label: String,
        /// Those that it has.
        known: String,
    },
}

/// The columns of a graph. Packets and headers are the first two of every one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    specs: Vec<ColumnSpec>,
}

impl Default for Layout {
    fn default() -> Self {
        Self { specs: vec![ColumnSpec::PACKETS, ColumnSpec::HEADERS] }
    }
}

impl Layout {
    /// The columns of some declarations; all declarations of one column must agree.
    ///
    /// # Errors
    /// If two declarations contradict each other, or there are more than [`Columns::MOST`] columns.
    pub fn of<'a>(declared: impl IntoIterator<Item = &'a ColumnSpec>) -> Result<Self, LayoutError> {
        let mut layout = Self::default();
        declared.into_iter().try_for_each(|spec| layout.add(spec))?;
        Ok(layout)
    }

    /// The columns of bricks outside of a graph; binds the bricks to them.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn binding(bricks: &mut [&mut dyn Brick]) -> Result<Self, LayoutError> {
        let descriptors: Vec<_> = bricks.iter().map(|brick| brick.descriptor()).collect();
        let layout = Self::of(descriptors.iter().flat_map(|brick| brick.reads.iter().chain(&*brick.writes)))?;
        bricks.iter_mut().try_for_each(|brick| brick.bind(&layout))?;
        Ok(layout)
    }

    /// Adds a declaration.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn add(&mut self, spec: &ColumnSpec) -> Result<(), LayoutError> {
        let Some(known) = self.specs.iter_mut().find(|known| known.name == spec.name) else {
            if self.specs.len() == Columns::MOST {
                return Err(LayoutError::TooMany { name: spec.name.to_string() });
            }
            self.specs.push(spec.clone());
            return Ok(());
        };
        let (name, first, second) = (spec.name.to_string(), known.kind(), spec.kind());
        *known = known.agree(spec).ok_or(LayoutError::Contradiction { name, first, second })?;
        Ok(())
    }

    /// The declaration of a column: what all its declarations say together.
    pub fn get(&self, name: &str) -> Option<&ColumnSpec> {
        self.specs.iter().find(|spec| spec.name == name)
    }

    /// The declarations, by number.
    pub fn specs(&self) -> &[ColumnSpec] {
        &self.specs
    }

    /// The handle of a column that is declared like this, to read or fill it in a batch.
    ///
    /// # Errors
    /// If there is no such column, or it is of another element type, shape or table, or not kept in an `S`.
    pub fn handle<S: Typed>(&self, spec: &ColumnSpec) -> Result<Handle<S>, BindError> {
        let index = self.number(spec)?;
        let found = &self.specs[index];
        if found.element == S::ELEMENT && found.shape.is_scalar() == S::SCALAR {
            return Ok(Handle::at(index));
        }
        Err(BindError::Other { name: spec.name.to_string(), expected: kind_of::<S>(), found: found.kind() })
    }

    /// The [`handle`](Self::handle) of a column; none if the layout has no column of its name.
    ///
    /// # Errors
    /// If the layout has the column, but not as it is declared here.
    pub fn handle_if_any<S: Typed>(&self, spec: &ColumnSpec) -> Result<Option<Handle<S>>, BindError> {
        self.get(&spec.name).map(|_| self.handle(spec)).transpose()
    }

    /// The place of a label among those of a column; for `rejected` the place after the last one.
    ///
    /// # Errors
    /// If there is no such column, or it has no such label.
    pub fn label(&self, column: &str, label: &str) -> Result<usize, BindError> {
        let spec = self.get(column).ok_or_else(|| BindError::Missing(column.to_owned()))?;
        spec.words().position(|word| word == label).ok_or_else(|| BindError::Label {
            column: column.to_owned(),
            label: label.to_owned(),
            known: spec.words().collect::<Vec<_>>().join(", "),
        })
    }

    /// The number of a column that is declared like this, whatever the type of its storage.
    ///
    /// # Errors
    /// If there is no such column, or it is of another element type, shape or table.
    pub fn number(&self, spec: &ColumnSpec) -> Result<usize, BindError> {
        let index = self.index(&spec.name).ok_or_else(|| BindError::Missing(spec.name.to_string()))?;
        let found = &self.specs[index];
        if found.agree(spec).is_some() {
            return Ok(index);
        }
        let (name, expected, found) = (spec.name.to_string(), spec.kind(), found.kind());
        Err(BindError::Other { name, expected, found })
    }

    /// The set of the columns that some declarations name; columns that the layout does not have are left out.
    pub fn columns<'a>(&self, declared: impl IntoIterator<Item = &'a ColumnSpec>) -> Columns {
        declared.into_iter().filter_map(|spec| self.index(&spec.name)).collect()
    }

    /// The columns of a table.
    pub fn of_table(&self, table: Table) -> Columns {
        (0..self.specs.len()).filter(|index| self.specs[*index].table == table).collect()
    }

    /// The columns with elements of a type.
    pub fn of_element(&self, element: Element) -> Columns {
        (0..self.specs.len()).filter(|index| self.specs[*index].element == element).collect()
    }

    /// The names of some columns, in the order of their numbers.
    pub fn names(&self, columns: Columns) -> Vec<&str> {
        let known = columns.iter().filter_map(|index| self.specs.get(index));
        known.map(|spec| &*spec.name).collect()
    }

    /// What batches keep all columns but packets and headers in.
    pub(crate) fn store(&self) -> Store {
        let kept = |spec: &ColumnSpec| -> Box<dyn Storage> { storage(spec.element, spec.shape.is_scalar()) };
        self.specs.iter().skip(Store::FIRST).map(kept).collect()
    }

    fn index(&self, name: &str) -> Option<usize> {
        self.specs.iter().position(|spec| spec.name == name)
    }
}

fn kind_of<S: Typed>() -> String {
    let shape = if S::SCALAR { Shape::Scalar } else { Shape::Rows };
    format!("{}{shape}", S::ELEMENT.label())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Headers, Rows, Tiles};

    const A: ColumnSpec = ColumnSpec::rows("a", Element::F64);

    #[test]
    fn names_become_handles() {
        let layout = Layout::of([&A, &ColumnSpec::scalar("n", Element::U32), &A.of_width(3)]).unwrap();
        assert_eq!(layout.handle::<Rows>(&A).unwrap().index(), 2);
        assert_eq!(layout.get("a").unwrap().shape.width(), Some(3));
        assert_eq!(layout.handle::<Vec<Headers>>(&ColumnSpec::HEADERS).unwrap().column(), Columns::HEADERS);
        let columns = layout.columns([&ColumnSpec::scalar("n", Element::U32), &ColumnSpec::PACKETS]);
        assert_eq!(layout.names(columns), ["packets", "n"]);
        assert_eq!(layout.of_table(Table::Flows), Columns::NONE);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let layout = Layout::of([&A.of_width(3)]).unwrap();
        let bound = |spec: &ColumnSpec| layout.handle::<Rows>(spec).unwrap_err().to_string();
        assert_eq!(bound(&A.of_width(4)), "the column a is f64[3], not f64[4]");
        assert_eq!(bound(&ColumnSpec::rows("b", Element::F64)), "nothing fills the column b");
        let number = |spec: &ColumnSpec| layout.number(spec).map_err(|error| error.to_string());
        assert_eq!(number(&A), Ok(2));
        assert_eq!(number(&A.of_width(4)).unwrap_err(), "the column a is f64[3], not f64[4]");
        assert_eq!(number(&ColumnSpec::rows("b", Element::F64)).unwrap_err(), "nothing fills the column b");
        let tiles = layout.handle::<Tiles>(&A).unwrap_err().to_string();
        assert_eq!(tiles, "the column a is f64[3], not f64 in tiles[]");
        let error = Layout::of([&A, &ColumnSpec::scalar("a", Element::Bool)]).unwrap_err().to_string();
        assert_eq!(error, "column a is declared as f64[] and as bool");
    }

    #[test]
    fn a_layout_has_room_for_so_many_columns() {
        let mut layout = Layout::default();
        let names = (2..=Columns::MOST).map(|n| ColumnSpec { name: format!("c{n}").into(), ..A });
        let error = names.into_iter().find_map(|spec| layout.add(&spec).err()).unwrap();
        assert_eq!(error.to_string(), "column c64 is one too many; a graph has at most 64 columns");
        assert_eq!(layout.specs().len(), Columns::MOST);
    }
}
