//! Segmentations read back: our own and those of others.

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use hilum_volume::{Geometry, LabelMap, Mask, PatientPoint, PatientVector, Volume};

use crate::dataset::{Dataset, Fault};
use crate::image::PixelLayout;
use crate::part10::Layout;
use crate::scan::SkipReason;
use crate::segmentation_grid::even_grid;
use crate::segmentation_values::Values;
use crate::{Limits, Origin, Refusal};

/// A segmentation from a file: binary, fractional or label map, written by anybody.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentationImage {
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// Series Instance UIDs of the images it was made from, as far as it says so.
    pub source_series_uids: Vec<String>,
    /// Frame of Reference UID, where it says so.
    pub frame_of_reference_uid: Option<String>,
    /// What its pixels are.
    pub form: SegmentationForm,
    /// The segments, by number; the background of a label map is none.
    pub segments: Vec<SegmentInfo>,
    rows: usize,
    columns: usize,
    frames: Vec<PlacedFrame>,
    values: Values,
}

/// What the pixels of a segmentation are (PS3.3 C.8.20.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentationForm {
    /// Inside or outside; segments may overlap.
    Binary,
    /// How probable it is that a pixel belongs to the segment.
    Probability,
    /// How much of a pixel the segment takes up.
    Occupancy,
    /// The number of the one segment that a pixel belongs to.
    LabelMap,
}

/// What a segmentation says of one of its segments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its number.
    pub number: u16,
    /// Its name, for people.
    pub label: String,
    /// Category as code value and scheme.
    pub category: (String, String),
    /// Property type as code value and scheme, such as `("39607008", "SCT")` for a lung.
    pub property: (String, String),
    /// Modifiers of the property, such as its side, as code value and scheme.
    pub modifiers: Vec<(String, String)>,
    /// Anatomic regions it lies in, each with its modifiers, as code value and scheme.
    pub regions: Vec<AnatomicRegion>,
    /// The UID it is followed by through objects, if it has one.
    pub tracking_uid: Option<String>,
}

/// A region of the body with its modifiers, such as its side, as code value and scheme.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnatomicRegion {
    /// The region.
    pub region: (String, String),
    /// Its modifiers.
    pub modifiers: Vec<(String, String)>,
}

/// Where a frame lies and which segment it shows; `None` in label maps.
#[derive(Clone, Debug, PartialEq)]
struct PlacedFrame {
    position: PatientPoint,
    /// Directions along which the column and the row index grow.
    axes: [PatientVector; 2],
    /// Distance between columns and between rows, in mm.
    spacing_mm: [f64; 2],
    segment: Option<u16>,
}

/// How far, in voxels, a frame's pixel may lie from the voxel it is taken for.
const OFF_GRID: f64 = 0.05;

