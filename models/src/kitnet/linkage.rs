//! Single-linkage clustering with the tie handling of SciPy's `linkage`, and the breaking of its tree.
//!
//! Ties decide which features share an autoencoder, so every comparison here is part of the result.

/// One edge of the minimum spanning tree: the node added last, the node added now, their distance.
type Edge = (usize, usize, f64);

/// An inner node of the dendrogram: children and number of leaves.
struct Merge {
    left: usize,
    right: usize,
    leaves: usize,
}

/// Groups `n` items into clusters of at most `max` items, given their `n × n` distances.
///
/// Single linkage, then breaking from the root: a subtree of at most `max` leaves is one cluster, its
/// leaves from left to right; a larger one is its left part, then its right part (KitNET's `corClust`).
pub(crate) fn cluster(distances: &[f64], n: usize, max: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return Vec::new();
    }
    let merges = merge(spanning_tree(distances, n), n);
    break_tree(&merges, n, max.clamp(1, n))
}

/// Prim's algorithm from node 0. An edge starts at the node added before, not at the nearest one.
fn spanning_tree(distances: &[f64], n: usize) -> Vec<Edge> {
    let mut best = vec![f64::INFINITY; n];
    let mut merged = vec![false; n];
    let mut edges = Vec::with_capacity(n - 1);
    let mut current = 0;
    for _ in 1..n {
        merged[current] = true;
        let (next, distance) = nearest(&distances[current * n..][..n], &mut best, &merged);
        edges.push((current, next, distance));
        current = next;
    }
    edges
}

/// Updates `best` with one node's distances; the lowest open index with the strictly smallest one.
fn nearest(row: &[f64], best: &mut [f64], merged: &[bool]) -> (usize, f64) {
    let open = || merged.iter().enumerate().filter(|(_, m)| !**m).map(|(i, _)| i);
    let mut found = (open().next().unwrap_or(0), f64::INFINITY);
    for i in open() {
        if best[i] > row[i] {
            best[i] = row[i];
        }
        if best[i] < found.1 {
            found = (i, best[i]);
        }
    }
    found
}

/// Union-find over the edges in stable order of distance; merge `k` makes cluster `n + k`, the child
/// with the smaller number on the left.
fn merge(mut edges: Vec<Edge>, n: usize) -> Vec<Merge> {
    edges.sort_by(|a, b| a.2.total_cmp(&b.2));
    let mut parent: Vec<usize> = (0..2 * n).collect();
    let mut merges: Vec<Merge> = Vec::with_capacity(edges.len());
    for (k, (a, b, _)) in edges.into_iter().enumerate() {
        let (a, b) = (root(&mut parent, a), root(&mut parent, b));
        let leaves = leaves(&merges, n, a) + leaves(&merges, n, b);
        parent[a] = n + k;
        parent[b] = n + k;
        merges.push(Merge { left: a.min(b), right: a.max(b), leaves });
    }
    merges
}

fn root(parent: &mut [usize], mut node: usize) -> usize {
    while parent[node] != node {
        parent[node] = parent[parent[node]];
        node = parent[node];
    }
    node
}

fn leaves(merges: &[Merge], n: usize, node: usize) -> usize {
    node.checked_sub(n).map_or(1, |k| merges[k].leaves)
}

fn break_tree(merges: &[Merge], n: usize, max: usize) -> Vec<Vec<usize>> {
    let mut clusters = Vec::new();
    let mut open = vec![n + merges.len() - 1];
    while let Some(node) = open.pop() {
        if leaves(merges, n, node) <= max {
            clusters.push(leaf_order(merges, n, node));
        } else {
            let merge = &merges[node - n];
            open.extend([merge.right, merge.left]);
        }
    }
    clusters
}

fn leaf_order(merges: &[Merge], n: usize, node: usize) -> Vec<usize> {
    let mut order = Vec::new();
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        match node.checked_sub(n) {
            None => order.push(node),
            Some(k) => open.extend([merges[k].right, merges[k].left]),
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matrix(n: usize, distance: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        (0..n * n).map(|c| distance(c / n, c % n)).collect()
    }

    #[test]
    fn near_items_share_a_cluster() {
        let at = [0.0_f64, 10.0, 0.1, 10.1, 0.2];
        let distances = matrix(5, |i, j| (at[i] - at[j]).abs());
        assert_eq!(cluster(&distances, 5, 3), [vec![1, 3], vec![4, 0, 2]]);
        assert_eq!(cluster(&distances, 5, 9), [vec![1, 3, 4, 0, 2]]);
    }

    #[test]
    fn equal_distances_merge_in_index_order() {
        let distances = matrix(4, |_, _| 1.0);
        assert_eq!(cluster(&distances, 4, 2), [vec![3], vec![2], vec![0, 1]]);
    }

    #[test]
    fn one_item_and_none() {
        assert_eq!(cluster(&[0.0], 1, 10), [vec![0]]);
        assert!(cluster(&[], 0, 10).is_empty());
    }

    proptest! {
        #[test]
        fn every_item_is_in_one_cluster(
            n in 1_usize..20, max in 0_usize..25, cells in prop::collection::vec(any::<f64>(), 400),
        ) {
            let clusters = cluster(&cells[..n * n], n, max);
            prop_assert!(clusters.iter().all(|c| c.len() <= max.clamp(1, n)));
            let mut all = clusters.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..n).collect::<Vec<_>>());
        }
    }
}
