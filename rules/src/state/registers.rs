//! What the registers of a sketch have seen, so that a value that changes none of them need not go through it.

use super::distinct::LG_REGISTERS;

const REGISTERS: usize = 1 << LG_REGISTERS;

/// What the registers of a HyperLogLog sketch have seen at least.
///
/// A register keeps the greatest number of leading zeros of the hashes that belong to it. Whether another hash has
/// more of them shows in its upper bits.
pub(super) struct Registers {
    /// The upper bits of a hash that changes the register are at most this.
    limits: Box<[u16; REGISTERS]>,
}

impl Registers {
    pub(super) fn new() -> Self {
        Self {
            limits: Box::new([u16::MAX; REGISTERS]),
        }
    }

    /// Whether the sketch has to take in the value of at most eight bytes, given as a number with the lowest byte
    /// first: it may change a register. Another of the same hash does not.
    #[inline]
    pub(super) fn take(&mut self, value: u64, bytes: u64) -> bool {
        let (low, high) = hash(value, bytes);
        let limit = &mut self.limits[low as usize % REGISTERS];
        let upper = (high >> 48) as u16;
        if upper > *limit {
            return false;
        }
        // With as many leading zeros or fewer, the bit before the first of these ones, or one before it, is set.
        let zeros = upper.leading_zeros();
        *limit = (u32::from(u16::MAX >> 1) >> zeros) as u16;
        true
    }
}

/// The seed of the hashes of all sketches. Apache DataSketches, `DEFAULT_UPDATE_SEED`.
const SEED: u64 = 9001;

/// MurmurHash3 of at most eight bytes: the 128-bit variant for x64, by Austin Appleby, as Apache DataSketches uses it.
fn hash(value: u64, bytes: u64) -> (u64, u64) {
    let mixed = value.wrapping_mul(0x87c3_7b91_1142_53d5).rotate_left(31);
    let low = SEED ^ mixed.wrapping_mul(0x4cf5_ad43_2745_937f) ^ bytes;
    let high = SEED ^ bytes;
    let low = low.wrapping_add(high);
    let high = high.wrapping_add(low);
    let (low, high) = (finish(low), finish(high));
    let low = low.wrapping_add(high);
    (low, high.wrapping_add(low))
}

fn finish(mut bits: u64) -> u64 {
    bits ^= bits >> 33;
    bits = bits.wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits ^= bits >> 33;
    bits = bits.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ bits >> 33
}

#[cfg(test)]
mod tests {
    use datasketches::hash::value::raw_bytes;
    use datasketches::hll::{HllSketch, HllType};
    use proptest::prelude::*;

    use super::*;

    fn empty() -> HllSketch {
        HllSketch::new(LG_REGISTERS, HllType::Hll8).unwrap()
    }

    #[test]
    fn values_that_are_left_out_do_not_change_a_sketch() {
        for bytes in [1_usize, 2, 4, 8] {
            let mut registers = Registers::new();
            let (mut of_all, mut of_some) = (empty(), empty());
            // So many that a sketch is no list of them any more.
            for value in 0..5000_u64 {
                let value = value.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes();
                of_all.update(raw_bytes::from_slice(&value));
                of_some.update(raw_bytes::from_slice(&value));
            }
            let mut left_out = 0;
            for value in 0..300_000_u64 {
                let value = value.wrapping_mul(0xD1B5_4A32_D192_ED03) >> (64 - 8 * bytes);
                let as_bytes = value.to_le_bytes();
                of_all.update(raw_bytes::from_slice(&as_bytes[..bytes]));
                match registers.take(value, bytes as u64) {
                    true => of_some.update(raw_bytes::from_slice(&as_bytes[..bytes])),
                    false => left_out += 1,
                }
            }
            assert_eq!(of_some.serialize(), of_all.serialize(), "{bytes}");
            assert!(left_out > 250_000, "{left_out} of {bytes} bytes");
        }
    }

    proptest! {
        #[test]
        fn a_value_that_was_taken_is_left_out_from_then_on(value in any::<u64>()) {
            let mut registers = Registers::new();
            prop_assert!(registers.take(value, 8));
            // Only those of very many leading zeros are taken again.
            let is_rare = hash(value, 8).1 >> 48 == 0;
            prop_assert_eq!(registers.take(value, 8), is_rare);
        }
    }
}