impl SegmentationImage {
    /// Reads a Segmentation or Label Map Segmentation object from the bytes of a file, packed in any way that images are
    /// read in.
    ///
    /// # Errors
    /// [`Refusal::NotSegmentation`] if it is something else, is damaged, or leaves out what is needed to place it;
    /// [`Refusal::TooLarge`] beyond the limits.
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Self, Refusal> {
        let no = |why: &'static str| Refusal::NotSegmentation(why);
        if bytes.len() as u64 > limits.max_file_bytes {
            return Err(Refusal::TooLarge { what: "the file", limit: limits.max_file_bytes });
        }
        let layout = Layout::of(bytes, limits).map_err(|reason| match reason {
            SkipReason::TransferSyntax => no("it is packed in a way that is not read"),
            _ => no("it is no DICOM file"),
        })?;
        if layout.syntax.encoding.big_endian {
            return Err(no("it is written big-endian, which the standard has retired"));
        }
        let content = layout.content(bytes, limits).map_err(|_| no("it is damaged"))?;
        let fault = |fault: Fault| match fault {
            Fault::Limit => Refusal::TooLarge { what: "the number of elements", limit: limits.max_elements as u64 },
            Fault::CutShort => no("it is cut short"),
            Fault::Malformed => no("it is damaged"),
        };
        let data = Dataset::parse(&content, layout.syntax.encoding, limits).map_err(fault)?;
        let class = data.text(tags::SOP_CLASS_UID).unwrap_or_default();
        if ![uids::SEGMENTATION_STORAGE, uids::LABEL_MAP_SEGMENTATION_STORAGE].contains(&class.as_str()) {
            return Err(no("it is another kind of DICOM object"));
        }
        let pixel_layout = PixelLayout::of(&data);
        let PixelLayout { rows, columns, .. } = pixel_layout;
        if rows == 0 || columns == 0 {
            return Err(no("it does not say its size"));
        }
        if rows.max(columns) > limits.max_side {
            return Err(Refusal::TooLarge { what: "the number of rows or columns", limit: limits.max_side as u64 });
        }
        let form = form(&data, &class).ok_or(no("it does not say what its pixels mean"))?;
        let mut frames = frames(&data).map_err(fault)?.ok_or(no("it does not say where its frames lie"))?;
        let pixels = frames.len().checked_mul(rows * columns).filter(|n| *n <= limits.max_voxels);
        let pixels =
            pixels.ok_or(Refusal::TooLarge { what: "the number of voxels", limit: limits.max_voxels as u64 })?;
        let fractional = matches!(form, SegmentationForm::Probability | SegmentationForm::Occupancy);
        let values = Values::of(&data, &pixel_layout, layout.syntax, frames.len(), fractional, limits)?;
        debug_assert_eq!(values.len(), pixels);
        let padding = data.u16(tags::PIXEL_PADDING_VALUE).unwrap_or(0);
        let label_map = form == SegmentationForm::LabelMap;
        if label_map {
            frames.iter_mut().for_each(|f| f.segment = None);
        } else if frames.iter().any(|f| f.segment.is_none()) {
            return Err(no("a frame does not say which segment it shows"));
        }
        let mut segments: Vec<SegmentInfo> =
            data.items(tags::SEGMENT_SEQUENCE).map_err(fault)?.iter().filter_map(segment_info).collect();
        let described = |number| segments.iter().any(|s| s.number == number);
        if !frames.iter().filter_map(|f| f.segment).all(described) {
            return Err(no("a frame shows a segment that is not described"));
        }
        segments.retain(|s| !(label_map && s.number == padding));
        let source_series = data.items(tags::REFERENCED_SERIES_SEQUENCE).map_err(fault)?;
        Ok(Self {
            sop_instance_uid: data.text(tags::SOP_INSTANCE_UID).unwrap_or_default(),
            source_series_uids: source_series.iter().filter_map(|s| s.text(tags::SERIES_INSTANCE_UID)).collect(),
            frame_of_reference_uid: data.text(tags::FRAME_OF_REFERENCE_UID).filter(|uid| !uid.is_empty()),
            form,
            segments,
            rows,
            columns,
            frames,
            values,
        })
    }

    /// Whether it was made of this series: it names it, or lies in its frame of reference (PS3.3, C.7.4.1), as what was drawn on
    /// another reconstruction of the same scan. Grids alone tell nothing: two patients on one scanner share them.
    #[must_use]
    pub fn is_of(&self, origin: &Origin) -> bool {
        self.source_series_uids.iter().any(|uid| uid == origin.series_uid())
            || self.frame_of_reference_uid.as_deref() == Some(&origin.frame_of_reference_uid)
    }

    /// The grid that its frames lie on by themselves, for use where its images are not at hand: one slice per distance of
    /// the two closest frames, so frames that were left out between others are there and those beyond the ends are not.
    /// `None` if the frames are turned against each other, or less than two, or not evenly spaced.
    #[must_use]
    pub fn own_grid(&self, limits: &Limits) -> Option<Geometry> {
        let first = self.frames.first()?;
        let same = |f: &PlacedFrame| f.axes == first.axes && f.spacing_mm == first.spacing_mm;
        if !self.frames.iter().all(same) {
            return None;
        }
        let positions: Vec<PatientPoint> = self.frames.iter().map(|f| f.position).collect();
        let slices_max = limits.max_voxels / (self.rows * self.columns);
        even_grid(&positions, first.axes, first.spacing_mm, [self.rows, self.columns], slices_max)
    }

    /// The voxels of one segment on `grid`; of probabilities those of one half and more.
    ///
    /// Frames may lie along any axis of the grid and be counted in any direction, but their pixels must be its voxels:
    /// nothing is interpolated.
    ///
    /// # Errors
    /// [`Refusal::NotSegmentation`] if there is no such segment or the pixels are not voxels of the grid.
    pub fn mask(&self, number: u16, grid: &Geometry) -> Result<Mask, Refusal> {
        self.require(number)?;
        let mut mask = Volume::filled(grid.clone(), false);
        let least = self.values.most().map_or(1, |most| u16::from(most).div_ceil(2));
        self.visit(grid, Some(number), |frame, value, voxel| {
            let inside = if self.frames[frame].segment.is_none() { value == number } else { value >= least };
            if inside {
                mask.data_mut()[voxel] = true;
            }
        })?;
        Ok(mask)
    }

    /// The share of each voxel of `grid` that one segment has, from 0 to 1: probability or occupancy, or else 0 and 1.
    /// Voxels without a frame have none.
    ///
    /// # Errors
    /// As [`SegmentationImage::mask`].
    pub fn fractions(&self, number: u16, grid: &Geometry) -> Result<Volume<f32>, Refusal> {
        let Some(most) = self.values.most() else {
            return Ok(self.mask(number, grid)?.map(|inside| f32::from(u8::from(*inside))));
        };
        self.require(number)?;
        let mut fractions = Volume::filled(grid.clone(), 0f32);
        self.visit(grid, Some(number), |_, value, voxel| {
            fractions.data_mut()[voxel] = f32::from(value) / f32::from(most);
        })?;
        Ok(fractions)
    }

