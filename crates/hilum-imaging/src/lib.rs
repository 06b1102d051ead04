//! Image-analysis kernels on volumes; they know no anatomy.
//!
//! Every function takes volumes on their grid and returns volumes on the same grid, or pictures. Lengths are millimetres
//! on any spacing; arrays are `[slice, row, column]`. Work is spread over rayon's threads, and results do not depend on
//! how many there are.
//!
//! | module | what |
//! |---|---|
//! | [`components`] | connected components, largest, holes, reconstruction |
//! | [`contour`] | outlines on planes |
//! | [`distance`] | exact Euclidean distance |
//! | [`extent`] | boxes of voxels |
//! | [`filter`] | Gaussian, box mean, median, also within a mask |
//! | [`hessian`] | sheets and tubes |
//! | [`grey`] | grey-value morphology |
//! | [`morphology`] | dilation, erosion, opening, closing |
//! | [`picture`] | RGB pictures, PNG |
//! | [`projection`] | reformatted planes and slabs |
//! | [`region`] | region growing, geodesic dilation, sharing a mask among seeds |
//! | [`registration`] | an earlier scan brought onto a later one |
//! | [`render`] | three-dimensional pictures |

pub mod components;
pub mod contour;
pub mod distance;
pub mod extent;
pub mod filter;
pub mod grey;
pub mod hessian;
pub mod morphology;
pub mod picture;
pub mod projection;
pub mod region;
pub mod registration;
pub mod render;
mod stack;
