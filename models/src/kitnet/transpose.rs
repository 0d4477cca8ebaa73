//! Rows to columns, in registers where the processor has AVX. Unsafe code, see ARCHITECTURE.md.
#![allow(unsafe_code)]

use legonf_core::LANES;

/// Features that are moved together: as many as a register has.
pub(super) const TOGETHER: usize = 4;

/// Features that follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Run {
    /// The first of them.
    pub first: usize,
    /// Where each goes among the columns of a tile.
    pub places: [usize; TOGETHER],
}

/// The rows of a tile.
#[derive(Clone, Copy)]
pub(super) struct TileRows<'a> {
    /// Rows of `width` cells.
    cells: &'a [f64],
    width: usize,
    /// Where each row of the tile begins.
    starts: [usize; LANES],
}

impl<'a> TileRows<'a> {
    /// As many rows as a tile has; where there are fewer, the last stands for the others.
    ///
    /// # Panics
    /// If there is none, or `width` is 0.
    pub(super) fn new(cells: &'a [f64], width: usize) -> Self {
        let last = cells.len() / width - 1;
        Self { cells, width, starts: std::array::from_fn(|lane| lane.min(last) * width) }
    }

    /// A feature of all rows.
    #[inline(always)]
    pub(super) fn column(&self, feature: usize) -> [f64; LANES] {
        self.starts.map(|start| self.cells[start..][..self.width][feature])
    }
}

/// Copies the features of all runs.
///
/// # Panics
/// If there is no such feature or place.
#[inline]
pub(super) fn copy(runs: &[Run], rows: &TileRows<'_>, tile: &mut [[f64; LANES]]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx") {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { copy_by_registers(runs, rows, tile) };
    }
    copy_by_cells(runs, rows, tile);
}

fn copy_by_cells(runs: &[Run], rows: &TileRows<'_>, tile: &mut [[f64; LANES]]) {
    for run in runs {
        run.places.iter().zip(run.first..).for_each(|(place, feature)| tile[*place] = rows.column(feature));
    }
}

/// [`copy`] by [`TOGETHER`] cells of as many rows at a time.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx")]
fn copy_by_registers(runs: &[Run], rows: &TileRows<'_>, tile: &mut [[f64; LANES]]) {
    use std::arch::x86_64::*;
    let TileRows { cells, width, starts } = rows;
    assert!(starts.iter().all(|start| start + width <= cells.len()), "rows are whole");
    for Run { first, places } in runs {
        assert!(first + TOGETHER <= *width, "a row has every feature of a run");
        for (half, starts) in starts.as_chunks::<TOGETHER>().0.iter().enumerate() {
            // SAFETY: the row that begins at `start` has `width` cells, of which `first` and three more are read.
            let [a, b, c, d] =
                starts.map(|start| unsafe { _mm256_loadu_pd(cells.as_ptr().add(start + first)) });
            let (ab, cd) = (_mm256_unpacklo_pd(a, b), _mm256_unpacklo_pd(c, d));
            let (ab_odd, cd_odd) = (_mm256_unpackhi_pd(a, b), _mm256_unpackhi_pd(c, d));
            let columns = [
                _mm256_permute2f128_pd::<0x20>(ab, cd),
                _mm256_permute2f128_pd::<0x20>(ab_odd, cd_odd),
                _mm256_permute2f128_pd::<0x31>(ab, cd),
                _mm256_permute2f128_pd::<0x31>(ab_odd, cd_odd),
            ];
            for (place, column) in places.iter().zip(columns) {
                let lanes = &mut tile[*place].as_chunks_mut::<TOGETHER>().0[half];
                // SAFETY: `lanes` has room for the four cells that are written.
                unsafe { _mm256_storeu_pd(lanes.as_mut_ptr(), column) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_and_cells_copy_the_same() {
        let (width, runs) =
            (11, [Run { first: 1, places: [3, 0, 6, 1] }, Run { first: 7, places: [2, 7, 4, 5] }]);
        let cells: Vec<f64> = (0..LANES * width).map(|cell| cell as f64).collect();
        for count in 1..=LANES {
            let source = TileRows::new(&cells[..count * width], width);
            let (mut plain, mut fast) = ([[0.0; LANES]; 8], [[0.0; LANES]; 8]);
            copy_by_cells(&runs, &source, &mut plain);
            copy(&runs, &source, &mut fast);
            assert_eq!(plain, fast, "{count} rows");
            let row = |lane: usize| lane.min(count - 1) * width;
            assert_eq!(plain[3], std::array::from_fn(|lane| (row(lane) + 1) as f64));
            assert_eq!(plain[5], std::array::from_fn(|lane| (row(lane) + 10) as f64));
        }
    }

    #[test]
    #[should_panic(expected = "a row has every feature of a run")]
    fn features_behind_the_last_are_refused() {
        copy(&[Run { first: 1, places: [0; 4] }], &TileRows::new(&[0.0; 4], 4), &mut [[0.0; LANES]]);
    }
}
