//! Writes small CT series of every kind of geometry with known labels, and all results on them, for other programs to read:
//! `cargo run -p hilum-dicom --example results_for_peers -- FOLDER`
//!
//! `tests/peers/check.py` then reads them with highdicom, dcmqi, dcmtk and dicom3tools.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Length, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use hilum_dicom::{
    Algorithm, BurnedIn, Code, CodingScheme, ColourPicture, CtSeriesDescription, Device, EarlierStudy, LabelSet,
    Limits, Measurement, MeasurementGroup, MeasurementReport, Moment, Origin, Outline, OutlineLayer, Presentation,
    ReportDocument, ResultContext, ResultFile, Segment, Segmentation, SegmentationTitle, Source, TimePoint, Tracking,
    binary_segmentation, codes, colour_capture, ct_images, encapsulated_pdf, key_objects, label_map_segmentation, load,
    measurement_report, presentation_state, probability_segmentation, scan,
};
use hilum_volume::{Geometry, LabelMap, PatientPoint, PatientVector, Volume};

/// Odd sizes, so that frames of bits do not end with a byte.
const SHAPE: [usize; 3] = [23, 37, 41];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).ok_or("usage: results_for_peers FOLDER")?;
    for (name, axes) in grids() {
        write_case(&Path::new(&folder).join(name), axes, name)?;
    }
    Ok(())
}

/// Directions of slices, rows and columns; not of unit length.
fn grids() -> [(&'static str, [[f64; 3]; 3]); 8] {
    let axial = [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]];
    // Turned about all axes; an orthogonal matrix of rational numbers.
    let oblique =
        [[-2.0 / 7.0, 3.0 / 7.0, 6.0 / 7.0], [3.0 / 7.0, 6.0 / 7.0, -2.0 / 7.0], [6.0 / 7.0, -2.0 / 7.0, 3.0 / 7.0]];
    [
        ("axial", axial),
        ("oblique", oblique),
        ("left-handed", [axial[0], axial[1], [-1.0, 0.0, 0.0]]),
        ("tilted-gantry", [[0.0, 0.2588190451, 0.9659258263], axial[1], axial[2]]),
        ("coronal", [[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]]),
        ("multi-frame", oblique),
        ("repeated-uids", axial),
        ("slice-missing", axial),
    ]
}

/// Three labels without any symmetry, one of them a block in the first corner of the grid.
fn label(s: usize, r: usize, c: usize) -> u8 {
    let ball = |centre: [f64; 3], radius: f64| {
        let d = [s as f64 - centre[0], r as f64 - centre[1], c as f64 - centre[2]];
        d.iter().map(|v| v * v).sum::<f64>() < radius * radius
    };
    match () {
        () if s < 2 && r < 3 && c < 5 => 2,
        () if ball([13.0, 10.0, 27.0], 4.3) => 11,
        () if (6..19).contains(&s) && (5..21).contains(&r) && (9 + s / 2..36).contains(&c) => 1,
        () => 0,
    }
}

fn write_case(folder: &Path, axes: [[f64; 3]; 3], name: &str) -> Result<(), Box<dyn Error>> {
    let unit = |v: [f64; 3]| PatientVector(v).times(1.0 / PatientVector(v).length_mm());
    let spacing_mm = [2.5, 0.7, 0.6];
    let grid = Geometry::new(SHAPE, PatientPoint([-31.25, 17.5, -120.125]), axes.map(unit), spacing_mm)?;
    let mut ct = Volume::filled(grid, -1000i16);
    for s in 0..SHAPE[0] {
        for r in 0..SHAPE[1] {
            for c in 0..SHAPE[2] {
                ct[[s, r, c]] += 100 * i16::from(label(s, r, c));
            }
        }
    }
    // What is looked for in de-identified objects stands nowhere else in them, as the kernel's name would.
    let described = CtSeriesDescription {
        seed: format!("peers {name}"),
        patient_id: "PEERS-1".into(),
        ..CtSeriesDescription::default()
    };
    let images = ct_images(&ct, &described).collect::<Result<Vec<_>, _>>()?;
    let mut files: Vec<Vec<u8>> = images
        .into_iter()
        .filter(|image| name != "slice-missing" || image.slice != 11)
        .map(|image| named(&image.bytes, name))
        .collect::<Result<_, _>>()?;
    if name == "multi-frame" {
        files = vec![multi_frame(&files)?];
    }
    let source = folder.join("source");
    fs::create_dir_all(&source)?;
    for (n, bytes) in files.iter().enumerate() {
        fs::write(source.join(format!("{n:03}.dcm")), bytes)?;
    }

    let files = files.iter().enumerate().map(|(n, f)| (format!("{n}"), Arc::from(&f[..]))).collect();
    let scan = scan(&Source::Memory(files), &Limits::default())?;
    let series = load(&scan, &scan.series()[0].series_uid, &|_| ())?;
    let origin = Origin::of(&scan, &series)?;
    // The labels are read off the CT, so whatever order the slices came in they lie where the CT has them.
    let labels = LabelMap::new(series.volume.map(|hu| ((i32::from(*hu) + 1000) / 100).clamp(0, 255) as u8));
    write_results(folder, &origin, labels)
}

