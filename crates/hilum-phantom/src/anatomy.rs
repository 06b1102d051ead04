//! The whole chest as a function of the point: HU, lobe and lesion anywhere in patient space.

use crate::answers::KnownAnswers;
use crate::cells::Cells;
use crate::field::Field;
use crate::lesion::{Disease, Lesion, LesionKind, place};
use crate::lungs::{Lobe, Lungs};
use crate::mediastinum::{self, Organ, Part};
use crate::random::Texture;
use crate::shape::{Tube, coverage, ellipsoid, mix, ramp, sheet_coverage, smooth_max, tube_coverage};
use crate::skeleton::{self, Skeleton};
use crate::thorax::{Side, Thorax, body_distance, cage_distance, spine_y};
use crate::tree::{self, Bronchus};
use glam::{Vec3, Vec3Swizzles};
use hilum_volume::PatientPoint;
use std::sync::OnceLock;

/// The largest half width of the scanner's point spread for which thin structures are found, mm.
pub(crate) const BLUR_LIMIT: f32 = 2.2;

/// Outside the lungs only the roots of the trees are drawn, those at least this wide; finer branches that take a short cut
/// through the heart are not.
const ROOT_RADIUS_MM: f32 = 2.6;

/// HU of what is not patterned.
const AIR: f32 = -1000.0;
const FAT: f32 = -102.0;
const MUSCLE: f32 = 54.0;
const BLOOD: f32 = 42.0;

/// One chest, known at every point of patient space (LPS, mm).
///
/// Its surfaces are smooth functions of the point, so that any grid laid over it, oblique, sheared, left-handed, coarse or
/// fine, shows the same body.
pub struct Anatomy {
    pub(crate) lungs: Lungs,
    pub(crate) lesions: Vec<Lesion>,
    pub(crate) texture: Texture,
    seed: u64,
    disease: Disease,
    bead: Vec3,
    pub(crate) answers: OnceLock<KnownAnswers>,
    body: Field,
    cage: Field,
    above_diaphragm: Field,
    skeleton: Skeleton,
    parts: Cells<Part>,
    bronchi: Cells<Bronchus>,
    central_airways: Cells<Tube>,
    vessels: Cells<Tube>,
}

impl Anatomy {
    /// Builds the chest of one person: `seed` varies the person (domes, fissures, branching, lesion outlines), `disease` the
    /// lesions. The same arguments always give the same chest.
    #[must_use]
    pub fn new(seed: u64, disease: Disease) -> Self {
        Self::with_growth(seed, disease, 1.0)
    }

    /// The same chest at another time: every lesion is `growth` times as long, wide and high around its middle, and still
    /// bounded by pleura and fissures. 0.001 or so leaves none.
    ///
    /// # Panics
    /// If `growth` is not positive.
    #[must_use]
    pub fn with_growth(seed: u64, disease: Disease, growth: f32) -> Self {
        assert!(growth.is_finite() && growth > 0.0, "lesions have an extent");
        let thorax = Thorax::new(seed);
        let lungs = Lungs::new(seed, &thorax);
        let trees = tree::grow(&lungs, seed);
        let lesions = place(disease, &lungs, seed, growth);
        let (low, high) = (Vec3::new(-190.0, -128.0, -200.0), Vec3::new(190.0, 140.0, 190.0));
        let cage_low = Vec3::new(-150.0, -105.0, -200.0);
        let cage_high = Vec3::new(150.0, 115.0, 190.0);
        let body = Field::new(low, high, 4.0, body_distance);
        Self {
            bead: bead_on(&body),
            answers: OnceLock::new(),
            cage: Field::new(low, high, 4.0, cage_distance),
            above_diaphragm: Field::new(cage_low, cage_high, 4.0, |p| thorax.above_diaphragm(p)),
            skeleton: Skeleton::new(),
            parts: Cells::new(mediastinum::parts(), 8.0, BLUR_LIMIT + 2.0),
            bronchi: Cells::new(trees.bronchi, 6.0, BLUR_LIMIT),
            central_airways: Cells::new(mediastinum::central_airways(), 8.0, 3.0),
            vessels: Cells::new(trees.vessels, 6.0, BLUR_LIMIT),
            texture: Texture::new(seed),
            body,
            lungs,
            lesions,
            seed,
            disease,
        }
    }