    fn require(&self, number: u16) -> Result<(), Refusal> {
        let known = self.segments.iter().any(|s| s.number == number);
        if known { Ok(()) } else { Err(Refusal::NotSegmentation("it has no such segment")) }
    }

    /// Several segments as one map on `grid`: `label_of` gives the label of a segment, or `None` to leave it out. Where
    /// segments overlap, the later one in the list of segments covers the earlier.
    ///
    /// # Errors
    /// As [`SegmentationImage::mask`].
    pub fn label_map(
        &self,
        grid: &Geometry,
        label_of: impl Fn(&SegmentInfo) -> Option<u8>,
    ) -> Result<LabelMap, Refusal> {
        let mut labels = Volume::filled(grid.clone(), 0u8);
        if self.form == SegmentationForm::LabelMap {
            let mut label_of_number = vec![None; usize::from(u16::MAX) + 1];
            for segment in &self.segments {
                label_of_number[usize::from(segment.number)] = label_of(segment);
            }
            self.visit(grid, None, |_, value, voxel| {
                if let Some(label) = label_of_number[usize::from(value)] {
                    labels.data_mut()[voxel] = label;
                }
            })?;
            return Ok(LabelMap::new(labels));
        }
        let least = self.values.most().map_or(1, |most| u16::from(most).div_ceil(2));
        for segment in &self.segments {
            let Some(label) = label_of(segment) else { continue };
            self.visit(grid, Some(segment.number), |_, value, voxel| {
                if value >= least {
                    labels.data_mut()[voxel] = label;
                }
            })?;
        }
        Ok(LabelMap::new(labels))
    }

    /// Calls `with` for each pixel of each frame, of those of one segment if `only` names it and frames have one: frame,
    /// value, voxel of the grid. Every frame must lie on the grid, those passed over too.
    fn visit(
        &self,
        grid: &Geometry,
        only: Option<u16>,
        mut with: impl FnMut(usize, u16, usize),
    ) -> Result<(), Refusal> {
        let lines = self.frames.iter().map(|frame| self.lines(frame, grid)).collect::<Option<Vec<_>>>();
        let lines = lines.ok_or(Refusal::NotSegmentation("its pixels are not voxels of this series"))?;
        let size = self.rows * self.columns;
        for (n, (frame, [start, down, along])) in self.frames.iter().zip(lines).enumerate() {
            if only.is_some() && frame.segment.is_some() && frame.segment != only {
                continue;
            }
            for r in 0..self.rows {
                for c in 0..self.columns {
                    // Within the grid, as the corners are.
                    let voxel = (start + r as isize * down + c as isize * along) as usize;
                    with(n, self.values.at(n * size + r * self.columns + c), voxel);
                }
            }
        }
        Ok(())
    }

    /// Where a frame lies in the memory of `grid`: its first pixel, and the steps to the next row and the next column.
    /// `None` if its pixels are not voxels.
    fn lines(&self, frame: &PlacedFrame, grid: &Geometry) -> Option<[isize; 3]> {
        let shape = grid.shape();
        let start = grid.voxel_from_patient(frame.position).0;
        let step = |axis: usize| {
            let next = frame.position.plus(frame.axes[axis].times(frame.spacing_mm[axis]));
            let next = grid.voxel_from_patient(next).0;
            [0, 1, 2].map(|a| next[a] - start[a])
        };
        let (along, down) = (step(0), step(1));
        // Neighbouring pixels are neighbouring voxels, and rows and columns do not fall into one.
        let axis = |step: [f64; 3]| {
            let rounded = step.map(|v| v.round().abs());
            (rounded.iter().sum::<f64>() == 1.0).then(|| rounded.iter().position(|v| *v == 1.0)).flatten()
        };
        if axis(along)? == axis(down)? {
            return None;
        }
        // What is linear and right at the corners is right between them.
        let corner = |r: f64, c: f64| {
            (0..3).all(|a| {
                let truly = start[a] + r * down[a] + c * along[a];
                let voxel = start[a].round() + r * down[a].round() + c * along[a].round();
                (truly - voxel).abs() < OFF_GRID && voxel >= 0.0 && voxel < shape[a] as f64
            })
        };
        let (last_row, last_column) = ((self.rows - 1) as f64, (self.columns - 1) as f64);
        let corners = [(0.0, 0.0), (0.0, last_column), (last_row, 0.0), (last_row, last_column)];
        if !corners.into_iter().all(|(r, c)| corner(r, c)) {
            return None;
        }
        let strides = [(shape[1] * shape[2]) as isize, shape[2] as isize, 1];
        let offset = |v: [f64; 3]| (0..3).map(|a| v[a].round() as isize * strides[a]).sum();
        Some([offset(start), offset(down), offset(along)])
    }
}

