//! Bodies that are not a chest, and pictures that are not CT slices: what a reader of chest CTs must refuse.

use crate::random::Texture;
use crate::scanner::Body;
use crate::shape::{Profile, Tube, coverage, ellipsoid, mix, smooth_min, superellipse};
use glam::{Vec2, Vec3};

const AIR: f32 = -1000.0;

/// A head: scalp, skull, brain with ventricles, air in the sinuses and the throat.
pub(crate) struct Head {
    pub(crate) texture: Texture,
}

impl Head {
    fn skull(p: Vec3) -> f32 {
        let vault = ellipsoid(p - Vec3::new(0.0, 8.0, 20.0), Vec3::new(72.0, 92.0, 78.0));
        let face = ellipsoid(p - Vec3::new(0.0, -42.0, -50.0), Vec3::new(52.0, 42.0, 60.0));
        smooth_min(vault, face, 20.0)
    }
}

impl Body for Head {
    fn skin_distance(&self, p: Vec3) -> f32 {
        let neck = superellipse(Vec2::new(p.x, p.y - 15.0), Vec2::new(58.0, 62.0), 2.1).max(p.z + 40.0);
        smooth_min(Self::skull(p) - 7.0, neck, 20.0)
    }

    fn hu(&self, p: Vec3, blur: f32) -> f32 {
        let skin = self.skin_distance(p);
        if skin > blur {
            return AIR;
        }
        let skull = Self::skull(p);
        let grain = self.texture.at(p / 3.0);
        let mut hu = mix(-95.0, 50.0 + 6.0 * grain, coverage(skin + 4.0, blur));
        hu = mix(hu, 25.0, coverage(-skin - 1.5, blur));
        hu = mix(hu, 1100.0, coverage(skull, blur));
        hu = mix(hu, 500.0, coverage((skull + 3.5).abs() - 1.2, blur));
        let base = p.z + 34.0 + 0.35 * p.y;
        let inside = coverage((skull + 7.0).max(-base), blur);
        let brain = mix(8.0, 33.0 + 3.0 * grain, coverage(skull + 9.0, blur));
        hu = mix(hu, brain, inside);
        let horn = |side: f32| ellipsoid(p - Vec3::new(side * 12.0, 2.0, 34.0), Vec3::new(7.0, 36.0, 12.0));
        hu = mix(hu, 6.0, coverage(horn(-1.0).min(horn(1.0)), blur));
        if base < 0.0 {
            hu = mix(hu, 45.0, coverage(skull + 9.0, blur));
        }
        let sinus = |side: f32| ellipsoid(p - Vec3::new(side * 26.0, -58.0, -46.0), Vec3::new(13.0, 15.0, 17.0));
        let throat = superellipse(Vec2::new(p.x, p.y + 16.0), Vec2::new(9.0, 7.0), 2.0).max(p.z + 50.0);
        let air = sinus(-1.0).min(sinus(1.0)).min(throat);
        hu = mix(hu, AIR, coverage(air, blur));
        mix(AIR, hu, coverage(skin, blur))
    }
}

/// A knee: femur, kneecap, tibia and fibula in muscle and fat.
pub(crate) struct Knee {
    pub(crate) texture: Texture,
}

const KNEE_RADIUS: Profile = Profile(&[(-150.0, 50.0), (-60.0, 56.0), (0.0, 60.0), (60.0, 66.0), (150.0, 80.0)]);

impl Body for Knee {
    fn skin_distance(&self, p: Vec3) -> f32 {
        Vec2::new(p.x, p.y - 8.0).length() - KNEE_RADIUS.at(p.z)
    }

    fn hu(&self, p: Vec3, blur: f32) -> f32 {
        let skin = self.skin_distance(p);
        if skin > blur {
            return AIR;
        }
        let v = Vec3::new;
        let condyle = |x: f32| ellipsoid(p - v(x, 6.0, 18.0), v(20.0, 27.0, 20.0));
        let femur = smooth_min(condyle(-19.0), condyle(19.0), 10.0);
        let femur = smooth_min(femur, Tube::new(v(0.0, 0.0, 30.0), v(0.0, 0.0, 220.0), 20.0, 15.0).distance(p), 14.0);
        let plateau = ellipsoid(p - v(0.0, 6.0, -20.0), v(38.0, 25.0, 15.0));
        let shaft = Tube::new(v(0.0, 2.0, -35.0), v(0.0, 0.0, -220.0), 20.0, 13.0).distance(p);
        let tibia = smooth_min(plateau, shaft, 14.0);
        let fibula = Tube::new(v(36.0, 20.0, -36.0), v(32.0, 18.0, -220.0), 8.0, 6.0).distance(p);
        let kneecap = ellipsoid(p - v(0.0, -36.0, 24.0), v(22.0, 10.0, 22.0));
        let bone = femur.min(tibia).min(fibula).min(kneecap);
        let grain = self.texture.at(p / 3.0);
        let mut hu = mix(-100.0 + 8.0 * grain, 52.0 + 7.0 * grain, coverage(skin + 9.0, blur));
        hu = mix(hu, 20.0, coverage(-skin - 1.5, blur));
        hu = mix(hu, 900.0, coverage(bone, blur));
        hu = mix(hu, 150.0 + 60.0 * grain, coverage(bone + 2.2, blur));
        mix(AIR, hu, coverage(skin, blur))
    }
}

/// A body as magnetic resonance shows it: fat bright, muscle grey, lung, cortex and air dark.
pub(crate) struct Resonance<'a, B>(pub(crate) &'a B);

impl<B: Body> Body for Resonance<'_, B> {
    fn skin_distance(&self, p: Vec3) -> f32 {
        self.0.skin_distance(p)
    }

    fn hu(&self, p: Vec3, blur: f32) -> f32 {
        const SIGNAL: Profile = Profile(&[
            (-900.0, 20.0),
            (-300.0, 120.0),
            (-100.0, 900.0),
            (-40.0, 650.0),
            (40.0, 340.0),
            (300.0, 120.0),
            (800.0, 30.0),
        ]);
        SIGNAL.at(self.0.hu(p, blur))
    }
}

/// A scout view: the mean of a body along the beam, from front to back, as a single coronal picture in slice 0.
pub(crate) struct Projection<'a, B>(pub(crate) &'a B);

impl<B: Body> Body for Projection<'_, B> {
    fn skin_distance(&self, p: Vec3) -> f32 {
        self.0.skin_distance(Vec3::new(p.x, 8.0, p.z))
    }

    fn hu(&self, p: Vec3, blur: f32) -> f32 {
        const STEP: f32 = 5.0;
        let sum: f32 =
            (-25..=25).map(|i| self.0.hu(Vec3::new(p.x, 8.0 + i as f32 * STEP, p.z), blur.max(2.0)) + 1000.0).sum();
        // As scanners show it: about 0 behind the heart, −800 beside the body.
        sum / 51.0 * 1.1 - 900.0
    }
}