    /// The seed of the person.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The disease shown.
    #[must_use]
    pub fn disease(&self) -> Disease {
        self.disease
    }

    /// Points that can be found in the images, by which a flip or a shift is known.
    pub(crate) fn landmarks(&self) -> [(&'static str, PatientPoint); 4] {
        let point = |p: Vec3| PatientPoint(p.as_dvec3().to_array());
        [
            ("bead on the skin, right front, 700 HU, radius 4 mm", point(self.bead)),
            ("carina", point(mediastinum::CARINA)),
            ("liver (right), about 60 HU", PatientPoint([-70.0, 0.0, -140.0])),
            ("gas in the stomach (left, front)", PatientPoint([60.0, -50.0, -125.0])),
        ]
    }

    /// The lobe at a point, `None` outside the lungs.
    ///
    /// Lung is everything inside the pleura: parenchyma, lesions, and the vessels and bronchi within; the trachea, the main
    /// bronchi and the bronchus intermedius with their walls are not lung, nor are the large vessels of the hilum.
    #[must_use]
    pub fn lobe(&self, at: PatientPoint) -> Option<Lobe> {
        self.lobe_at(to_vec3(at))
    }

    pub(crate) fn lobe_at(&self, p: Vec3) -> Option<Lobe> {
        let (side, distance) = self.lungs.nearest(p);
        let lung = distance < 0.0 && !self.central_airways.near(p).any(|tube| tube.distance(p) < 1.5);
        lung.then(|| self.lungs.lobe(side, p))
    }

    /// The lesion at a point, as an index into the known answers.
    pub(crate) fn lesion_at(&self, p: Vec3, lobe: Lobe) -> Option<usize> {
        self.lesions.iter().rposition(|lesion| lesion.lobe == lobe && lesion.contains(p, &self.texture))
    }

    /// The kind of lesion at a point, `None` in healthy lung and outside the lungs.
    #[must_use]
    pub fn lesion(&self, at: PatientPoint) -> Option<LesionKind> {
        let p = to_vec3(at);
        let index = self.lesion_at(p, self.lobe_at(p)?)?;
        Some(self.lesions[index].kind)
    }

    /// Distance outside the skin, to first order.
    pub(crate) fn body_distance(&self, p: Vec3) -> f32 {
        self.body.at(p)
    }

    /// HU at a point without noise, seen through a point spread of half width `blur` mm (see [`coverage`]).
    #[must_use]
    pub(crate) fn hu(&self, p: Vec3, blur: f32) -> f32 {
        let body = self.body.at(p);
        if body > blur {
            let bead = coverage(p.distance(self.bead) - BEAD_MM, blur);
            return mix(couch(p, blur), BEAD_HU, bead);
        }
        let (side, lung) = self.lungs.nearest(p);
        let lung_part = coverage(lung, blur);
        let mut hu = if lung_part < 1.0 {
            let solid = self.solid(p, body, blur);
            if lung_part > 0.0 { mix(solid, self.parenchyma(side, p, blur), lung_part) } else { solid }
        } else {
            self.parenchyma(side, p, blur)
        };
        if lung < 40.0 {
            hu = self.with_trees(hu, p, lung, blur);
        }
        if body > -blur {
            hu = mix(couch(p, blur), hu, coverage(body, blur));
        }
        hu
    }

    /// Aerated lung with its lesions and fissures, without vessels and bronchi.
    fn parenchyma(&self, side: Side, p: Vec3, blur: f32) -> f32 {
        let fine = self.texture.at(p / 1.7);
        let lobular = self.texture.at(p.yzx() / 5.5);
        // Supine lung is denser behind, by about 5 HU per centimetre.
        let mut hu = -872.0 + 0.42 * (p.y - 10.0) + 11.0 * fine + 9.0 * lobular;
        if self.lesions.iter().any(|lesion| lesion.may_reach(p)) {
            let lobe = self.lungs.lobe(side, p);
            for lesion in self.lesions.iter().filter(|l| l.lobe == lobe && l.may_reach(p)) {
                hu = lesion.over(hu, p, &self.texture, blur);
            }
        }
        let fissure = self.lungs.fissure_coverage(side, p, blur);
        if fissure > 0.0 {
            hu = mix(hu, hu.max(10.0), fissure);
        }
        hu
    }

    /// Pulmonary vessels and bronchi drawn over what is there.
    fn with_trees(&self, hu: f32, p: Vec3, lung: f32, blur: f32) -> f32 {
        let mut hu = hu;
        if lung < blur || self.above_diaphragm.at(p) > 0.0 {
            let mut vessel: f32 = 0.0;
            for tube in self.vessels.near(p) {
                let (distance, radius) = tube.axis_distance(p);
                if lung > 2.0 && radius < ROOT_RADIUS_MM {
                    continue;
                }
                vessel = vessel.max(tube_coverage(distance, radius, blur));
            }
            if vessel > 0.0 {
                hu = mix(hu, hu.max(BLOOD), vessel);
            }
        }
        let (mut wall, mut lumen): (f32, f32) = (0.0, 0.0);
        for bronchus in self.bronchi.near(p) {
            let (distance, radius) = bronchus.lumen.axis_distance(p);
            if lung > 2.0 && radius < ROOT_RADIUS_MM {
                continue;
            }
            wall = wall.max(tube_coverage(distance, radius + bronchus.wall_mm, blur));
            lumen = lumen.max(tube_coverage(distance, radius, blur));
        }
        if wall > 0.0 {
            hu = mix(mix(hu, hu.max(25.0), wall), -995.0, lumen);
        }
        hu
    }

    /// Everything but lung, vessels in the lung and bronchi.
    fn solid(&self, p: Vec3, body: f32, blur: f32) -> f32 {
        let cage = self.cage.at(p);
        let inside = coverage(cage, blur);
        let mut hu = if inside < 1.0 { self.wall(p, body, cage, blur) } else { 0.0 };
        if inside > 0.0 {
            let above = self.above_diaphragm.at(p);
            let upper = coverage(-above, blur);
            let mut content = if upper > 0.0 { self.mediastinum(p, blur) } else { 0.0 };
            if upper < 1.0 {
                content = mix(self.abdomen(p, cage, above, blur), content, upper);
            }
            hu = mix(hu, content, inside);
        }
        if p.x.abs() < 46.0 {
            hu = self.around_spine(hu, p, blur);
        }
        if let Some(bone) = self.skeleton.at(p) {
            let grain = 1.0 + 0.16 * self.texture.at(p / 1.3);
            let cortex = mix(hu, bone.cortex_hu, coverage(bone.distance, blur));
            let marrow = coverage(bone.distance + bone.cortex_mm, blur);
            hu = mix(cortex, bone.marrow_hu * grain, marrow);
        }
        hu
    }

    /// Muscles beside the spine, spinal canal.
    fn around_spine(&self, hu: f32, p: Vec3, blur: f32) -> f32 {
        let y = p.y - spine_y(p.z);
        let mut hu = hu;
        let erector = ellipsoid(Vec3::new(p.x.abs() - 22.0, y - 41.0, 0.0), Vec3::new(20.0, 15.0, 1e4));
        if erector < blur {
            let strand = coverage(self.texture.at(p / Vec3::new(4.0, 4.0, 16.0)) + 1.5, 0.3);
            hu = mix(hu, mix(MUSCLE, FAT * 0.5, strand), coverage(erector, blur));
        }
        let canal = skeleton::canal_distance(p);
        if canal < blur {
            hu = mix(hu, 14.0, coverage(canal, blur));
            hu = mix(hu, 40.0, coverage(skeleton::cord_distance(p), blur));
        }
        hu
    }

    /// Skin, fat and muscle outside the thoracic cage.
    fn wall(&self, p: Vec3, body: f32, cage: f32, blur: f32) -> f32 {
        let depth = -body;
        let front = ramp(-p.y, -20.0, 90.0);
        let waist = ramp(-p.z, 20.0, 170.0);
        let shoulder = ramp(p.z, 60.0, 130.0);
        let uneven = self.texture.at(p / 24.0);
        let subcutaneous = 6.5 + 3.5 * front + 4.5 * waist * (1.0 - 0.5 * front) + 3.0 * shoulder + 1.4 * uneven;
        let muscle_part = coverage(subcutaneous - depth, blur);
        let mut hu = FAT + 9.0 * self.texture.at(p / 3.0);
        // Strands of connective tissue in the fat under the skin.
        let strand = self.texture.at(p / Vec3::new(6.0, 6.0, 9.0)).abs();
        hu += 55.0 * coverage(strand - 0.06, 0.10);
        if muscle_part > 0.0 {
            hu = mix(hu, self.muscle(p, cage, shoulder, blur), muscle_part);
        }
        mix(hu, 22.0, coverage(depth - 1.7, blur))
    }

    /// Layers of muscle with fat between them.
    fn muscle(&self, p: Vec3, cage: f32, shoulder: f32, blur: f32) -> f32 {
        let grain = self.texture.at(p / Vec3::new(2.5, 2.5, 7.0));
        let mut hu = MUSCLE + 7.0 * grain;
        let planes = self.texture.at(p.zxy() / 15.0);
        // The fat plane between the intercostal muscles and the broad muscles over the ribs, and one more outside.
        let broken = self.texture.at(p.yxz() / 19.0 + 31.0);
        let first = sheet_coverage(cage - 10.5 - 1.4 * planes, 1.3 + 1.1 * planes.max(0.0), blur);
        let second = sheet_coverage(cage - 20.0 - 4.5 * planes, (2.4 * broken).clamp(0.0, 3.5), blur);
        let third = sheet_coverage(cage - 31.0 + 6.0 * planes, (-2.8 * broken).clamp(0.0, 4.0), blur);
        let plane = first.max(second).max(third);
        hu = mix(hu, FAT, plane * 0.9);
        // Fat streaks within the muscles themselves.
        let streak = self.texture.at(p / Vec3::new(5.0, 3.4, 11.0) + 13.0);
        hu = mix(hu, -40.0, 0.55 * coverage((1.5 - streak) * 4.0, 1.5));
        let behind = ramp(p.y, 40.0, 70.0);
        if shoulder > 0.0 {
            let seam = self.texture.at(p / Vec3::new(13.0, 13.0, 26.0) + 7.0).abs();
            let seams = coverage((seam - 0.11) * 13.0, blur + 0.6);
            hu = mix(hu, FAT + 8.0 * grain, seams * shoulder);
        }
        let armpit =
            ellipsoid(Vec3::new(p.x.abs() - 122.0, p.y - 12.0, p.z - 84.0), Vec3::new(26.0, 30.0, 48.0)) + 4.0 * planes;
        if armpit < blur {
            let node = self.texture.at(p / 5.0 + 3.0);
            let fat = mix(FAT + 10.0 * grain, 40.0, coverage((1.9 - node) * 4.0, 1.5));
            hu = mix(hu, fat, coverage(armpit, blur + 1.0) * (1.0 - 0.6 * behind));
        }
        hu
    }

    /// Heart, great vessels and the fat between them.
    fn mediastinum(&self, p: Vec3, blur: f32) -> f32 {
        let mut hu = FAT + 4.0 + 8.0 * self.texture.at(p / 3.0);
        // Above the apices: muscles of the neck and the thyroid bed rather than fat.
        let neck = ramp(p.z, 100.0, 128.0);
        if neck > 0.0 {
            let seam = self.texture.at(p / Vec3::new(9.0, 9.0, 20.0) + 17.0).abs();
            hu = mix(hu, mix(MUSCLE, FAT, coverage((seam - 0.25) * 9.0, blur + 0.6)), neck);
        }
        let node = self.texture.at(p / 4.0 + 11.0);
        hu = mix(hu, 40.0, coverage((2.1 - node) * 4.0, 1.5));
        let heart = mediastinum::heart_distance(p);
        if heart < 8.0 {
            // Pericardium, then the fat of the grooves under it, then muscle and blood.
            let pericardium = mediastinum::pericardium_distance(p) + 1.2;
            hu = mix(hu, 35.0, 0.35 * sheet_coverage(pericardium, 1.3, blur));
            let groove = 1.6 * self.texture.at(p / 14.0 + 5.0);
            hu = mix(hu, 47.0, coverage(heart + groove, blur));
            let blood = coverage(mediastinum::ventricle_distance(p), 2.0);
            hu = mix(hu, BLOOD - 2.0, blood);
        }
        let (mut vessel, mut wall, mut gullet) = (f32::MAX, f32::MAX, f32::MAX);
        for part in self.parts.near(p) {
            let distance = part.tube.distance(p);
            match part.organ {
                Organ::Vessel => {
                    vessel = vessel.min(distance);
                    wall = wall.min(distance - 1.0);
                }
                Organ::Oesophagus => gullet = gullet.min(distance),
            }
        }
        hu = mix(hu, 34.0, coverage(gullet, blur));
        let open = 5.4 + 1.6 * ramp(self.texture.at(Vec3::splat(p.z / 11.0)), -0.3, 0.3);
        hu = mix(hu, AIR, coverage(gullet + open, blur));
        hu = mix(hu, 48.0, coverage(wall, blur));
        mix(hu, BLOOD, coverage(vessel, blur))
    }

    /// Liver, stomach, spleen and the diaphragm over them.
    fn abdomen(&self, p: Vec3, cage: f32, above: f32, blur: f32) -> f32 {
        let grain = self.texture.at(p / 3.0);
        let mut hu = FAT + 8.0 * grain;
        let wall = cage + 2.6;
        let roof = above + 2.0;
        let inside = smooth_max(wall, roof, 3.0);
        let spleen =
            smooth_max(ellipsoid(p - Vec3::new(88.0, 46.0, -132.0), Vec3::new(36.0, 46.0, 46.0)), inside + 0.4, 6.0);
        hu = mix(hu, 50.0 + 3.0 * grain, coverage(spleen, blur));
        let stomach =
            smooth_max(ellipsoid(p - Vec3::new(60.0, -18.0, -128.0), Vec3::new(46.0, 52.0, 50.0)), inside + 0.4, 8.0)
                .max(3.0 - spleen);
        let liver_edge = 0.86 * (p.x - 34.0) + 0.3 * (p.y + 30.0) + 0.2 * (p.z + 90.0);
        let liver = smooth_max(inside - 0.6, liver_edge, 14.0)
            .max(2.0 - stomach)
            .max(6.0 - (glam::Vec2::new(p.x, p.y - spine_y(p.z)).length() - 26.0));
        let vein = self.texture.at(p / Vec3::new(9.0, 9.0, 15.0) + 2.0).abs();
        let liver_hu = 60.0 + 3.0 * grain - 14.0 * coverage((vein - 0.10) * 9.0, blur + 0.4);
        hu = mix(hu, liver_hu, coverage(liver, blur));
        hu = mix(hu, 40.0, coverage(stomach, blur));
        // Supine: the gas lies in front of the fluid.
        let level = coverage(p.y + 34.0, blur);
        let content = mix(18.0 + 9.0 * self.texture.at(p / 6.0), AIR, level);
        hu = mix(hu, content, coverage(stomach + 3.5, blur));
        for part in self.parts.near(p) {
            hu = mix(hu, BLOOD, coverage(part.tube.distance(p), blur));
        }
        // The muscle of the diaphragm.
        let muscle = sheet_coverage(above + 1.2, 2.4, blur).max(sheet_coverage(cage + 1.4, 2.8, blur));
        mix(hu, MUSCLE, muscle)
    }
}

/// Radius and HU of the bead that marks the right front of the body.
const BEAD_MM: f32 = 4.0;
const BEAD_HU: f32 = 700.0;

/// The point on the skin where the bead lies: out from the middle of the chest, to the right and the front.
fn bead_on(body: &Field) -> Vec3 {
    let out = Vec3::new(-0.62, -0.785, 0.0).normalize();
    let mut p = Vec3::new(0.0, 0.0, 22.0);
    while body.at(p) < BEAD_MM - 0.5 {
        p += out * 0.25;
    }
    p
}

/// The couch behind the patient: a shallow trough of carbon fibre filled with foam, and air elsewhere.
fn couch(p: Vec3, blur: f32) -> f32 {
    const RADIUS: f32 = 430.0;
    const TOP: f32 = 123.0;
    if p.y < 60.0 {
        return AIR;
    }
    let depth = glam::Vec2::new(p.x, p.y - (TOP - RADIUS)).length() - RADIUS;
    let edge = p.x.abs() - 205.0;
    let slab = (depth - 12.0).abs() - 12.0;
    let outer = slab.max(edge);
    let hu = mix(AIR, -230.0, coverage(outer, blur));
    mix(hu, -935.0, coverage(outer + 1.6, blur))
}

pub(crate) fn to_vec3(p: PatientPoint) -> Vec3 {
    Vec3::from_array(p.0.map(|v| v as f32))
}
