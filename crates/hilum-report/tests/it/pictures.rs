//! Where things lie in the pictures.

use hilum_findings::{Comparison, EarlierStudy, Findings, FollowUp, SliceLesions};
use hilum_report::{FollowUpImages, Images, Language, ReportError, ReportInput, write_report};
use hilum_volume::{AxisOrder, Geometry, LabelMap, PatientPoint, Volume};

/// A grey block of lung, 90 × 60 × 40 voxels of 2 mm, with a cube of consolidation 16 mm from the patient's right end,
/// 12 mm from the front and 20 mm from the feet.
fn chest() -> (Volume<i16>, LabelMap) {
    let grid = Geometry::axial([40, 60, 90], PatientPoint([-89.0, -59.0, 100.0]), [2.0; 3]).unwrap();
    let mut labels = Volume::filled(grid.clone(), 0_u8);
    let mut ct = Volume::filled(grid, -1000_i16);
    for s in 4..36 {
        for r in 4..56 {
            for c in 4..86 {
                let is_lesion = (14..20).contains(&s) && (10..18).contains(&r) && (12..22).contains(&c);
                labels[[s, r, c]] = if is_lesion {
                    12
                } else if c < 45 {
                    3
                } else {
                    5
                };
                ct[[s, r, c]] = if is_lesion { 0 } else { -850 };
            }
        }
    }
    (ct, LabelMap::new(labels))
}

fn findings(slices: usize) -> Findings {
    let mut findings = Findings::default();
    findings.anatomy.lung_volume_ml.total = Some(1000.0);
    for index in 0..slices {
        let lesion_ml = if index == 16 { 2.0 } else { 0.0 };
        findings.lesions.slices.push(SliceLesions { index, lesion_ml, probability: None, lung_ml: 30.0 });
    }
    findings
}

struct Pixels {
    width: usize,
    data: Vec<u8>,
}

impl Pixels {
    fn at(&self, x: usize, y: usize) -> [u8; 3] {
        let i = (y * self.width + x) * 3;
        [self.data[i], self.data[i + 1], self.data[i + 2]]
    }
}

fn picture(ct: &Volume<i16>, labels: &LabelMap, name: &str) -> Pixels {
    let findings = findings(ct.shape()[0]);
    let images = Some(Images { ct, labels, lesion_probability: None, follow_up: None });
    let files =
        write_report(&ReportInput { findings: &findings, subject: None, images, language: Language::English }).unwrap();
    let (_, png) = files.pictures.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("there is {name}"));
    decoded(png)
}

/// Orange, as consolidation is outlined.
fn is_outline([r, g, b]: [u8; 3]) -> bool {
    r > 200 && (110..190).contains(&g) && b < 60
}

#[test]
fn the_outline_lies_on_the_face_between_voxels() {
    let (ct, labels) = chest();
    let axial = picture(&ct, &labels, "axial-1.png");
    // The lungs are 164 mm wide and shown with the 8 mm of air the volume has on each side (12 would fit): 0.2 mm would
    // make 760 pixels, the least pixel is 0.25 mm, so column c begins at pixel 8 c.
    let row = 8 * 14; // the middle of row 13, within the lesion, clear of the letters
    let (left, right) = (8 * 12, 8 * 22);
    let orange: Vec<usize> = (40..400).filter(|x| is_outline(axial.at(*x, row))).collect();
    assert!(!orange.is_empty(), "the outline is drawn");
    for x in &orange {
        let off = x.abs_diff(left).min(x.abs_diff(right));
        assert!(off <= 1, "an outline at {x}, not at {left} or {right}");
    }
    assert!(orange.iter().any(|x| x.abs_diff(left) <= 1) && orange.iter().any(|x| x.abs_diff(right) <= 1));
    // The patient's right is on the left of the picture: the lesion lies in the right lung.
    assert!(right < axial.width / 2);
}

#[test]
fn the_order_of_axes_in_memory_does_not_move_a_pixel() {
    let (ct, labels) = chest();
    let expected = picture(&ct, &labels, "axial-1.png");
    // Left-handed, flipped and transposed grids whose slices stay axial.
    let orders =
        [[(0, true), (1, false), (2, false)], [(0, false), (1, true), (2, true)], [(0, false), (2, true), (1, false)]];
    for order in orders.map(AxisOrder) {
        let turned = LabelMap::new(labels.labels().reordered(order));
        let found = picture(&ct.reordered(order), &turned, "axial-1.png");
        assert_eq!(found.width, expected.width, "{order:?}");
        let differing = found.data.iter().zip(&expected.data).filter(|(a, b)| a.abs_diff(**b) > 2).count();
        assert!(differing == 0, "{differing} samples differ with {order:?}");
    }
}

#[test]
fn coronal_and_sagittal_slices_keep_their_own_plane() {
    let (ct, labels) = chest();
    for (order, name) in [
        ([(1, false), (0, false), (2, false)], "coronal-1.png"),
        ([(2, false), (0, true), (1, false)], "sagittal-1.png"),
    ] {
        let order = AxisOrder(order);
        let turned = LabelMap::new(labels.labels().reordered(order));
        let pixels = picture(&ct.reordered(order), &turned, name);
        let orange: Vec<usize> =
            (0..pixels.data.len() / 3).filter(|i| is_outline(pixels.at(i % pixels.width, i / pixels.width))).collect();
        let rows: Vec<usize> = orange.iter().map(|i| i / pixels.width).filter(|y| *y < 320).collect();
        let (top, bottom) = (rows.iter().min().unwrap(), rows.iter().max().unwrap());
        // The head is on top: the lesion is in slices 14 to 19 of 40 from the feet, rows 160 to 208 from the head.
        assert!(top.abs_diff(160) <= 1 && bottom.abs_diff(208) <= 1, "{name}: {top} to {bottom}");
    }
}

