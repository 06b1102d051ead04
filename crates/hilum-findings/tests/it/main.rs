//! Tests of the findings through their public interface.

mod contract;