fn write_results(folder: &Path, origin: &Origin, mut labels: LabelMap) -> Result<(), Box<dyn Error>> {
    // Interpolation between slices can make other numbers.
    labels.labels_mut().data_mut().iter_mut().for_each(|l| *l = if [1, 2, 11].contains(l) { *l } else { 0 });
    let device = Device::new("Hilum", "hilum", "0", &["hilum 0.1.0".into(), "example 1.0".into()])?;
    let created = Moment::new("20200102", "030405")?;
    let context = ResultContext { origin, device: &device, created: &created };
    let algorithm = Algorithm::new("example", "1.0", codes::ARTIFICIAL_INTELLIGENCE)?;
    let tracking = |what: &str| Tracking::new(what, &context.tracking_uid(what));
    let lung =
        Segment::new("Right lung", codes::ANATOMICAL_STRUCTURE, codes::LUNG, algorithm.clone(), [140, 170, 200])?
            .with_modifier(codes::RIGHT)
            .with_tracking(tracking("Right lung")?);
    let lobe = Segment::new(
        "Right upper lobe",
        codes::ANATOMICAL_STRUCTURE,
        codes::RIGHT_UPPER_LOBE,
        algorithm.clone(),
        [225, 220, 190],
    )?;
    let glass = Segment::new(
        "Ground glass",
        codes::MORPHOLOGICALLY_ABNORMAL_STRUCTURE,
        codes::GROUND_GLASS_OPACITY,
        algorithm,
        [86, 180, 233],
    )?
    .with_region(codes::LUNG, Some(codes::RIGHT));

    let set = |members: &'static [u8]| LabelSet { map: &labels, labels: members };
    let title = SegmentationTitle::new("LUNGS", "Lungs, lobes and opacities", 1)?;
    let binary = binary_segmentation(
        &context,
        &title,
        &[(lung.clone(), set(&[1, 11])), (lobe.clone(), set(&[2])), (glass.clone(), set(&[11]))],
    )?;
    fs::write(folder.join("seg-binary.dcm"), binary.file.bytes())?;
    let first = report(&context, &binary, &labels)?;
    fs::write(folder.join("sr.dcm"), first.bytes())?;
    fs::write(folder.join("sr-follow-up.dcm"), follow_up(&context, &binary, &first)?.bytes())?;
    let map = label_map_segmentation(&context, &title, &labels, &[(1, lung), (2, lobe), (11, glass.clone())])?;
    write_views(folder, &context, &binary.file, &labels)?;
    fs::write(folder.join("seg-labelmap.dcm"), map.file.bytes())?;
    let title = SegmentationTitle::new("PROBABILITY", "Probability of ground glass", 2)?;
    let probability = labels.labels().map(|l| f32::from(*l) / 16.0);
    let fractional = probability_segmentation(&context, &title, &[(glass, &probability)])?;
    fs::write(folder.join("seg-fractional.dcm"), fractional.file.bytes())?;
    Ok(())
}