/// What functional groups say of a frame or of all (PS3.3 C.7.6.16.2).
#[derive(Clone, Copy, Debug, Default)]
struct Groups {
    position: Option<[f64; 3]>,
    orientation: Option<[f64; 6]>,
    spacing_mm: Option<[f64; 2]>,
    segment: Option<u16>,
}

impl Groups {
    fn of(item: &Dataset<'_>) -> Self {
        let group = |tag| item.first_item(tag);
        Self {
            position: group(tags::PLANE_POSITION_SEQUENCE).and_then(|g| g.exactly(tags::IMAGE_POSITION_PATIENT)),
            orientation: group(tags::PLANE_ORIENTATION_SEQUENCE)
                .and_then(|g| g.exactly(tags::IMAGE_ORIENTATION_PATIENT)),
            spacing_mm: group(tags::PIXEL_MEASURES_SEQUENCE).and_then(|g| g.exactly(tags::PIXEL_SPACING)),
            segment: group(tags::SEGMENT_IDENTIFICATION_SEQUENCE).and_then(|g| g.u16(tags::REFERENCED_SEGMENT_NUMBER)),
        }
    }
}

/// Place and segment of every frame, from its own functional groups or else the shared ones; `None` if one is missing.
fn frames(data: &Dataset<'_>) -> Result<Option<Vec<PlacedFrame>>, Fault> {
    // Opened once, whatever the number of frames.
    let shared = data.first_item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let shared = shared.map(|item| Groups::of(&item)).unwrap_or_default();
    let groups = data.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)?;
    if groups.is_empty() || data.number(tags::NUMBER_OF_FRAMES) != Some(groups.len() as f64) {
        return Ok(None);
    }
    let one = |own: &Dataset<'_>| {
        let own = Groups::of(own);
        let o = own.orientation.or(shared.orientation)?;
        let [row_mm, column_mm] = own.spacing_mm.or(shared.spacing_mm)?;
        Some(PlacedFrame {
            position: PatientPoint(own.position.or(shared.position)?),
            axes: [PatientVector([o[0], o[1], o[2]]), PatientVector([o[3], o[4], o[5]])],
            spacing_mm: [column_mm, row_mm],
            segment: own.segment.or(shared.segment),
        })
    };
    Ok(groups.iter().map(one).collect())
}

/// What the pixels are. Label maps have a class of their own.
fn form(data: &Dataset<'_>, class: &str) -> Option<SegmentationForm> {
    match (class, data.text(tags::SEGMENTATION_TYPE)?.as_str()) {
        (uids::LABEL_MAP_SEGMENTATION_STORAGE, "LABELMAP") => Some(SegmentationForm::LabelMap),
        (uids::SEGMENTATION_STORAGE, "BINARY") => Some(SegmentationForm::Binary),
        (uids::SEGMENTATION_STORAGE, "FRACTIONAL") => match data.text(tags::SEGMENTATION_FRACTIONAL_TYPE)?.as_str() {
            "PROBABILITY" => Some(SegmentationForm::Probability),
            "OCCUPANCY" => Some(SegmentationForm::Occupancy),
            _ => None,
        },
        _ => None,
    }
}

/// The code in an item of a code sequence.
fn code(item: &Dataset<'_>) -> Option<(String, String)> {
    Some((item.text(tags::CODE_VALUE)?, item.text(tags::CODING_SCHEME_DESIGNATOR)?))
}

fn codes(of: &Dataset<'_>, tag: Tag) -> Vec<(String, String)> {
    of.items(tag).unwrap_or_default().iter().filter_map(code).collect()
}

fn segment_info(item: &Dataset<'_>) -> Option<SegmentInfo> {
    let property = item.first_item(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE);
    let property = property.as_ref();
    let regions = item.items(tags::ANATOMIC_REGION_SEQUENCE).unwrap_or_default();
    let region = |region: &Dataset<'_>| {
        let modifiers = codes(region, tags::ANATOMIC_REGION_MODIFIER_SEQUENCE);
        Some(AnatomicRegion { region: code(region)?, modifiers })
    };
    Some(SegmentInfo {
        number: item.u16(tags::SEGMENT_NUMBER)?,
        label: item.text(tags::SEGMENT_LABEL).unwrap_or_default(),
        category: codes(item, tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE).into_iter().next().unwrap_or_default(),
        property: property.and_then(code).unwrap_or_default(),
        modifiers: property.map(|p| codes(p, tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE)).unwrap_or_default(),
        regions: regions.iter().filter_map(region).collect(),
        tracking_uid: item.text(tags::TRACKING_UID),
    })
}
