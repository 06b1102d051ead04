//! The report through its public interface.

mod cases;
mod pictures;
mod text;
