//! `hilum dicom convert` of a segmentation: segments as labels, on the grid of its images.

use std::path::Path;

use anyhow::Result;
use hilum_dicom::{Refusal, SegmentationForm, SegmentationImage, load, nifti};
use hilum_volume::Geometry;

use super::{look, refused};
use crate::outcome::{Refused, WrongUsage};
use crate::output;
use crate::progress::Progress;

/// Writes the segments of `input` as labels that are their numbers, or `segment` alone as 1.
pub(super) fn convert(
    input: &Path,
    source: Option<&Path>,
    segment: Option<u16>,
    out: &Path,
    compression: nifti::Compression,
    progress: &Progress,
) -> Result<()> {
    let limits = crate::machine::limits();
    let bytes = std::fs::read(input).map_err(|e| Refused(format!("the segmentation cannot be read: {e}")))?;
    let image = SegmentationImage::read(&bytes, &limits).map_err(|r| refused(&r))?;
    let grid = match source {
        Some(path) => grid_of_images(path, &image, progress)?,
        None => image.own_grid(&limits).ok_or_else(|| {
            Refused("its frames are not evenly spaced: name the images it was made from with --source".into())
        })?,
    };
    if let Some(number) = segment
        && !image.segments.iter().any(|s| s.number == number)
    {
        return Err(WrongUsage(format!("there is no segment {number}; hilum dicom info lists them")).into());
    }
    if segment.is_none() && image.segments.iter().any(|s| s.number > 255) {
        return Err(Refused("labels go up to 255 and its segments beyond: choose one with --segment".into()).into());
    }
    let wanted = |number: u16| segment.is_none_or(|s| s == number);
    let label = |number: u16| if segment.is_some() { 1 } else { number as u8 };
    let labels = image.label_map(&grid, |s| wanted(s.number).then(|| label(s.number))).map_err(|r| refused(&r))?;
    let mut covered = 0;
    for one in image.segments.iter().filter(|s| wanted(s.number)) {
        let mask = image.mask(one.number, &grid).map_err(|r| refused(&r))?;
        let mine = |(inside, l): (&bool, &u8)| *inside && *l != label(one.number);
        covered += mask.data().iter().zip(labels.labels().data()).filter(|(i, l)| mine((i, l))).count();
        println!("{:>3} {}", label(one.number), super::network::shown(&one.label));
    }
    output::write_with(out, |file| Ok(nifti::write_labels(&labels, file, compression)?))?;
    if covered > 0 {
        eprintln!("segments overlap: later ones cover {covered} voxels of earlier ones; --segment writes one in full");
    }
    if matches!(image.form, SegmentationForm::Probability | SegmentationForm::Occupancy) {
        eprintln!("the segmentation holds fractions: voxels of one half and more are written");
    }
    println!("{}", out.display());
    Ok(())
}

/// The grid of the images that a segmentation names.
fn grid_of_images(path: &Path, image: &SegmentationImage, progress: &Progress) -> Result<Geometry> {
    let scan = look(path)?;
    let named = scan.series().iter().find(|s| image.source_series_uids.contains(&s.series_uid));
    let series = named.ok_or_else(|| Refused("the images of --source are not those it was made from".into()))?;
    let read = load(&scan, &series.series_uid, &|share| progress.report("reading", share));
    progress.finish();
    match read {
        Ok(series) => Ok(series.volume.geometry().clone()),
        Err(refusal) => Err::<Geometry, Refusal>(refusal).map_err(|r| refused(&r).into()),
    }
}
