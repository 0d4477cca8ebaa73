//! Steps that are put together one after another, with what is known of the values between them.

use super::activation::Activation;
use super::plan::{Memory, Plan, Slot, Step};
use super::step::{Arithmetic, Operation, Side};
use super::tensor::{Constant, Data, MAX_CELLS, cells, strides};
use std::sync::Arc;

/// Cells at most of all values of a row, tables and constants of a plan together.
const MAX_ALL_CELLS: usize = 1 << 27;

/// Why an operation cannot be made, in words that follow its name.
pub(super) type Refused = String;

/// A value of each row as the graph sees it, over the cells of a slot.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) slot: usize,
    /// Its dimensions but that of the rows.
    pub(super) shape: Vec<usize>,
    /// Its axes as they are stored, the last one adjacent.
    pub(super) order: Vec<usize>,
    /// Whether nothing else reads the slot.
    pub(super) exclusive: bool,
}

impl View {
    /// The cells of a row.
    pub(super) fn cells(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether its axes are stored in this order, but for those of length one.
    pub(super) fn is_stored(&self, order: &[usize]) -> bool {
        let long = |axis: &&usize| self.shape[**axis] != 1;
        self.order.iter().filter(long).eq(order.iter().filter(long))
    }

    /// The dimensions as they are stored.
    pub(super) fn stored(&self) -> Vec<usize> {
        self.order.iter().map(|axis| self.shape[*axis]).collect()
    }

    /// How far apart the cells of each axis are stored.
    fn strides(&self) -> Vec<usize> {
        let mut found = vec![0; self.shape.len()];
        for (axis, stride) in self.order.iter().zip(strides(&self.stored())) {
            found[*axis] = stride;
        }
        found
    }

    /// The same with axes in their own order.
    pub(super) fn plain(slot: usize, shape: Vec<usize>) -> Self {
        Self { slot, order: (0..shape.len()).collect(), shape, exclusive: true }
    }
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) enum Term {
    Constant(Arc<Constant>),
    Rows(View),
}

/// Steps so far.
#[derive(Debug, Default)]
pub(super) struct Builder {
    pub(super) slots: Vec<Slot>,
    pub(super) steps: Vec<Step>,
    cells: usize,
}

impl Builder {
    /// Counts cells of values and tables against the bound.
    pub(super) fn count(&mut self, cells: usize) -> Result<(), Refused> {
        self.cells = self.cells.saturating_add(cells);
        if self.cells > MAX_ALL_CELLS {
            return Err(format!("up to it a row takes more than {MAX_ALL_CELLS} numbers"));
        }
        Ok(())
    }

    /// A new value.
    pub(super) fn slot(&mut self, shape: &[usize], integers: bool) -> Result<usize, Refused> {
        let cells = cells(shape).filter(|cells| *cells > 0);
        let cells = cells
            .ok_or_else(|| format!("a row of {shape:?} is empty or has more than {MAX_CELLS} numbers"))?;
        self.count(cells)?;
        self.slots.push(Slot { cells, integers });
        Ok(self.slots.len() - 1)
    }

    /// Adds a step whose output has this shape, stored as it is.
    pub(super) fn push(
        &mut self,
        operation: Operation,
        inputs: Vec<usize>,
        shape: Vec<usize>,
    ) -> Result<View, Refused> {
        let output = self.slot(&shape, operation.gives_integers())?;
        self.steps.push(Step { operation, inputs, output });
        Ok(View::plain(output, shape))
    }

    /// Whether a value holds integers.
    pub(super) fn is_integer(&self, view: &View) -> bool {
        self.slots[view.slot].integers
    }

    /// A step whose output is stored as its input is.
    pub(super) fn alike(&mut self, operation: Operation, view: &View) -> Result<View, Refused> {
        let made = self.push(operation, vec![view.slot], view.shape.clone())?;
        Ok(View { order: view.order.clone(), ..made })
    }

    /// The step that makes a value which nothing else reads.
    pub(super) fn maker(&mut self, view: &View) -> Option<&mut Operation> {
        let step = self.steps.iter_mut().rev().find(|step| step.output == view.slot);
        step.filter(|_| view.exclusive).map(|step| &mut step.operation)
    }

    /// Applies a function to each number, within the step before where that is possible.
    pub(super) fn activate(&mut self, view: View, activation: Activation) -> Result<View, Refused> {
        if let Some(Operation::Linear(linear)) = self.maker(&view)
            && linear.activation == Activation::None
        {
            linear.activation = activation;
            return Ok(view);
        }
        self.alike(Operation::Map(activation), &view)
    }

    /// The value with its axes stored in this order.
    pub(super) fn stored(&mut self, view: View, order: &[usize]) -> Result<View, Refused> {
        if view.is_stored(order) {
            return Ok(View { order: order.to_vec(), ..view });
        }
        let (from, shape) = (view.strides(), view.shape.clone());
        let axes = order.iter().map(|axis| (shape[*axis], from[*axis])).collect::<Vec<_>>();
        let made = self.taken(&view, &axes, shape)?;
        Ok(View { order: order.to_vec(), ..made })
    }

