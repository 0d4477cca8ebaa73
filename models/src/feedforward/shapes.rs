//! Operators that change what cells a value has and in which shape.

use super::builder::{Builder, Refused, Term, View, places};
use super::call::Call;
use super::operators::reals;
use super::pool::Reduction;
use super::step::Operation;
use super::tensor::{Constant, Data};

/// A constant with the lengths of a value's axes; −1 for that of the rows.
pub(super) fn shape(call: &Call<'_>) -> Result<Constant, Refused> {
    let lengths = |shape: &[usize]| shape.iter().map(|length| *length as i64).collect::<Vec<_>>();
    let all = match call.input(0)? {
        Term::Constant(constant) => lengths(&constant.shape),
        Term::Rows(view) => std::iter::once(-1).chain(lengths(&view.shape)).collect(),
    };
    if call.attribute("start").is_some() || call.attribute("end").is_some() {
        return Err("of a part of the axes".into());
    }
    Ok(Constant::integers(all))
}

pub(super) fn transpose(call: &Call<'_>) -> Result<View, Refused> {
    let view = call.rows(0)?;
    let rank = view.shape.len() + call.lead;
    let turned: Vec<i64> = (0..rank as i64).rev().collect();
    let axes = call.ints("perm").unwrap_or(&turned);
    let mut sorted = axes.to_vec();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..rank as i64) {
        return Err(format!("by {axes:?} of {rank} axes"));
    }
    if call.lead == 1 && axes.first() != Some(&0) {
        return Err("works across rows".into());
    }
    let axes: Vec<usize> = axes[call.lead..].iter().map(|axis| *axis as usize - call.lead).collect();
    let shape = axes.iter().map(|axis| view.shape[*axis]).collect();
    let new = |old: &usize| axes.iter().position(|axis| axis == old).unwrap_or(0);
    Ok(View { order: view.order.iter().map(new).collect(), shape, ..view })
}

pub(super) fn flatten(builder: &mut Builder, call: &Call<'_>) -> Result<View, Refused> {
    let view = call.rows(0)?;
    let rank = (view.shape.len() + call.lead) as i64;
    let axis = call.int("axis", 1);
    let axis = if axis < 0 { axis + rank } else { axis };
    if call.lead == 1 && axis != 1 {
        return Err("works across rows".into());
    }
    let view = builder.plain(view)?;
    let axis = usize::try_from(axis).ok().filter(|axis| *axis <= view.shape.len() + call.lead);
    let (outer, inner) = view.shape.split_at(axis.ok_or("names an axis that is not there")? - call.lead);
    let product = |part: &[usize]| part.iter().product::<usize>();
    let shape = if call.lead == 1 { vec![product(inner)] } else { vec![product(outer), product(inner)] };
    Ok(reshaped(view, shape))
}

/// A plain value in another shape.
fn reshaped(view: View, shape: Vec<usize>) -> View {
    View { order: (0..shape.len()).collect(), shape, ..view }
}

pub(super) fn reshape(builder: &mut Builder, call: &Call<'_>) -> Result<View, Refused> {
    let view = call.rows(0)?;
    let wanted = call.list("shape", 1)?.ok_or("has no shape")?;
    let (rows, wanted) = wanted.split_at(call.lead.min(wanted.len()));
    let keeps = |length: &i64| matches!(length, -1 | 0) || call.stated_rows == Some(*length);
    if call.lead == 1 && !rows.first().is_some_and(keeps) {
        return Err("works across rows: the first number of its shape is to be -1 or 0".into());
    }
    let zero = call.int("allowzero", 0) == 0;
    let known = |(axis, length): (usize, &i64)| match *length {
        0 if zero => view.shape.get(axis).copied().ok_or("keeps an axis that is not there".to_owned()),
        -1 => Ok(1),
        length => usize::try_from(length).map_err(|_| format!("to {wanted:?}")),
    };
    let mut shape = wanted.iter().enumerate().map(known).collect::<Result<Vec<_>, _>>()?;
    let product = shape.iter().try_fold(1_usize, |product, length| product.checked_mul(*length));
    let fits = product.filter(|product| *product > 0 && view.cells().is_multiple_of(*product));
    let rest = view.cells() / fits.ok_or_else(|| misfit(&view, wanted))?;
    match wanted.iter().position(|length| *length == -1) {
        Some(axis) => shape[axis] = rest,
        None if rest == 1 => {}
        None => return Err(misfit(&view, wanted)),
    }
    Ok(reshaped(builder.plain(view)?, shape))
}

fn misfit(view: &View, wanted: &[i64]) -> Refused {
    format!("rows of {:?} do not fit {wanted:?}, or rows are mixed", view.shape)
}

