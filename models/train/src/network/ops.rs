//! Operations with gradients that candle has not, or not in one pass over memory: on the processor by loops of their own, elsewhere
//! composed of candle's.

use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Result, Shape, Storage, Tensor};

/// Added to variances before the root is taken.
pub(crate) const EPSILON: f32 = 1e-5;

/// How rows are normalized before they are rectified.
#[derive(Clone)]
pub(crate) struct Statistics {
    /// Mean of each column.
    pub(crate) mean: Vec<f32>,
    /// One over the root of the variance of each column.
    pub(crate) scale: Vec<f32>,
    /// Whether they are those of these very rows, so that their gradient counts.
    pub(crate) of_batch: bool,
}

/// The means and variances of the columns of `rows` \[rows, columns\].
pub(crate) fn moments(rows: &Tensor) -> Result<(Vec<f32>, Vec<f32>)> {
    let (count, width) = rows.dims2()?;
    with_cells(&rows.detach(), |cells| {
        let mut mean = vec![0.0; width];
        let mut variance = vec![0.0; width];
        sums(cells, width, &mut mean, |_, cell| cell);
        mean.iter_mut().for_each(|sum| *sum /= count as f64);
        let center: Vec<f32> = mean.iter().map(|mean| *mean as f32).collect();
        sums(cells, width, &mut variance, |column, cell| (cell - center[column]) * (cell - center[column]));
        let variance = variance.iter().map(|sum| (sum / count as f64) as f32).collect();
        (center, variance)
    })
}

/// Rows that are summed in single precision before they are added to the sum in double.
const BLOCK: usize = 64;

fn sums(cells: &[f32], width: usize, sums: &mut [f64], value: impl Fn(usize, f32) -> f32) {
    let mut partial = vec![0.0f32; width];
    for block in cells.chunks(BLOCK * width) {
        partial.fill(0.0);
        for row in block.chunks_exact(width) {
            for (column, (sum, cell)) in partial.iter_mut().zip(row).enumerate() {
                *sum += value(column, *cell);
            }
        }
        sums.iter_mut().zip(&partial).for_each(|(sum, part)| *sum += f64::from(*part));
    }
}

/// What `work` makes of the cells of a tensor, wherever it is.
fn with_cells<T>(tensor: &Tensor, work: impl FnOnce(&[f32]) -> T) -> Result<T> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(cells), Some((from, to))) => Ok(work(&cells.as_slice::<f32>()?[from..to])),
        _ => Ok(work(&tensor.flatten_all()?.to_vec1::<f32>()?)),
    }
}

fn cells<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let contiguous = layout.contiguous_offsets();
    let (from, to) = contiguous.ok_or_else(|| candle_core::Error::Msg("cells are not contiguous".into()))?;
    Ok(&storage.as_slice::<f32>()?[from..to])
}

/// `max(0, (rows − mean) · scale · gain + offset)`, for rows \[rows, columns\], gain and offset \[columns\].
pub(crate) fn normalize_and_rectify(
    rows: &Tensor,
    gain: &Tensor,
    offset: &Tensor,
    statistics: Statistics,
) -> Result<Tensor> {
    if rows.device().is_cpu() {
        return rows.contiguous()?.apply_op3(gain, offset, NormalizeAndRectify(statistics));
    }
    composed(rows, gain, offset, &statistics)
}

/// The same of candle's operations.
fn composed(rows: &Tensor, gain: &Tensor, offset: &Tensor, statistics: &Statistics) -> Result<Tensor> {
    let (count, width) = rows.dims2()?;
    let centered = if statistics.of_batch {
        let centered = rows.broadcast_sub(&rows.mean_keepdim(0)?)?;
        let variance = (centered.sqr()?.sum_keepdim(0)? / count as f64)?;
        centered.broadcast_div(&(variance + f64::from(EPSILON))?.sqrt()?)?
    } else {
        let of = |cells: &[f32]| Tensor::from_slice(cells, width, rows.device());
        rows.broadcast_sub(&of(&statistics.mean)?)?.broadcast_mul(&of(&statistics.scale)?)?
    };
    centered.broadcast_mul(gain)?.broadcast_add(offset)?.relu()
}

struct NormalizeAndRectify(Statistics);

