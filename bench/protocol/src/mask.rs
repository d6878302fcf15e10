//! Masking in place, and masking while copying, against `copy_from_slice` of the same length, in turns.
//! One line for each size, with the medians.

use std::hint::black_box;

use tidegate_websocket::mask;

use crate::time::cpu_time;

/// Turns; the median counts.
const TURNS: usize = 201;
/// Bytes treated in one turn.
const TURN_BYTES: usize = 8 * 1024 * 1024;

/// Prints a line for each size.
pub fn run() -> Result<(), String> {
    for size in [32, 125, 1024, 4096, 16 * 1024, 64 * 1024, 1024 * 1024] {
        let source = vec![7u8; size];
        let (mut copied, mut masked) = (vec![0u8; size], vec![1u8; size]);
        let mut output = Vec::with_capacity(size + 64);
        let mut times: [Vec<f64>; 3] = Default::default();
        let repeat = TURN_BYTES / size;
        for _ in 0..TURNS {
            times[0].push(timed(repeat, || {
                copied.copy_from_slice(black_box(&source));
                black_box(&mut copied);
            }));
            times[1].push(timed(repeat, || mask::apply(black_box(&mut masked), black_box([1, 2, 3, 4]), 0)));
            times[2].push(timed(repeat, || {
                output.clear();
                mask::append(black_box(&source), black_box([1, 2, 3, 4]), 0, &mut output);
                black_box(&mut output);
            }));
        }
        let [copy, mask, append] = times.map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[TURNS / 2]
        });
        println!(
            "{{\"size\":{size},\"copy_ns\":{copy:.2},\"mask_ns\":{mask:.2},\"append_ns\":{append:.2},\"mask_ratio\":{:.3},\"append_ratio\":{:.3}}}",
            mask / copy,
            append / copy
        );
    }
    Ok(())
}

fn timed(repeat: usize, mut action: impl FnMut()) -> f64 {
    let begun = cpu_time();
    for _ in 0..repeat {
        action();
    }
    cpu_time().saturating_sub(begun).as_nanos() as f64 / repeat as f64
}