/// PDF, picture, key objects and, where every slice can name its image, outlines: around each run of label 11 in a row.
fn write_views(
    folder: &Path,
    context: &ResultContext<'_>,
    segmentation: &ResultFile,
    labels: &LabelMap,
) -> Result<(), Box<dyn Error>> {
    let pdf = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n";
    let document = encapsulated_pdf(context, "Report (research use)", pdf, BurnedIn::Nothing)?;
    fs::write(folder.join("pdf.dcm"), document.bytes())?;
    let rgb: Vec<u8> = (0..7 * 5).flat_map(|n| [n as u8, 255 - n as u8, 128]).collect();
    let (caption, burned_in) = ("A gradient. Research use only.", BurnedIn::Nothing);
    let picture = colour_capture(context, &ColourPicture { caption, shape: [7, 5], rgb: &rgb, number: 1, burned_in })?;
    fs::write(folder.join("capture.dcm"), picture.bytes())?;
    let others = [segmentation, &picture, &document];
    let key = key_objects(context, codes::OF_INTEREST, "The slice with most opacity.", &[13], &others)?;
    fs::write(folder.join("key.dcm"), key.bytes())?;
    if !context.origin.names_every_image() {
        return Ok(());
    }
    let [slices, rows, columns] = labels.labels().shape();
    let mut outlines = Vec::new();
    for slice in 0..slices {
        for row in 0..rows {
            let here = |c: &usize| labels.labels()[[slice, row, *c]] == 11;
            let (Some(first), Some(last)) = ((0..columns).find(here), (0..columns).rfind(here)) else { continue };
            let (left, right, top) = (first as f32 - 0.5, last as f32 + 0.5, row as f32 - 0.5);
            let points = vec![[left, top], [right, top], [right, top + 1.0], [left, top + 1.0]];
            outlines.push(Outline { slice, points, closed: true });
        }
    }
    let layer = OutlineLayer { name: "GROUND GLASS", description: "Ground glass", colour: [86, 180, 233], outlines };
    let presentation =
        Presentation { label: "OUTLINES", description: "Outlines", window_hu: [-600.0, 1500.0], layers: vec![layer] };
    fs::write(folder.join("outlines.dcm"), presentation_state(context, &presentation)?.bytes())?;
    Ok(())
}

/// A group per segment, its volume measured, and one on the whole without a region.
fn report(
    context: &ResultContext<'_>,
    segmentation: &Segmentation,
    labels: &LabelMap,
) -> Result<ResultFile, Box<dyn Error>> {
    const TOTAL: Code = Code::new("total-labels", "99HILUM", "Number of labelled voxels");
    let algorithm = Algorithm::new("example", "1.0", codes::ARTIFICIAL_INTELLIGENCE)?;
    let mut groups = Vec::new();
    for (n, (what, finding, members)) in [
        ("Right lung", codes::LUNG, &[1u8, 11][..]),
        ("Right upper lobe", codes::LOBE_OF_LUNG, &[2]),
        ("Ground glass", codes::GROUND_GLASS_OPACITY, &[11]),
    ]
    .into_iter()
    .enumerate()
    {
        let volume_ml: f64 = members.iter().map(|l| labels.volume_ml(*l)).sum();
        let measurements = vec![
            Measurement::new(codes::VOLUME, volume_ml, codes::MILLILITRE)?,
            Measurement::new(codes::ATTENUATION_COEFFICIENT, -700.0 - 1.0 / 3.0, codes::HOUNSFIELD_UNIT)?
                .with_derivation(codes::MEAN),
        ];
        let tracking = Tracking::new(what, &context.tracking_uid(what))?;
        let group = MeasurementGroup::new(tracking, finding, algorithm.clone(), measurements)?
            .with_category(codes::ANATOMICAL_STRUCTURE)
            .with_site(codes::RIGHT_LUNG);
        groups.push(group.with_region(segmentation.segment(n).ok_or("a segment without voxels")?));
    }
    let all = labels.labels().data().iter().filter(|l| **l > 0).count() as f64;
    let whole = vec![Measurement::new(TOTAL, all, codes::NO_UNITS)?];
    let tracking = Tracking::new("Both lungs", &context.tracking_uid("Both lungs"))?;
    groups.push(MeasurementGroup::new(tracking, codes::LUNG, algorithm, whole)?);
    let report = MeasurementReport {
        procedure: codes::CT_OF_CHEST,
        groups,
        comments: vec!["Research use only, not a medical device.".into(), "Größe und Lage.\nSecond line.".into()],
        schemes: vec![CodingScheme::new("99HILUM", "Concepts of Hilum", "Hilum")],
        earlier: vec![],
    };
    Ok(measurement_report(context, &report)?)
}