impl CustomOp3 for NormalizeAndRectify {
    fn name(&self) -> &'static str {
        "normalize-and-rectify"
    }

    fn cpu_fwd(
        &self,
        rows: &CpuStorage,
        of_rows: &Layout,
        gain: &CpuStorage,
        of_gain: &Layout,
        offset: &CpuStorage,
        of_offset: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, gain, offset) = (cells(rows, of_rows)?, cells(gain, of_gain)?, cells(offset, of_offset)?);
        let factor: Vec<f32> = gain.iter().zip(&self.0.scale).map(|(gain, scale)| gain * scale).collect();
        let of_column = |((mean, factor), offset): ((&f32, &f32), &f32)| offset - mean * factor;
        let shift: Vec<f32> = self.0.mean.iter().zip(&factor).zip(offset).map(of_column).collect();
        let mut out = vec![0.0; rows.len()];
        for (out, row) in out.chunks_exact_mut(gain.len()).zip(rows.chunks_exact(gain.len())) {
            for (((out, cell), factor), shift) in out.iter_mut().zip(row).zip(&factor).zip(&shift) {
                *out = (cell * factor + shift).max(0.0);
            }
        }
        Ok((CpuStorage::F32(out), of_rows.shape().clone()))
    }

    fn bwd(
        &self,
        rows: &Tensor,
        gain: &Tensor,
        _offset: &Tensor,
        result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gains = gain.to_vec1::<f32>()?;
        let found = with_cells(rows, |rows| {
            with_cells(result, |result| {
                with_cells(gradient, |gradient| self.gradients(rows, &gains, result, gradient))
            })
        })???;
        let (of_rows, of_gain, of_offset) = found;
        let tensor = |cells: Vec<f32>| Tensor::from_vec(cells, gains.len(), rows.device());
        let of_rows = Tensor::from_vec(of_rows, rows.shape(), rows.device())?;
        Ok((Some(of_rows), Some(tensor(of_gain)?), Some(tensor(of_offset)?)))
    }
}

type Gradients = (Vec<f32>, Vec<f32>, Vec<f32>);

impl NormalizeAndRectify {
    /// Gradients of rows, gain and offset.
    fn gradients(&self, rows: &[f32], gain: &[f32], result: &[f32], gradient: &[f32]) -> Gradients {
        let Statistics { mean, scale, of_batch } = &self.0;
        let width = gain.len();
        let (mut of_gain, mut of_offset) = (vec![0.0f32; width], vec![0.0f32; width]);
        let mut back = vec![0.0f32; rows.len()];
        let lines =
            rows.chunks_exact(width).zip(result.chunks_exact(width)).zip(gradient.chunks_exact(width));
        for (back, ((row, result), gradient)) in back.chunks_exact_mut(width).zip(lines) {
            for column in 0..width {
                let passed = if result[column] > 0.0 { gradient[column] } else { 0.0 };
                let normal = (row[column] - mean[column]) * scale[column];
                back[column] = passed;
                of_gain[column] += passed * normal;
                of_offset[column] += passed;
            }
        }
        let count = if *of_batch { (rows.len() / width) as f32 } else { f32::INFINITY };
        let factor: Vec<f32> = gain.iter().zip(scale).map(|(gain, scale)| gain * scale).collect();
        for (back, row) in back.chunks_exact_mut(width).zip(rows.chunks_exact(width)) {
            for column in 0..width {
                let normal = (row[column] - mean[column]) * scale[column];
                let common = (of_offset[column] + normal * of_gain[column]) / count;
                back[column] = factor[column] * (back[column] - common);
            }
        }
        (back, of_gain, of_offset)
    }
}

/// The greatest values of windows: of cells \[rows, positions, columns\], where `windows` holds `size` positions for each window, to
/// \[rows, windows, columns\].
pub(crate) fn greatest(cells: &Tensor, windows: &[u32], size: usize) -> Result<Tensor> {
    let (rows, _, columns) = cells.dims3()?;
    if cells.device().is_cpu() {
        return cells.contiguous()?.apply_op1(Greatest { windows: windows.to_vec(), size });
    }
    let index = Tensor::from_slice(windows, windows.len(), cells.device())?;
    cells.index_select(&index, 1)?.reshape((rows, windows.len() / size, size, columns))?.max(2)
}

struct Greatest {
    windows: Vec<u32>,
    size: usize,
}

