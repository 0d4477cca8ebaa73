//! A node of a graph as its operator sees it: inputs and attributes.

use super::builder::{Refused, Term, View};
use super::proto::{Attribute, Node};
use super::tensor::Constant;
use std::sync::Arc;

/// A node with what its inputs stand for.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) node: &'a Node,
    /// None for one that is left out.
    pub(super) inputs: Vec<Option<Term>>,
    /// The version of ONNX's operators that the graph is written in.
    pub(super) opset: i64,
    /// Dimensions of the rows before a value's own: 1, or 0 where a constant is computed.
    pub(super) lead: usize,
    /// The number of rows that the graph's inputs have, where it states one.
    pub(super) stated_rows: Option<i64>,
}

impl Call<'_> {
    /// The input of this number, if it is there.
    pub(super) fn optional(&self, number: usize) -> Option<&Term> {
        self.inputs.get(number)?.as_ref()
    }

    /// The input of this number.
    pub(super) fn input(&self, number: usize) -> Result<&Term, Refused> {
        self.optional(number).ok_or_else(|| format!("has no input {number}"))
    }

    /// An input that differs from row to row.
    pub(super) fn rows(&self, number: usize) -> Result<View, Refused> {
        match self.input(number)? {
            Term::Rows(view) => Ok(view.clone()),
            Term::Constant(_) => {
                Err(format!("has a constant as input {number}, which is to come from the rows"))
            }
        }
    }

    /// An input that is the same for all rows, if it is there.
    pub(super) fn optional_constant(&self, number: usize) -> Result<Option<Arc<Constant>>, Refused> {
        match self.optional(number) {
            None => Ok(None),
            Some(Term::Constant(constant)) => Ok(Some(constant.clone())),
            Some(Term::Rows(_)) => Err(format!("has an input {number} that is no constant")),
        }
    }

    /// An input that is the same for all rows.
    pub(super) fn constant(&self, number: usize) -> Result<Arc<Constant>, Refused> {
        self.optional_constant(number)?.ok_or_else(|| format!("has no input {number}"))
    }

    /// The numbers of a constant input, if it is there.
    pub(super) fn optional_reals(&self, number: usize) -> Result<Option<Vec<f32>>, Refused> {
        let Some(constant) = self.optional_constant(number)? else { return Ok(None) };
        let values = constant.as_reals().ok_or_else(|| format!("has integers as input {number}"))?;
        Ok(Some(values.to_vec()))
    }

    /// The attribute of this name, if it is there.
    pub(super) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.node.attribute.iter().find(|attribute| attribute.name == name)
    }

    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |attribute| attribute.i)
    }

    pub(super) fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).map_or(default, |attribute| attribute.f)
    }

    pub(super) fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|attribute| &attribute.ints[..])
    }

    pub(super) fn floats(&self, name: &str) -> &[f32] {
        self.attribute(name).map_or(&[], |attribute| &attribute.floats)
    }

    pub(super) fn text(&self, name: &str) -> &[u8] {
        self.attribute(name).map_or(&[], |attribute| &attribute.s)
    }

    /// Integers by an attribute, or by an input in later versions.
    pub(super) fn list(&self, name: &str, number: usize) -> Result<Option<Vec<i64>>, Refused> {
        if let Some(ints) = self.ints(name) {
            return Ok(Some(ints.to_vec()));
        }
        let Some(constant) = self.optional_constant(number)? else { return Ok(None) };
        let values = constant.as_integers().ok_or_else(|| format!("has no integers as input {number}"))?;
        Ok(Some(values.to_vec()))
    }

    /// An axis of a value of so many dimensions, that of the rows among them, as one of its own.
    pub(super) fn axis(&self, axis: i64, own: usize) -> Result<usize, Refused> {
        let rank = (own + self.lead) as i64;
        let found = if axis < 0 { axis + rank } else { axis };
        match found {
            0 if self.lead == 1 => Err("works across rows".into()),
            found if (0..rank).contains(&found) => Ok(found as usize - self.lead),
            _ => Err(format!("names the axis {axis} of {rank}")),
        }
    }

    /// Several axes.
    pub(super) fn axes(&self, axes: &[i64], own: usize) -> Result<Vec<usize>, Refused> {
        let found = axes.iter().map(|axis| self.axis(*axis, own));
        let mut found: Vec<usize> = found.collect::<Result<_, _>>()?;
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }
}

/// Positive integers that are small enough to count with.
pub(super) fn counts(values: &[i64]) -> Result<Vec<usize>, Refused> {
    let count = |value: &i64| usize::try_from(*value).ok().filter(|count| *count <= 1 << 24);
    let all = values.iter().map(count).collect::<Option<_>>();
    all.ok_or_else(|| format!("{values:?} has a number below zero or above 2^24"))
}
