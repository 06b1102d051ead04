//! What the processor can do at best: a loop of nothing but fused multiply-adds in registers.

use std::hint::black_box;

/// Chains of multiply-adds that run side by side: latency 4, at most two a cycle, and some to spare.
const CHAINS: usize = 12;

/// Turns of the loop: some tens of milliseconds.
const TURNS: usize = 5_000_000;

/// Does as many f32 operations (a multiply-add counts two) as fast as this thread can, and tells how many. `None` on
/// processors that the loop is not written for.
#[must_use]
pub fn peak_operations() -> Option<f64> {
    let one = loop_of_this_processor()?;
    black_box((one.run)(TURNS));
    Some((TURNS * CHAINS * one.lanes * 2) as f64)
}

/// A loop and the number of f32 it works on with one instruction.
#[derive(Clone, Copy)]
struct PeakLoop {
    run: fn(usize) -> f32,
    lanes: usize,
}

#[cfg(target_arch = "x86_64")]
fn loop_of_this_processor() -> Option<PeakLoop> {
    use std::arch::x86_64::{
        _mm256_add_ps, _mm256_cvtss_f32, _mm256_fmadd_ps, _mm256_set1_ps, _mm512_add_ps, _mm512_cvtss_f32,
        _mm512_fmadd_ps, _mm512_set1_ps,
    };

    #[target_feature(enable = "avx512f")]
    fn avx512(turns: usize) -> f32 {
        let (factor, term) = (_mm512_set1_ps(black_box(0.999)), _mm512_set1_ps(black_box(0.001)));
        let mut chains = [_mm512_set1_ps(black_box(1.0)); CHAINS];
        for _ in 0..turns {
            for chain in &mut chains {
                *chain = _mm512_fmadd_ps(*chain, factor, term);
            }
        }
        _mm512_cvtss_f32(chains.into_iter().reduce(|a, b| _mm512_add_ps(a, b)).unwrap_or(term))
    }

    #[target_feature(enable = "avx2,fma")]
    fn avx2(turns: usize) -> f32 {
        let (factor, term) = (_mm256_set1_ps(black_box(0.999)), _mm256_set1_ps(black_box(0.001)));
        let mut chains = [_mm256_set1_ps(black_box(1.0)); CHAINS];
        for _ in 0..turns {
            for chain in &mut chains {
                *chain = _mm256_fmadd_ps(*chain, factor, term);
            }
        }
        _mm256_cvtss_f32(chains.into_iter().reduce(|a, b| _mm256_add_ps(a, b)).unwrap_or(term))
    }

    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has AVX-512 F, as was just asked.
        Some(PeakLoop { run: |turns| unsafe { avx512(turns) }, lanes: 16 })
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor has AVX2 and FMA, as was just asked.
        Some(PeakLoop { run: |turns| unsafe { avx2(turns) }, lanes: 8 })
    } else {
        None
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn loop_of_this_processor() -> Option<PeakLoop> {
    None
}