pub(super) fn squeeze(call: &Call<'_>) -> Result<View, Refused> {
    let mut view = call.rows(0)?;
    let axes = match call.list("axes", 1)? {
        Some(axes) => call.axes(&axes, view.shape.len())?,
        None => (0..view.shape.len()).filter(|axis| view.shape[*axis] == 1).collect(),
    };
    for axis in axes.into_iter().rev() {
        if view.shape[axis] != 1 {
            return Err(format!("drops an axis of length {}", view.shape[axis]));
        }
        drop_axis(&mut view, axis);
    }
    Ok(view)
}

/// Takes out an axis of length one.
fn drop_axis(view: &mut View, axis: usize) {
    view.shape.remove(axis);
    view.order.retain(|own| *own != axis);
    view.order.iter_mut().filter(|own| **own > axis).for_each(|own| *own -= 1);
}

pub(super) fn unsqueeze(call: &Call<'_>) -> Result<View, Refused> {
    let mut view = call.rows(0)?;
    let axes = call.list("axes", 1)?.ok_or("has no axes")?;
    for axis in call.axes(&axes, view.shape.len() + axes.len())? {
        if axis > view.shape.len() {
            return Err(format!("puts an axis at {axis} of {}", view.shape.len()));
        }
        view.shape.insert(axis, 1);
        view.order.iter_mut().filter(|own| **own >= axis).for_each(|own| *own += 1);
        view.order.insert(0, axis);
    }
    Ok(view)
}

/// Rows of a table by numbers that come from the rows, or cells of each row by numbers that are constant.
pub(super) fn gather(builder: &mut Builder, call: &Call<'_>) -> Result<View, Refused> {
    match (call.input(0)?, call.input(1)?) {
        (Term::Constant(table), Term::Rows(numbers)) => looked_up(builder, call, table, numbers.clone()),
        (Term::Rows(view), Term::Constant(numbers)) => selected(builder, call, view.clone(), numbers),
        _ => Err("takes cells from rows by numbers from rows".into()),
    }
}

fn looked_up(
    builder: &mut Builder,
    call: &Call<'_>,
    table: &Constant,
    numbers: View,
) -> Result<View, Refused> {
    let values = table.as_reals().ok_or("has a table of integers")?;
    let [count, width @ ..] = &table.shape[..] else { return Err("has a table without rows".into()) };
    let axis = call.int("axis", 0);
    let rank = table.shape.len() as i64;
    if axis != 0 && axis + rank != 0 || !builder.is_integer(&numbers) || *count == 0 || values.is_empty() {
        return Err("takes other than whole rows of a table by integers".into());
    }
    let numbers = builder.plain(numbers)?;
    builder.count(values.len())?;
    let shape = [&numbers.shape, width].concat();
    let operation = Operation::Lookup(width.iter().product(), values.to_vec());
    builder.push(operation, vec![numbers.slot], shape)
}

fn selected(builder: &mut Builder, call: &Call<'_>, view: View, numbers: &Constant) -> Result<View, Refused> {
    let view = builder.plain(view)?;
    let axis = call.axis(call.int("axis", 0), view.shape.len())?;
    let length = view.shape[axis];
    let place = |number: &i64| {
        let number = if *number < 0 { number + length as i64 } else { *number };
        usize::try_from(number).ok().filter(|place| *place < length)
    };
    let chosen = numbers.as_integers().ok_or("has numbers that are no integers")?.iter().map(place);
    let chosen: Vec<usize> =
        chosen.collect::<Option<_>>().ok_or_else(|| format!("names a cell that is not among {length}"))?;
    let inner: usize = view.shape[axis + 1..].iter().product();
    let outer: usize = view.shape[..axis].iter().product();
    let all =
        places(&[(outer, length * inner), (chosen.len(), 0), (inner, 1)]).ok_or("has too many cells")?;
    let of = |(cell, place): (usize, u32)| place + (chosen[cell / inner % chosen.len()] * inner) as u32;
    let shape = [&view.shape[..axis], &numbers.shape, &view.shape[axis + 1..]].concat();
    let table = all.into_iter().enumerate().map(of).collect();
    builder.rearranged(&view, table, shape)
}