impl CustomOp1 for Greatest {
    fn name(&self) -> &'static str {
        "greatest"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, positions, columns) = layout.shape().dims3()?;
        let cells = cells(storage, layout)?;
        let count = self.windows.len() / self.size;
        let mut out = vec![f32::NEG_INFINITY; rows * count * columns];
        for (row, out) in out.chunks_exact_mut(count * columns).enumerate() {
            let row = &cells[row * positions * columns..][..positions * columns];
            for (out, window) in out.chunks_exact_mut(columns).zip(self.windows.chunks_exact(self.size)) {
                for position in window {
                    let from = &row[*position as usize * columns..][..columns];
                    out.iter_mut().zip(from).for_each(|(out, cell)| *out = out.max(*cell));
                }
            }
        }
        Ok((CpuStorage::F32(out), (rows, count, columns).into()))
    }

    fn bwd(&self, arg: &Tensor, result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (_, positions, columns) = arg.dims3()?;
        let back = with_cells(arg, |cells| {
            with_cells(result, |result| {
                with_cells(gradient, |gradient| self.back((positions, columns), cells, result, gradient))
            })
        })???;
        Ok(Some(Tensor::from_vec(back, arg.shape(), arg.device())?))
    }
}

impl Greatest {
    /// The gradient of the cells: it goes to the first of a window that has the greatest value.
    fn back(
        &self,
        (positions, columns): (usize, usize),
        cells: &[f32],
        result: &[f32],
        gradient: &[f32],
    ) -> Vec<f32> {
        let mut back = vec![0.0; cells.len()];
        let count = self.windows.len() / self.size;
        for (at, (most, gradient)) in
            result.chunks_exact(columns).zip(gradient.chunks_exact(columns)).enumerate()
        {
            let (row, window) = (at / count, at % count);
            let window = &self.windows[window * self.size..][..self.size];
            for column in 0..columns {
                let place = |position: &u32| (row * positions + *position as usize) * columns + column;
                let first = window.iter().map(place).find(|place| cells[*place] == most[column]);
                if let Some(first) = first {
                    back[first] += gradient[column];
                }
            }
        }
        back
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    fn numbers(count: usize, step: f32) -> Vec<f32> {
        (0..count).map(|at| ((at as f32 * step).sin() * 10.0).fract()).collect()
    }

    fn var(count: usize, step: f32, shape: impl Into<Shape>) -> Var {
        Var::from_vec(numbers(count, step), shape, &Device::Cpu).unwrap()
    }

    fn close(a: &Tensor, b: &Tensor) {
        let (a, b) = (
            a.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
            b.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
        );
        let far = a.iter().zip(&b).find(|(a, b)| (**a - **b).abs() > 2e-4 * (1.0 + b.abs()));
        assert!(a.len() == b.len() && far.is_none(), "{far:?}");
    }

    #[test]
    fn normalizing_has_the_values_and_gradients_of_candles_operations() {
        let (rows, gain, offset) = (var(35, 1.7, (7, 5)), var(5, 2.3, 5), var(5, 3.1, 5));
        for of_batch in [true, false] {
            let (mean, variance) = moments(&rows).unwrap();
            let scale = variance.iter().map(|v| 1.0 / (v + EPSILON).sqrt()).collect();
            let statistics = Statistics { mean, scale, of_batch };
            let fused = normalize_and_rectify(&rows, &gain, &offset, statistics.clone()).unwrap();
            let plain = composed(&rows, &gain, &offset, &statistics).unwrap();
            close(&fused, &plain);
            let back =
                |out: &Tensor| (out.sqr().unwrap() * 0.5).unwrap().sum_all().unwrap().backward().unwrap();
            let (fused, plain) = (back(&fused), back(&plain));
            for var in [&rows, &gain, &offset] {
                close(fused.get(var).unwrap(), plain.get(var).unwrap());
            }
        }
    }

    #[test]
    fn the_greatest_of_windows_passes_its_gradient_to_where_it_was() {
        let cells = var(24, 1.3, (2, 4, 3));
        let out = greatest(&cells, &[0, 1, 2, 3], 2).unwrap();
        let plain = cells.reshape((2, 2, 2, 3)).unwrap().max(2).unwrap();
        close(&out, &plain);
        let back = |out: &Tensor| out.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        close(back(&out).get(&cells).unwrap(), back(&plain).get(&cells).unwrap());
    }
}
