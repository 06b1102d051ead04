//! Lossless JPEG, the Huffman-coded sequential process 14 with any selection value (ITU-T T.81 Annex H).
//!
//! Our own because the crates at hand misplace the point transform and do not reset the prediction at restart markers,
//! and because most CT archives use this process: a table of 12 bits decodes nearly every code with one look.

use super::{FrameSize, Undecodable};

/// Codes up to this length are decoded with one look.
const LOOK_BITS: u32 = 12;

/// One component, values modulo 2¹⁶.
pub(super) fn decode(bytes: &[u8], frame: FrameSize) -> Result<Vec<u16>, Undecodable> {
    let FrameSize { rows, columns, .. } = frame;
    let mut reader = Markers { bytes, at: 0 };
    if reader.marker()? != 0xD8 {
        return Err(Undecodable);
    }
    let mut tables: [Option<Huffman>; 4] = [const { None }; 4];
    let mut precision = None;
    let mut restart_interval = 0;
    loop {
        let marker = reader.marker()?;
        if matches!(marker, 0xD9 | 0xD0..=0xD7) {
            return Err(Undecodable); // the image ends before it began
        }
        let segment = reader.segment()?;
        match marker {
            // SOF3: precision, lines, samples per line, one component (B.2.2).
            0xC3 => {
                let [p, r1, r0, c1, c0, components, ..] = *segment else { return Err(Undecodable) };
                let size = [u16::from_be_bytes([r1, r0]), u16::from_be_bytes([c1, c0])].map(usize::from);
                if size != [rows, columns] || components != 1 || !(2..=16).contains(&p) || !frame.agrees_with(p) {
                    return Err(Undecodable);
                }
                precision = Some(p);
            }
            // Any other process: lossy, hierarchical, arithmetic.
            0xC0..=0xC2 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => return Err(Undecodable),
            0xC4 => Huffman::parse(segment, &mut tables)?,
            0xDD => {
                let [high, low] = *segment else { return Err(Undecodable) };
                restart_interval = usize::from(u16::from_be_bytes([high, low]));
            }
            // SOS: one component with its table, selection value, unused, point transform (B.2.3, H.1).
            0xDA => {
                let [1, _, table, selection, _, approximation] = *segment else { return Err(Undecodable) };
                let precision = precision.ok_or(Undecodable)?;
                let point_transform = approximation & 15;
                if !(1..=7).contains(&selection) || point_transform >= precision {
                    return Err(Undecodable);
                }
                // Restarts fall on line starts (H.1.1).
                if restart_interval % columns != 0 {
                    return Err(Undecodable);
                }
                let scan = Scan {
                    columns,
                    selection,
                    start: 1 << (precision - point_transform - 1),
                    restart_lines: restart_interval / columns,
                    table: tables[usize::from(table >> 4 & 3)].as_ref().ok_or(Undecodable)?,
                };
                let mut pixels = vec![0u16; rows * columns];
                scan.decode(&mut Bits::new(&bytes[reader.at..]), &mut pixels)?;
                if point_transform > 0 {
                    pixels.iter_mut().for_each(|pixel| *pixel <<= point_transform);
                }
                return Ok(pixels);
            }
            _ => {} // application data, comments
        }
    }
}

struct Scan<'a> {
    columns: usize,
    selection: u8,
    /// Prediction of the very first sample (H.1.2.1).
    start: u16,
    /// Lines between restarts; 0 for none.
    restart_lines: usize,
    table: &'a Huffman,
}

