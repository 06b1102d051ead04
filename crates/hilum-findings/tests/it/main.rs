//! Tests of the findings through their public interface.

mod chest;
mod contract;
mod judged;
mod measured;