/// The same series as the follow-up of another study of the patient, whose images and segmentation have UIDs of their own.
fn follow_up(
    context: &ResultContext<'_>,
    segmentation: &Segmentation,
    first: &ResultFile,
) -> Result<ResultFile, Box<dyn Error>> {
    let moved = |uid: &str| format!("{}.1", uid.get(..uid.len().min(60)).unwrap_or(uid).trim_end_matches('.'));
    let mut before = ReportDocument::read(first.bytes(), &Limits::default())?;
    for evidence in &mut before.evidence {
        evidence.study_uid = moved(&evidence.study_uid);
        evidence.series_uid = moved(&evidence.series_uid);
        evidence.sop_instance_uid = moved(&evidence.sop_instance_uid);
    }
    let objects = before.groups.iter_mut().flat_map(|g| &mut g.segments).chain(&mut before.image_library);
    objects.for_each(|object| object.sop_instance_uid = moved(&object.sop_instance_uid));
    before.sop_instance_uid = moved(&before.sop_instance_uid);
    before.series_uid = moved(&before.series_uid);
    let earlier = EarlierStudy::of_report(&before, Some("20191203")).ok_or("the report names its images")?;

    let algorithm = Algorithm::new("example", "1.0", codes::ARTIFICIAL_INTELLIGENCE)?;
    let what = "Ground glass";
    let tracking = Tracking::new(what, &context.earlier_tracking_uid(&earlier, what))?;
    let group = |ml| {
        let volume = Measurement::new(codes::VOLUME, ml, codes::MILLILITRE)?;
        MeasurementGroup::new(tracking.clone(), codes::GROUND_GLASS_OPACITY, algorithm.clone(), vec![volume])
    };
    let change = vec![
        Measurement::new(codes::DIFFERENCE_IN_SIZE, 1.5, codes::MILLILITRE)?.with_uncertainty(0.25)?,
        Measurement::new(codes::DIFFERENCE_IN_SIZE, 100.0, codes::PERCENT)?,
    ];
    let now = group(3.0)?
        .with_region(segmentation.segment(2).ok_or("a segment without voxels")?)
        .with_time_point(TimePoint::new("This study", 2)?.with_days_from_baseline(30))
        .with_measurements(change)
        .with_evaluation(codes::QUALITATIVE_DIFFERENCE, codes::INCREASE_IN_SIZE);
    let then = group(1.5)?
        .with_region(earlier.segment(what).ok_or("a segment of the earlier study")?.clone())
        .with_time_point(TimePoint::new("Earlier study", 1)?.with_days_from_baseline(0));
    let report = MeasurementReport {
        procedure: codes::CT_OF_CHEST,
        groups: vec![now, then],
        comments: vec!["Research use only, not a medical device.".into()],
        schemes: vec![],
        earlier: vec![earlier],
    };
    Ok(measurement_report(context, &report)?)
}

/// A CT image of a patient whose name needs more than ASCII, as its hospital may write it.
fn named(file: &[u8], case: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let (set, name): (&str, &[u8]) = match case {
        "axial" => ("ISO_IR 100", b"Schr\xF6der^J\xF6rg"),
        "oblique" => (
            "\\ISO 2022 IR 149",
            b"Hong^Gildong=\x1B$)C\xFB\xF3^\x1B$)C\xD1\xCE\xD4\xD7=\x1B$)C\xC8\xAB^\x1B$)C\xB1\xE6\xB5\xBF",
        ),
        "left-handed" => (
            "\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1B$B;3ED\x1B(B^\x1B$BB@O:\x1B(B=\x1B$B$d$^$@\x1B(B^\x1B$B$?$m$&\x1B(B",
        ),
        "tilted-gantry" => ("GB18030", b"Wang^XiaoDong=\xCD\xF5^\xD0\xA1\xB6\xAB"),
        _ => ("ISO_IR 192", "Wang^XiaoDong=王^小東".as_bytes()),
    };
    let mut object = dicom_object::from_reader(file)?;
    let raw = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        if bytes.len() % 2 == 1 {
            bytes.push(b' ');
        }
        PrimitiveValue::U8(bytes.into())
    };
    object.put(DataElement::new(tags::SPECIFIC_CHARACTER_SET, VR::CS, raw(set.as_bytes())));
    object.put(DataElement::new(tags::PATIENT_NAME, VR::PN, raw(name)));
    if case == "repeated-uids" {
        object.put(DataElement::new(tags::SOP_INSTANCE_UID, VR::UI, "2.25.7777"));
    }
    let mut bytes = Vec::new();
    object.write_all(&mut bytes)?;
    Ok(bytes)
}

