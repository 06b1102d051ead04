//! Walking a volume along its row and slice axis in parallel and in place.
//!
//! A *stack* is the list of image rows that differ in one index only: all rows of one slice, or the rows of equal index of
//! all slices. Working on stacks keeps the column, which is contiguous in memory, in the innermost loop.

use rayon::prelude::*;

/// Calls `work` once per slice with the rows of that slice.
pub(crate) fn along_rows<T: Send>(data: &mut [T], shape: [usize; 3], work: impl Fn(&mut [&mut [T]]) + Sync) {
    let [_, rows, columns] = shape;
    data.par_chunks_mut(rows * columns).for_each(|slice| {
        let mut stack: Vec<&mut [T]> = slice.chunks_mut(columns).collect();
        work(&mut stack);
    });
}

/// Calls `work` once per row index with that row of every slice.
pub(crate) fn along_slices<T: Send>(data: &mut [T], shape: [usize; 3], work: impl Fn(&mut [&mut [T]]) + Sync) {
    let [slices, rows, columns] = shape;
    let mut stacks: Vec<Vec<&mut [T]>> = (0..rows).map(|_| Vec::with_capacity(slices)).collect();
    for (at, row) in data.chunks_mut(columns).enumerate() {
        stacks[at % rows].push(row);
    }
    stacks.par_iter_mut().for_each(|stack| work(stack));
}