    /// The value with its axes stored in their own order.
    pub(super) fn plain(&mut self, view: View) -> Result<View, Refused> {
        let order: Vec<usize> = (0..view.shape.len()).collect();
        self.stored(view, &order)
    }

    /// Cells of a value by axes of some length and stride in it.
    fn taken(&mut self, view: &View, axes: &[(usize, usize)], shape: Vec<usize>) -> Result<View, Refused> {
        let table = places(axes).ok_or_else(|| format!("has more than {MAX_CELLS} numbers"))?;
        self.rearranged(view, table, shape)
    }

    /// The cells at places of the stored value, as a value of this shape.
    pub(super) fn rearranged(
        &mut self,
        view: &View,
        table: Vec<u32>,
        shape: Vec<usize>,
    ) -> Result<View, Refused> {
        self.count(table.len())?;
        let operation =
            if self.is_integer(view) { Operation::RearrangeIntegers } else { Operation::Rearrange };
        self.push(operation(table), vec![view.slot], shape)
    }

    /// The value repeated along axes of length one, to this shape.
    pub(super) fn expanded(&mut self, view: View, shape: &[usize]) -> Result<View, Refused> {
        if view.shape == shape {
            return Ok(view);
        }
        let missing = shape.len().checked_sub(view.shape.len()).ok_or("has too many dimensions")?;
        let strides = view.strides();
        let axis = |(axis, length): (usize, &usize)| {
            let own = axis.checked_sub(missing).map_or((1, 0), |axis| (view.shape[axis], strides[axis]));
            match own {
                (1, _) => Ok((*length, 0)),
                (own, stride) if own == *length => Ok((own, stride)),
                _ => Err(format!("rows of {:?} do not fit rows of {shape:?}", view.shape)),
            }
        };
        let axes = shape.iter().enumerate().map(axis).collect::<Result<Vec<_>, _>>()?;
        self.taken(&view, &axes, shape.to_vec())
    }

    /// Combines two sides number by number.
    pub(super) fn combine(
        &mut self,
        arithmetic: Arithmetic,
        sides: [Term; 2],
        lead: usize,
    ) -> Result<View, Refused> {
        self.combine_by(|sides| Operation::Arithmetic(arithmetic, sides), sides, lead)
    }

    /// Combines two sides number by number, by an operation on them.
    pub(super) fn combine_by(
        &mut self,
        operation: impl FnOnce([Side; 2]) -> Operation,
        sides: [Term; 2],
        lead: usize,
    ) -> Result<View, Refused> {
        let shape = joint(&sides, lead)?;
        let (order, mut inputs) = (order(&sides, &shape), Vec::new());
        let sides = self.sides(sides, &shape, &order, &mut inputs)?;
        let made = self.push(operation(sides), inputs, shape)?;
        Ok(View { order, ..made })
    }

    /// Takes the first side where the condition holds, else the second.
    pub(super) fn choose(&mut self, condition: View, sides: [Term; 2], lead: usize) -> Result<View, Refused> {
        let [a, b] = sides.clone();
        let shape = joint(&[a, b, Term::Rows(condition.clone())], lead)?;
        let order = order(&sides, &shape);
        // A condition of one cell a row stays so: it chooses whole rows.
        let condition = match condition.cells() {
            1 => condition,
            _ => {
                let expanded = self.expanded(condition, &shape)?;
                self.stored(expanded, &order)?
            }
        };
        let mut inputs = vec![condition.slot];
        let sides = self.sides(sides, &shape, &order, &mut inputs)?;
        let made = self.push(Operation::Choose(sides), inputs, shape)?;
        Ok(View { order, ..made })
    }

    /// Two sides as rows of this shape, stored in this order; the slots of those that are no constants go to `inputs`.
    fn sides(
        &mut self,
        sides: [Term; 2],
        shape: &[usize],
        order: &[usize],
        inputs: &mut Vec<usize>,
    ) -> Result<[Side; 2], Refused> {
        let mut prepared = |side: Term| match side {
            Term::Constant(constant) => Ok(Side::Constant(self.constant(&constant, shape, order)?)),
            Term::Rows(view) if self.is_integer(&view) => {
                Err("takes integers, which only Cast and Gather do".into())
            }
            Term::Rows(view) => {
                let view = self.expanded(view, shape)?;
                let view = self.stored(view, order)?;
                inputs.push(view.slot);
                Ok::<_, Refused>(Side::Input(inputs.len() - 1))
            }
        };
        let [a, b] = sides;
        Ok([prepared(a)?, prepared(b)?])
    }

