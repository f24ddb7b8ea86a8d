//! The bytes of states: fixed fields, least significant byte first, and lengths that are checked before they are used.
//!
//! The form is documented in `docs/states.md`. Whoever changes it, or what a state holds, raises [`VERSION`]: states of
//! another version are computed anew.

use datafusion::arrow::datatypes::i256;

/// The version of the form, and of what the states in it mean.
pub(crate) const VERSION: u16 = 2;

/// Why bytes are no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They are of another version.
    #[error("they are of version {found}, this is version {VERSION}")]
    Version {
        /// Theirs.
        found: u16,
        /// Whether a later version of Lakegate wrote them.
        is_later: bool,
    },
    /// They are not what was written.
    #[error("they are damaged: {0}")]
    Damaged(&'static str),
}

/// Writes fields.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.0.push(u8::from(value));
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.raw(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.raw(&value.to_le_bytes());
    }

    pub(crate) fn i128(&mut self, value: i128) {
        self.raw(&value.to_le_bytes());
    }

    pub(crate) fn i256(&mut self, value: i256) {
        self.raw(&value.to_le_bytes());
    }

    /// A floating-point number by its bits, so that NaN and the sign of zero stay.
    pub(crate) fn f64(&mut self, value: f64) {
        self.u64(value.to_bits());
    }

    /// Bytes behind their length.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.u64(bytes.len() as u64);
        self.raw(bytes);
    }

    /// Text behind its length.
    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Bytes whose length the reader knows.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Reads what a [`Writer`] wrote. It allocates nothing, and never reads beyond the end.
#[derive(Debug)]
pub(crate) struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    pub(crate) const fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(TRUNCATED)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn bool(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Damaged("neither true nor false")),
        }
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i128(&mut self) -> Result<i128, DecodeError> {
        self.array().map(i128::from_le_bytes)
    }

    pub(crate) fn i256(&mut self) -> Result<i256, DecodeError> {
        self.array().map(i256::from_le_bytes)
    }

    pub(crate) fn f64(&mut self) -> Result<f64, DecodeError> {
        self.u64().map(f64::from_bits)
    }

    /// Bytes behind their length.
    pub(crate) fn bytes(&mut self) -> Result<&'b [u8], DecodeError> {
        let length = usize::try_from(self.u64()?).map_err(|_| TRUNCATED)?;
        let (head, rest) = self.0.split_at_checked(length).ok_or(TRUNCATED)?;
        self.0 = rest;
        Ok(head)
    }

    pub(crate) fn text(&mut self) -> Result<&'b str, DecodeError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| DecodeError::Damaged("text is not UTF-8"))
    }

    /// Bytes of a known length.
    pub(crate) fn raw<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.array()
    }

    /// A count of values, which are not more than the rows they are in.
    pub(crate) fn count_within(&mut self, rows: u64) -> Result<u64, DecodeError> {
        match self.u64()? {
            count if count <= rows => Ok(count),
            _ => Err(DecodeError::Damaged("more values than rows")),
        }
    }

    pub(crate) const fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// Nothing may follow.
    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        match self.0 {
            [] => Ok(()),
            _ => Err(DecodeError::Damaged("something follows the end")),
        }
    }
}

/// A sketch from the bytes that its library wrote. The library is not made for bytes of unknown origin: a panic in it is
/// damage.
pub(crate) fn whole_sketch<T, E>(read: impl FnOnce() -> Result<T, E>) -> Result<T, DecodeError> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)) {
        Ok(Ok(sketch)) => Ok(sketch),
        Ok(Err(_)) | Err(_) => Err(DecodeError::Damaged("a sketch that cannot be read")),
    }
}

const TRUNCATED: DecodeError = DecodeError::Damaged("they end too early");