/// Classic images as one Enhanced CT, frames in the order given.
fn multi_frame(files: &[Vec<u8>]) -> Result<Vec<u8>, Box<dyn Error>> {
    let objects = files.iter().map(|f| dicom_object::from_reader(&f[..])).collect::<Result<Vec<_>, _>>()?;
    let mut all: InMemDicomObject = (*objects[0]).clone();
    let pick = |from: &InMemDicomObject, wanted: &[Tag]| {
        let mut item = InMemDicomObject::new_empty();
        for tag in wanted {
            if let Ok(element) = from.element(*tag) {
                item.put(element.clone());
            }
        }
        item
    };
    let sequence = |tag, items: Vec<InMemDicomObject>| {
        DataElement::new(tag, VR::SQ, DataSetSequence::new(items, Length::UNDEFINED))
    };
    let mut shared = InMemDicomObject::new_empty();
    for (group, wanted) in [
        (tags::PIXEL_MEASURES_SEQUENCE, &[tags::PIXEL_SPACING, tags::SLICE_THICKNESS][..]),
        (tags::PLANE_ORIENTATION_SEQUENCE, &[tags::IMAGE_ORIENTATION_PATIENT]),
        (
            tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
            &[tags::RESCALE_SLOPE, tags::RESCALE_INTERCEPT, tags::RESCALE_TYPE],
        ),
    ] {
        shared.put(sequence(group, vec![pick(&all, wanted)]));
    }
    let mut frame_type = InMemDicomObject::new_empty();
    let kind = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"].map(str::to_owned);
    frame_type.put(DataElement::new(
        tags::FRAME_TYPE,
        VR::CS,
        PrimitiveValue::Strs(kind.clone().into_iter().collect()),
    ));
    shared.put(sequence(tags::CT_IMAGE_FRAME_TYPE_SEQUENCE, vec![frame_type]));
    let mut pixels: Vec<u16> = Vec::new();
    let mut frames = Vec::new();
    for object in &objects {
        let mut frame = InMemDicomObject::new_empty();
        frame.put(sequence(tags::PLANE_POSITION_SEQUENCE, vec![pick(object, &[tags::IMAGE_POSITION_PATIENT])]));
        frames.push(frame);
        pixels.extend(object.element(tags::PIXEL_DATA)?.to_multi_int::<u16>()?);
    }
    for tag in [
        tags::PIXEL_SPACING,
        tags::SLICE_THICKNESS,
        tags::IMAGE_ORIENTATION_PATIENT,
        tags::IMAGE_POSITION_PATIENT,
        tags::RESCALE_SLOPE,
        tags::RESCALE_INTERCEPT,
        tags::RESCALE_TYPE,
    ] {
        all.remove_element(tag);
    }
    all.put(sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]));
    all.put(sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, frames));
    all.put(DataElement::new(tags::NUMBER_OF_FRAMES, VR::IS, files.len().to_string()));
    all.put(DataElement::new(tags::SOP_CLASS_UID, VR::UI, uids::ENHANCED_CT_IMAGE_STORAGE));
    all.put(DataElement::new(tags::IMAGE_TYPE, VR::CS, PrimitiveValue::Strs(kind.into_iter().collect())));
    all.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let mut bytes = Vec::new();
    all.with_meta(meta)?.write_all(&mut bytes)?;
    Ok(bytes)
}
