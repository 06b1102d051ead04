//! Compressed frames as a decode worker gets them: whatever they hold, the answer is as many numbers as the frame has pixels, or
//! that it cannot be unpacked. Before the codestream stand codec, Bits Stored, rows and columns, a byte each.
#![no_main]

use hilum_dicom::serve_decoding;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    hilum_fuzz::let_caught_panics_pass();
    let [codec, bits, rows, columns, stream @ ..] = data else { return };
    let (rows, columns) = (u32::from(rows % 64) + 1, u32::from(columns % 64) + 1);
    let bits_stored = u16::from(bits % 16) + 1;
    let bits_allocated: u16 = if bits_stored > 8 { 16 } else { 8 };
    // No limits on the process: it is the fuzzer's.
    let mut request = [u64::MAX.to_le_bytes(); 2].concat();
    request.push(codec % 3 + 1);
    request.extend(bits_allocated.to_le_bytes());
    request.extend(bits_stored.to_le_bytes());
    request.extend(rows.to_le_bytes());
    request.extend(columns.to_le_bytes());
    request.extend((stream.len() as u64).to_le_bytes());
    request.extend(stream);
    let mut answer = Vec::new();
    serve_decoding(&request[..], &mut answer).expect("the request is whole");
    match answer[..] {
        [1] => {}
        [0, ref words @ ..] => assert_eq!(words.len(), 2 * (rows * columns) as usize),
        _ => panic!("an answer of {} bytes that is none", answer.len()),
    }
});