    /// A constant as a row of this shape, stored in this order: one number where it has but one.
    fn constant(
        &mut self,
        constant: &Constant,
        shape: &[usize],
        order: &[usize],
    ) -> Result<Vec<f32>, Refused> {
        let values = constant.as_reals().ok_or("has integers as a constant")?;
        if let [only] = values {
            return Ok(vec![*only]);
        }
        // It may have an axis of length one for the rows.
        let own = &constant.shape[constant.shape.len().saturating_sub(shape.len())..];
        let (missing, steps) = (shape.len() - own.len(), strides(own));
        let axis = |axis: &usize| {
            let own = axis.checked_sub(missing).map_or((1, 0), |axis| (own[axis], steps[axis]));
            (shape[*axis], if own.0 == 1 { 0 } else { own.1 })
        };
        let axes = order.iter().map(axis).collect::<Vec<_>>();
        let places = places(&axes).ok_or("has too many numbers")?;
        self.count(places.len())?;
        Ok(places.iter().map(|place| values[*place as usize]).collect())
    }

    /// Computes what depends on no row: `inputs` were added first, with these numbers. The result stored in its own order.
    pub(super) fn evaluate(mut self, inputs: &[&Constant], result: View) -> Result<Constant, Refused> {
        let result = self.plain(result)?;
        let slots: Vec<usize> = (0..inputs.len()).collect();
        let plan = Plan::new(&self.slots, self.steps, &slots, &[result.slot]);
        let mut memory = Memory::default();
        memory.fit(&plan);
        for (place, constant) in plan.inputs.iter().zip(inputs) {
            match &constant.data {
                Data::Real(values) => memory.reals[place.buffer][..values.len()].copy_from_slice(values),
                Data::Integer(values) => {
                    let to = memory.integers[place.buffer].iter_mut();
                    to.zip(values).for_each(|(to, from)| *to = narrow(*from));
                }
            }
        }
        plan.run(&mut memory, 1);
        let (place, rows) = (plan.outputs[0], 0..1);
        let data = match place.integers {
            false => Data::Real(memory.reals[place.buffer][place.range(&rows)].to_vec()),
            true => Data::Integer(
                memory.integers[place.buffer][place.range(&rows)].iter().map(|v| i64::from(*v)).collect(),
            ),
        };
        Ok(Constant { shape: result.shape, data })
    }
}

/// The nearest integer of 32 bits.
pub(super) fn narrow(value: i64) -> i32 {
    value.clamp(i32::MIN.into(), i32::MAX.into()) as i32
}

/// The order in which the axes of what is made of sides are stored: that of the first side of its shape.
fn order(sides: &[Term], shape: &[usize]) -> Vec<usize> {
    let mut orders = sides.iter().filter_map(|side| match side {
        Term::Rows(view) if view.shape == shape => Some(view.order.clone()),
        _ => None,
    });
    orders.next().unwrap_or_else(|| (0..shape.len()).collect())
}

/// The shape of a row that several sides have together.
fn joint(sides: &[Term], lead: usize) -> Result<Vec<usize>, Refused> {
    let mut joint = Vec::new();
    let mut rows: Option<&[usize]> = None;
    for side in sides {
        let shape = match side {
            Term::Rows(view) => &view.shape[..],
            Term::Constant(constant) => row_shape(sides, &constant.shape, lead)?,
        };
        if let (1, Term::Rows(_)) = (lead, side) {
            let first = *rows.get_or_insert(shape);
            if first.len() != shape.len() {
                return Err(format!("rows of {first:?} and {shape:?} mix rows"));
            }
        }
        joint = broadcast(&joint, shape)?;
    }
    Ok(joint)
}

/// The shape that two shapes have together.
fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, Refused> {
    let rank = a.len().max(b.len());
    let length =
        |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    let axis = |axis| match (length(a, axis), length(b, axis)) {
        (a, b) if a == b || b == 1 => Ok(a),
        (1, b) => Ok(b),
        _ => Err(format!("rows of {a:?} and {b:?} do not fit")),
    };
    (0..rank).map(axis).collect()
}

/// The dimensions of a constant but that of the rows, which must be one if it is there.
fn row_shape<'a>(sides: &[Term], shape: &'a [usize], lead: usize) -> Result<&'a [usize], Refused> {
    let rank = sides.iter().filter_map(|side| match side {
        Term::Rows(view) => Some(view.shape.len()),
        Term::Constant(_) => None,
    });
    let rank = rank.max().unwrap_or(0);
    if lead == 0 || shape.len() <= rank {
        return Ok(shape);
    }
    match shape {
        [1, rest @ ..] if rest.len() == rank => Ok(rest),
        _ => Err(format!("a constant of {shape:?} mixes rows of {rank} dimensions")),
    }
}

/// The places of all cells of axes of these lengths and strides, the last axis first; none where there are too many.
pub(super) fn places(axes: &[(usize, usize)]) -> Option<Vec<u32>> {
    let lengths = axes.iter().map(|(length, _)| *length).collect::<Vec<_>>();
    let mut places = Vec::with_capacity(cells(&lengths)?);
    places.push(0_u32);
    for (length, stride) in axes {
        let stride = u32::try_from(*stride).ok()?;
        let length = u32::try_from(*length).ok()?;
        places = places.iter().flat_map(|place| (0..length).map(move |step| place + step * stride)).collect();
    }
    Some(places)
}