/// The size and pixels of a picture.
fn decoded(png: &[u8]) -> Pixels {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let mut data = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut data).unwrap();
    Pixels { width: info.width as usize, data }
}

/// The lesion of [`chest`] was one half as long and lay further to the patient's left: one third of what is shown is new,
/// one third persists, one third has resolved.
fn change(labels: &LabelMap) -> LabelMap {
    let mut change = labels.labels().map(|_| 0);
    for s in 14..20 {
        for r in 10..18 {
            for c in 12..27 {
                change[[s, r, c]] = 1 + ((c - 12) / 5) as u8;
            }
        }
    }
    LabelMap::new(change)
}

#[test]
fn change_is_shown_in_each_study_at_the_same_place() {
    let (ct, labels) = chest();
    let change = change(&labels);
    let earlier = ct.map(|hu| hu - 50);
    let mut findings = findings(40);
    findings.follow_up = Some(FollowUp {
        earlier: vec![EarlierStudy::default()],
        comparison: Some(Comparison::default()),
        ..FollowUp::default()
    });
    let write = |earlier_ct, language| {
        let follow_up = Some(FollowUpImages { change: &change, earlier_ct });
        let images = Some(Images { ct: &ct, labels: &labels, lesion_probability: None, follow_up });
        write_report(&ReportInput { findings: &findings, subject: None, images, language }).unwrap()
    };
    let both = write(Some(&earlier), Language::English);
    assert_eq!(both, write(Some(&earlier), Language::English), "the same input gives the same bytes");
    let names: Vec<&str> = both.pictures.iter().map(|(n, _)| n.as_str()).filter(|n| n.starts_with("change")).collect();
    assert_eq!(names, ["change-axial-1.png", "change-coronal.png"]);
    let picture = |files: &hilum_report::ReportFiles, name: &str| {
        decoded(&files.pictures.iter().find(|(n, _)| n == name).unwrap().1)
    };
    let axial = picture(&both, "change-axial-1.png");
    // A panel has pixels of .25 mm by 1.5, so it is 480 wide for the 180 mm of the volume, and column c begins at pixel
    // 16 c / 3. Row 13, the middle of the lesion, is at pixel 72.
    let (panel, row) = ((axial.width - 6) / 2, 72);
    assert_eq!(panel, 480);
    let middle = |column: f64, panels: usize| axial.at((16.0 / 3.0 * column) as usize + panels * (panel + 6), row);
    let is_tinted = |[r, g, b]: [u8; 3]| r.max(g).max(b) - r.min(g).min(b) > 20;
    // Columns 12 to 16 are new, 17 to 21 persist, 22 to 26 resolved.
    for (column, then, now) in [(14.5, false, true), (19.5, true, true), (24.5, true, false), (40.5, false, false)] {
        assert_eq!(is_tinted(middle(column, 0)), then, "earlier study, column {column}: {:?}", middle(column, 0));
        assert_eq!(is_tinted(middle(column, 1)), now, "this study, column {column}: {:?}", middle(column, 1));
    }
    let alone = write(None, Language::German);
    assert!(picture(&alone, "change-axial-1.png").width < panel + 10, "without an earlier image there is one panel");
    for (files, language, words) in [
        (&both, Language::English, "resolved opacity"),
        (&alone, Language::German, "zurückgebildete Verdichtung"),
        (&write(Some(&earlier), Language::French), Language::French, "opacité disparue"),
        (&write(Some(&earlier), Language::Spanish), Language::Spanish, "opacidad resuelta"),
    ] {
        assert!(files.html.contains(words), "{language:?}");
    }
    let nothing = LabelMap::new(labels.labels().map(|_| 0));
    let follow_up = Some(FollowUpImages { change: &nothing, earlier_ct: Some(&earlier) });
    let images = Some(Images { ct: &ct, labels: &labels, lesion_probability: None, follow_up });
    let input = ReportInput { findings: &findings, subject: None, images, language: Language::English };
    let files = write_report(&input).unwrap();
    assert!(!files.pictures.iter().any(|(n, _)| n.starts_with("change")), "no opacity then and now, no picture");
}

#[test]
fn labels_on_another_grid_are_an_error() {
    let (ct, labels) = chest();
    let shifted = Geometry::axial([40, 60, 90], PatientPoint([-88.0, -59.0, 100.0]), [2.0; 3]).unwrap();
    let labels = LabelMap::new(Volume::new(shifted, labels.labels().data().to_vec()).unwrap());
    let findings = findings(40);
    let input = ReportInput {
        findings: &findings,
        subject: None,
        images: Some(Images { ct: &ct, labels: &labels, lesion_probability: None, follow_up: None }),
        language: Language::English,
    };
    assert!(matches!(write_report(&input), Err(ReportError::Grid { .. })));
}

#[test]
fn a_map_without_labels_still_gets_slices_but_nothing_rendered() {
    let (ct, labels) = chest();
    let empty = LabelMap::new(labels.labels().map(|_| 0));
    let findings = findings(40);
    let images = Some(Images { ct: &ct, labels: &empty, lesion_probability: None, follow_up: None });
    let files =
        write_report(&ReportInput { findings: &findings, subject: None, images, language: Language::German }).unwrap();
    let names: Vec<&str> = files.pictures.iter().map(|(n, _)| n.as_str()).collect();
    assert_eq!(names, ["axial-1.png", "coronal.png", "sagittal.png", "coronal-mip.png"]);
}