impl Scan<'_> {
    fn decode(&self, bits: &mut Bits<'_>, pixels: &mut [u16]) -> Result<(), Undecodable> {
        let mut above: &mut [u16] = &mut [];
        for (line, current) in pixels.chunks_exact_mut(self.columns).enumerate() {
            let restart = self.restart_lines > 0 && line > 0 && line % self.restart_lines == 0;
            if restart {
                bits.restart()?;
            }
            if line == 0 || restart {
                self.first_line(bits, current)?;
            } else {
                self.line(bits, above, current)?;
            }
            if bits.overrun() {
                return Err(Undecodable);
            }
            above = current;
        }
        Ok(())
    }

    /// The first line of the image or after a restart: every sample from its left neighbour.
    fn first_line(&self, bits: &mut Bits<'_>, current: &mut [u16]) -> Result<(), Undecodable> {
        let mut left = self.start;
        for pixel in current {
            left = left.wrapping_add(self.table.difference(bits)?);
            *pixel = left;
        }
        Ok(())
    }

    fn line(&self, bits: &mut Bits<'_>, above: &[u16], current: &mut [u16]) -> Result<(), Undecodable> {
        // Table H.1, with a left, b above, c above left. One loop per predictor keeps the choice out of the loop.
        match self.selection {
            1 => self.samples(bits, above, current, |a, _, _| a),
            2 => self.samples(bits, above, current, |_, b, _| b),
            3 => self.samples(bits, above, current, |_, _, c| c),
            4 => self.samples(bits, above, current, |a, b, c| a + b - c),
            5 => self.samples(bits, above, current, |a, b, c| a + ((b - c) >> 1)),
            6 => self.samples(bits, above, current, |a, b, c| b + ((a - c) >> 1)),
            _ => self.samples(bits, above, current, |a, b, _| (a + b) >> 1),
        }
    }

    #[inline(always)]
    fn samples(
        &self,
        bits: &mut Bits<'_>,
        above: &[u16],
        current: &mut [u16],
        predict: impl Fn(i32, i32, i32) -> i32,
    ) -> Result<(), Undecodable> {
        // The first sample of a line from the one above.
        let mut above_left = above[0];
        let mut left = above_left.wrapping_add(self.table.difference(bits)?);
        current[0] = left;
        for (pixel, above) in current[1..].iter_mut().zip(&above[1..]) {
            let prediction = predict(i32::from(left), i32::from(*above), i32::from(above_left)) as u16;
            left = prediction.wrapping_add(self.table.difference(bits)?);
            *pixel = left;
            above_left = *above;
        }
        Ok(())
    }
}

/// Marker segments.
struct Markers<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Markers<'a> {
    fn marker(&mut self) -> Result<u8, Undecodable> {
        if self.bytes.get(self.at) != Some(&0xFF) {
            return Err(Undecodable);
        }
        // Any number of fill bytes may stand before the code (B.1.1.2).
        while self.bytes.get(self.at) == Some(&0xFF) {
            self.at += 1;
        }
        let code = *self.bytes.get(self.at).ok_or(Undecodable)?;
        self.at += 1;
        Ok(code)
    }

    fn segment(&mut self) -> Result<&'a [u8], Undecodable> {
        let length = self.bytes.get(self.at..self.at + 2).ok_or(Undecodable)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let segment = self.bytes.get(self.at + 2..self.at + length.max(2)).ok_or(Undecodable)?;
        self.at += length.max(2);
        Ok(segment)
    }
}

/// A table of codes for the number of bits of a difference.
struct Huffman {
    /// By the next 12 bits: `length << 8 | category`, 0 where the code is longer.
    look: Vec<u16>,
    /// By length: the first code that is longer than all codes of that length, moved to the top of 16 bits.
    limit: [u32; 17],
    /// By length: index of the first category minus the first code.
    offset: [i32; 17],
    categories: Vec<u8>,
}

impl Huffman {
    /// A DHT segment with one or more tables of class 0 (B.2.4.2).
    fn parse(mut segment: &[u8], tables: &mut [Option<Self>; 4]) -> Result<(), Undecodable> {
        while let [id, rest @ ..] = segment {
            let counts: &[u8; 16] = rest.first_chunk().ok_or(Undecodable)?;
            let total: usize = counts.iter().map(|c| usize::from(*c)).sum();
            let categories = rest.get(16..16 + total).ok_or(Undecodable)?;
            segment = &rest[16 + total..];
            // Class 1 is of no use to this process.
            if id >> 4 == 0 {
                tables[usize::from(id & 3)] = Some(Self::new(counts, categories)?);
            }
        }
        Ok(())
    }

