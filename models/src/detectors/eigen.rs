//! Eigenvectors of a symmetric matrix, by Jacobi's rotations.

/// Sweeps over all pairs at most; a matrix of some hundred rows takes about ten.
const SWEEPS: usize = 60;
/// A sum of squares off the diagonal that is this part of that of the matrix is none.
const NEGLIGIBLE: f64 = 1e-30;

/// Eigenvalues, the largest first, and the eigenvector of each, whose largest component is positive. `matrix` holds `n` rows.
///
/// # Panics
/// If `matrix` does not hold n · n numbers.
pub(crate) fn eigenvectors(mut matrix: Vec<f64>, n: usize) -> Vec<(f64, Vec<f64>)> {
    assert_eq!(matrix.len(), n * n, "a square matrix");
    let mut vectors = vec![0.0; n * n];
    (0..n).for_each(|i| vectors[i * n + i] = 1.0);
    let all: f64 = matrix.iter().map(|value| value * value).sum();
    for _ in 0..SWEEPS {
        if off_diagonal(&matrix, n) <= NEGLIGIBLE * all {
            break;
        }
        for p in 0..n {
            (p + 1..n).for_each(|q| rotate(&mut matrix, &mut vectors, n, (p, q)));
        }
    }
    let vector = |i: usize| oriented(vectors[i * n..(i + 1) * n].to_vec());
    let mut found: Vec<_> = (0..n).map(|i| (matrix[i * n + i], vector(i))).collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found
}

fn off_diagonal(matrix: &[f64], n: usize) -> f64 {
    (0..n).flat_map(|p| (p + 1..n).map(move |q| p * n + q)).map(|at| matrix[at] * matrix[at]).sum()
}

/// Makes the cell (p, q) zero. Row i of `vectors` becomes the i-th eigenvector.
fn rotate(matrix: &mut [f64], vectors: &mut [f64], n: usize, (p, q): (usize, usize)) {
    let apq = matrix[p * n + q];
    if apq == 0.0 {
        return;
    }
    let theta = (matrix[q * n + q] - matrix[p * n + p]) / (2.0 * apq);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    rotate_rows(matrix, n, (p, q), (c, s));
    for k in 0..n {
        let (a, b) = (matrix[k * n + p], matrix[k * n + q]);
        matrix[k * n + p] = c * a - s * b;
        matrix[k * n + q] = s * a + c * b;
    }
    rotate_rows(vectors, n, (p, q), (c, s));
}

fn rotate_rows(matrix: &mut [f64], n: usize, (p, q): (usize, usize), (c, s): (f64, f64)) {
    let (upper, lower) = matrix.split_at_mut(q * n);
    for (a, b) in upper[p * n..(p + 1) * n].iter_mut().zip(&mut lower[..n]) {
        (*a, *b) = (c * *a - s * *b, s * *a + c * *b);
    }
}

/// A vector or its opposite, so that the first of its largest components is positive.
fn oriented(mut vector: Vec<f64>) -> Vec<f64> {
    let larger = |a: f64, b: &f64| if b.abs() > a.abs() { *b } else { a };
    if vector.iter().fold(0.0, larger) < 0.0 {
        vector.iter_mut().for_each(|value| *value = -*value);
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_orthonormal_and_give_the_matrix_back() {
        let n = 12;
        let half: Vec<f64> = (0..n * n).map(|i| ((i * 37 + 11) % 23) as f64 - 9.0).collect();
        let matrix: Vec<f64> = (0..n * n).map(|i| half[i] + half[i % n * n + i / n]).collect();
        let found = eigenvectors(matrix.clone(), n);
        assert!(found.is_sorted_by(|a, b| a.0 >= b.0));
        for p in 0..n {
            for q in 0..n {
                let dot: f64 = (0..n).map(|k| found[p].1[k] * found[q].1[k]).sum();
                assert!((dot - f64::from(u8::from(p == q))).abs() < 1e-12, "{p} {q} {dot}");
                let cell: f64 = found.iter().map(|(value, v)| value * v[p] * v[q]).sum();
                assert!((cell - matrix[p * n + q]).abs() < 1e-10, "{p} {q}");
            }
        }
    }
}
