//! Colours as DICOM recommends them.

/// An sRGB colour as a DICOM CIELab value (PS3.3 C.10.7.1.1): L* of 0 to 100 and a*, b* of −128 to 127, each stretched
/// over 16 bits; the white is D50, that of the ICC connection space.
pub(crate) fn cie_lab_of(rgb: [u8; 3]) -> [u16; 3] {
    let linear = rgb.map(|v| {
        let v = f64::from(v) / 255.0;
        if v <= 0.040_45 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
    });
    // sRGB to XYZ adapted to D50 (IEC 61966-2-1 with the Bradford transform, as in ICC profiles).
    const XYZ_FROM_RGB: [[f64; 3]; 3] = [
        [0.436_074_7, 0.385_064_9, 0.143_080_4],
        [0.222_504_5, 0.716_878_6, 0.060_616_9],
        [0.013_932_2, 0.097_104_5, 0.714_173_3],
    ];
    const WHITE_D50: [f64; 3] = [0.964_22, 1.0, 0.825_21];
    let xyz: [f64; 3] = std::array::from_fn(|row| (0..3).map(|c| XYZ_FROM_RGB[row][c] * linear[c]).sum());
    // CIE 15:2004, equations 8.3 to 8.8.
    let f: [f64; 3] = std::array::from_fn(|n| {
        let t = xyz[n] / WHITE_D50[n];
        if t > (6.0f64 / 29.0).powi(3) { t.cbrt() } else { t * (29.0f64 / 6.0).powi(2) / 3.0 + 4.0 / 29.0 }
    });
    let lab = [116.0 * f[1] - 16.0, 500.0 * (f[0] - f[1]), 200.0 * (f[1] - f[2])];
    let stretched = [lab[0] / 100.0, (lab[1] + 128.0) / 255.0, (lab[2] + 128.0) / 255.0];
    stretched.map(|v| (v.clamp(0.0, 1.0) * 65535.0).round() as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_colours_come_out_as_published() {
        // L*a*b* (D50) of the sRGB primaries after Lindbloom: red 54.29 80.81 69.89, green 87.82 −79.29 80.99,
        // blue 29.57 68.30 −112.03.
        let near = |rgb, lab: [f64; 3]| {
            let expected = [lab[0] / 100.0, (lab[1] + 128.0) / 255.0, (lab[2] + 128.0) / 255.0];
            let found = cie_lab_of(rgb).map(|v| f64::from(v) / 65535.0);
            (0..3).all(|n| (found[n] - expected[n]).abs() < 2e-4)
        };
        assert!(near([255, 0, 0], [54.29, 80.81, 69.89]));
        assert!(near([0, 255, 0], [87.82, -79.29, 80.99]));
        assert!(near([0, 0, 255], [29.57, 68.30, -112.03]));
        assert!(near([255, 255, 255], [100.0, 0.0, 0.0]));
        assert_eq!(cie_lab_of([0, 0, 0])[0], 0);
    }
}