    fn new(counts: &[u8; 16], categories: &[u8]) -> Result<Self, Undecodable> {
        if categories.iter().any(|c| *c > 16) {
            return Err(Undecodable);
        }
        let mut look = vec![0u16; 1 << LOOK_BITS];
        let (mut limit, mut offset) = ([0u32; 17], [0i32; 17]);
        let (mut code, mut index) = (0u32, 0usize);
        for length in 1..=16u32 {
            let count = u32::from(counts[length as usize - 1]);
            offset[length as usize] = index as i32 - code as i32;
            if code + count > 1 << length {
                return Err(Undecodable); // more codes than the length allows
            }
            for _ in 0..count {
                if length <= LOOK_BITS {
                    let first = (code << (LOOK_BITS - length)) as usize;
                    let entry = (length as u16) << 8 | u16::from(categories[index]);
                    look[first..first + (1 << (LOOK_BITS - length))].fill(entry);
                }
                code += 1;
                index += 1;
            }
            limit[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Ok(Self { look, limit, offset, categories: categories.to_vec() })
    }

    /// The next difference, modulo 2¹⁶ (H.1.2.2).
    #[inline(always)]
    fn difference(&self, bits: &mut Bits<'_>) -> Result<u16, Undecodable> {
        bits.refill();
        let entry = self.look[bits.peek(LOOK_BITS) as usize];
        let category = if entry != 0 {
            bits.skip(u32::from(entry >> 8));
            u32::from(entry & 0xFF)
        } else {
            self.long_code(bits)?
        };
        Ok(match category {
            0 => 0,
            16 => 32768,
            _ => {
                let value = bits.peek(category) as i32;
                bits.skip(category);
                // EXTEND (F.2.2.1): a leading 0 bit means a negative difference.
                let negative = value >> (category - 1) == 0;
                (if negative { value - (1 << category) + 1 } else { value }) as u16
            }
        })
    }

    #[cold]
    fn long_code(&self, bits: &mut Bits<'_>) -> Result<u32, Undecodable> {
        let next = bits.peek(16) as u32;
        for length in (LOOK_BITS + 1) as usize..=16 {
            if next < self.limit[length] {
                let index = (next >> (16 - length)) as i32 + self.offset[length];
                bits.skip(length as u32);
                return self.categories.get(index as usize).map(|c| u32::from(*c)).ok_or(Undecodable);
            }
        }
        Err(Undecodable)
    }
}

/// Entropy-coded bits, the stuffed zero after every FF byte removed (B.1.1.5).
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The next bits, at the top.
    buffer: u64,
    count: u32,
    /// Zero bits appended behind the end of the data.
    appended: u32,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, buffer: 0, count: 0, appended: 0 }
    }

    /// Makes sure of 32 bits: one code and one difference have at most 31.
    #[inline(always)]
    fn refill(&mut self) {
        while self.count < 32 {
            let byte = match self.bytes.get(self.at) {
                Some(0xFF) if self.bytes.get(self.at + 1) == Some(&0) => {
                    self.at += 2;
                    0xFF
                }
                Some(byte) if *byte != 0xFF => {
                    self.at += 1;
                    *byte
                }
                // A marker or the end.
                _ => {
                    self.appended += 8;
                    0
                }
            };
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    #[inline(always)]
    fn peek(&self, count: u32) -> u64 {
        self.buffer >> (64 - count)
    }

    #[inline(always)]
    fn skip(&mut self, count: u32) {
        self.buffer <<= count;
        self.count -= count;
    }

    /// Whether bits were used that are not in the data.
    fn overrun(&self) -> bool {
        self.appended > self.count
    }

    /// Passes a restart marker, the bits before it being used up but for padding.
    fn restart(&mut self) -> Result<(), Undecodable> {
        let marker = (self.bytes.get(self.at), self.bytes.get(self.at + 1));
        let (Some(0xFF), Some(0xD0..=0xD7)) = marker else { return Err(Undecodable) };
        (self.at, self.buffer, self.count, self.appended) = (self.at + 2, 0, 0, 0);
        Ok(())
    }
}