pub(super) fn concat(builder: &mut Builder, call: &Call<'_>) -> Result<Vec<Term>, Refused> {
    let terms = (0..call.inputs.len()).map(|number| call.input(number).cloned());
    let terms: Vec<Term> = terms.collect::<Result<_, _>>()?;
    let constants = terms.iter().map(|term| match term {
        Term::Constant(constant) => Some(&**constant),
        Term::Rows(_) => None,
    });
    if let Some(constants) = constants.collect::<Option<Vec<_>>>() {
        return Ok(vec![Term::Constant(joined_constants(call, &constants)?.into())]);
    }
    let views = (0..call.inputs.len()).map(|number| reals(builder, call.rows(number)?));
    let views: Vec<View> = views.collect::<Result<_, _>>()?;
    Ok(vec![Term::Rows(joined(builder, call, views)?)])
}

fn joined_constants(call: &Call<'_>, constants: &[&Constant]) -> Result<Constant, Refused> {
    let flat = constants.iter().all(|constant| constant.shape.len() == 1) && call.int("axis", 0) == 0;
    let lists = constants.iter().filter(|_| flat).map(|constant| constant.as_integers());
    let lists = lists.collect::<Option<Vec<_>>>().filter(|lists| !lists.is_empty());
    Ok(Constant::integers(lists.ok_or("of constants that are no lists of integers")?.concat()))
}

fn joined(builder: &mut Builder, call: &Call<'_>, views: Vec<View>) -> Result<View, Refused> {
    let first = views.first().ok_or("has no input")?.clone();
    let axis = call.axis(call.int("axis", 0), first.shape.len())?;
    let others = |view: &View| {
        let others = view.shape.iter().enumerate().filter(|(own, _)| *own != axis);
        others.map(|(_, length)| *length).collect::<Vec<_>>()
    };
    if views.iter().any(|view| view.shape.len() != first.shape.len() || others(view) != others(&first)) {
        return Err("of rows that do not fit".into());
    }
    let order = first.order.clone();
    let place = order.iter().position(|own| *own == axis).unwrap_or(0);
    let views = views.into_iter().map(|view| builder.stored(view, &order));
    let views: Vec<View> = views.collect::<Result<_, _>>()?;
    let widths = views.iter().map(|view| view.stored()[place..].iter().product()).collect();
    let mut shape = first.shape.clone();
    shape[axis] = views.iter().map(|view| view.shape[axis]).sum();
    let slots = views.iter().map(|view| view.slot).collect();
    let made = builder.push(Operation::Join(widths), slots, shape)?;
    Ok(View { order, ..made })
}

pub(super) fn reduce(builder: &mut Builder, call: &Call<'_>, reduction: Reduction) -> Result<View, Refused> {
    let view = reals(builder, call.rows(0)?)?;
    let axes = match call.list("axes", 1)? {
        Some(axes) if !axes.is_empty() => call.axes(&axes, view.shape.len())?,
        _ if call.int("noop_with_empty_axes", 0) == 1 => return Ok(view),
        _ if call.lead == 0 => (0..view.shape.len()).collect(),
        _ => return Err("works across rows".into()),
    };
    over(builder, view, &axes, call.int("keepdims", 1) == 1, reduction)
}

/// Reduces whole axes.
pub(super) fn over(
    builder: &mut Builder,
    view: View,
    axes: &[usize],
    keeps: bool,
    reduction: Reduction,
) -> Result<View, Refused> {
    let (gone, kept): (Vec<usize>, Vec<usize>) = view.order.iter().partition(|axis| axes.contains(axis));
    // Axes that are adjacent as they are stored are reduced where they are; others are brought together before those that stay.
    let place = view.order.iter().position(|axis| axes.contains(axis)).unwrap_or(0);
    let adjacent = view.order.iter().skip(place).take(gone.len()).all(|axis| axes.contains(axis));
    let place = if adjacent { place } else { 0 };
    let order = [&kept[..place], &gone[..], &kept[place..]].concat();
    let view = builder.stored(view, &order)?;
    let length = |axes: &[usize]| axes.iter().map(|axis| view.shape[*axis]).product::<usize>();
    let operation = Operation::Reduce(reduction, length(&gone), length(&kept[place..]));
    let mut shape = view.shape.clone();
    gone.iter().for_each(|axis| shape[*axis] = 1);
    let made = builder.push(operation, vec![view.slot], shape)?;
    let mut made = View { order, ..made };
    if !keeps {
        axes.iter().rev().for_each(|axis| drop_axis(&mut made, *axis));
    }
    Ok(made)
}

/// A constant matrix, or list of matrices that is one, as rows and columns of numbers.
pub(super) fn matrix(constant: &Constant) -> Result<(usize, usize, &[f32]), Refused> {
    match (&constant.shape[..], &constant.data) {
        ([rows, columns], Data::Real(values)) if !values.is_empty() => Ok((*rows, *columns, values)),
        _ => Err(format!("has weights of {:?}: expected a matrix of numbers", constant.shape)),
    }
}
