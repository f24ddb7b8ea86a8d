//! Splits bytes into records and fields.
//!
//! Unlike the `csv` crate it tells quoted fields from bare ones, reports what is malformed at its line,
//! keeps blank lines visible, and bounds the length of a record.

use std::io::Read;

use serde::Serialize;

use crate::input_error::InputError;

/// Bytes of the first buffer; it grows for longer records.
const FIRST_BUFFER: usize = 256 * 1024;

/// Which bytes have a meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Dialect {
    /// Between fields.
    pub(crate) delimiter: u8,
    /// Around fields that hold delimiters, quotes or line ends.
    pub(crate) quote: Option<u8>,
    /// Inside quotes, takes the meaning from the byte after it. A doubled quote is always a quote.
    pub(crate) escape: Option<u8>,
    /// First byte of lines that are passed over.
    pub(crate) comment: Option<u8>,
    /// Most bytes of a record.
    pub(crate) max_line_bytes: usize,
}

/// A field of the current record.
#[derive(Debug, Clone, Copy)]
struct Field {
    start: usize,
    end: usize,
    kind: FieldKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldKind {
    Bare,
    Quoted,
    /// Quoted, with doubled quotes or escapes that are still in it.
    Escaped,
}

/// What [`Records::next`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Record,
    /// A line without any byte.
    Blank,
    End,
}

/// Records of one file, read in order through one buffer.
pub(crate) struct Records<'r> {
    reader: &'r mut dyn Read,
    name: &'r str,
    dialect: Dialect,
    ends_bare_field: [bool; 256],
    buffer: Vec<u8>,
    /// The buffer's bytes that are filled.
    filled: usize,
    /// Where the next record starts.
    next: usize,
    is_at_end: bool,
    /// Line of the next record, from 1.
    next_line: u64,
    /// Line of the current record.
    line: u64,
    fields: Vec<Field>,
    start: usize,
    end: usize,
    unescaped: Vec<u8>,
}

/// What one look at the buffer came to.
enum Scan {
    /// The record ends here, and the next one starts there, some lines further.
    Whole {
        end: usize,
        next: usize,
        lines: u64,
    },
    NeedsMore {
        open_quote: Option<u64>,
    },
}

impl<'r> Records<'r> {
    /// Reads the start of a file. A byte order mark is taken off.
    pub(crate) fn new(
        reader: &'r mut dyn Read,
        name: &'r str,
        dialect: &Dialect,
    ) -> Result<Self, InputError> {
        let mut ends_bare_field = [false; 256];
        for byte in [dialect.delimiter, b'\n', b'\r'] {
            ends_bare_field[usize::from(byte)] = true;
        }
        let mut records = Self {
            reader,
            name,
            dialect: dialect.clone(),
            ends_bare_field,
            buffer: vec![0; FIRST_BUFFER.min(dialect.max_line_bytes.max(64))],
            filled: 0,
            next: 0,
            is_at_end: false,
            next_line: 1,
            line: 1,
            fields: Vec::new(),
            start: 0,
            end: 0,
            unescaped: Vec::new(),
        };
        while records.filled < 4 && !records.is_at_end {
            records.fill()?;
        }
        match &records.buffer[..records.filled] {
            [0xEF, 0xBB, 0xBF, ..] => records.next = 3,
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => {
                return Err(
                    InputError::invalid(format!("`{name}` is UTF-16, not UTF-8"))
                        .with_hint("convert it, for example with `iconv -f UTF-16 -t UTF-8`"),
                );
            }
            _ => {}
        }
        Ok(records)
    }

    /// Goes to the next record.
    pub(crate) fn next(&mut self) -> Result<Found, InputError> {
        loop {
            if self.next >= self.filled {
                if self.is_at_end {
                    return Ok(Found::End);
                }
                self.fill()?;
                continue;
            }
            match self.scan()? {
                Scan::Whole { end, next, lines } => {
                    self.start = self.next;
                    self.end = end;
                    self.next = next;
                    self.line = self.next_line;
                    self.next_line += lines;
                    if end - self.start > self.dialect.max_line_bytes {
                        self.next_line = self.line;
                        return Err(self.too_long(None));
                    }
                    if self.is_comment() {
                        continue;
                    }
                    let is_blank = self.start == self.end;
                    return Ok(if is_blank {
                        Found::Blank
                    } else {
                        Found::Record
                    });
                }
                Scan::NeedsMore { open_quote } => {
                    if self.filled - self.next > self.dialect.max_line_bytes {
                        return Err(self.too_long(open_quote));
                    }
                    if self.is_at_end {
                        return Err(self.open_quote(open_quote));
                    }
                    self.fill()?;
                }
            }
        }
    }

    fn is_comment(&self) -> bool {
        self.dialect.comment.is_some()
            && self.buffer.get(self.start) == self.dialect.comment.as_ref()
    }

    /// Line of the current record.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// How many fields the current record has.
    pub(crate) fn len(&self) -> usize {
        self.fields.len()
    }

    /// The bytes of the current record.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Whether a field was written in quotes.
    pub(crate) fn is_quoted(&self, field: usize) -> bool {
        self.fields
            .get(field)
            .is_some_and(|field| field.kind != FieldKind::Bare)
    }

    /// The bytes of a field, without its quotes; empty for one that the record lacks.
    pub(crate) fn field(&mut self, field: usize) -> &[u8] {
        let Some(&Field { start, end, kind }) = self.fields.get(field) else {
            return &[];
        };
        if kind != FieldKind::Escaped {
            return &self.buffer[start..end];
        }
        self.unescaped.clear();
        let mut bytes = self.buffer[start..end].iter();
        while let Some(&byte) = bytes.next() {
            let hides_next = Some(byte) == self.dialect.escape || Some(byte) == self.dialect.quote;
            match bytes.as_slice().first() {
                Some(&hidden) if hides_next => {
                    self.unescaped.push(hidden);
                    bytes.next();
                }
                _ => self.unescaped.push(byte),
            }
        }
        &self.unescaped
    }

    /// Looks for the end of the record that starts at `next`, and notes its fields.
    fn scan(&mut self) -> Result<Scan, InputError> {
        self.fields.clear();
        let bytes = &self.buffer[..self.filled];
        let mut at = self.next;
        let mut lines = 0;
        if self.dialect.comment.is_some() && bytes.get(at) == self.dialect.comment.as_ref() {
            return Ok(self.scan_comment());
        }
        loop {
            let is_quoted =
                self.dialect.quote.is_some() && bytes.get(at) == self.dialect.quote.as_ref();
            if is_quoted {
                let opened_at = self.next_line + lines;
                match self.scan_quoted(at + 1, &mut lines) {
                    None => {
                        return Ok(Scan::NeedsMore {
                            open_quote: Some(opened_at),
                        });
                    }
                    Some(field) => {
                        at = field.end + 1;
                        self.fields.push(field);
                    }
                }
                let after = bytes.get(at);
                if after.is_none() && !self.is_at_end {
                    return Ok(Scan::NeedsMore { open_quote: None });
                }
                if after.is_some_and(|byte| !self.ends_bare_field[usize::from(*byte)]) {
                    return Err(self.text_after_quote(self.next_line + lines));
                }
            } else {
                let start = at;
                while at < bytes.len() && !self.ends_bare_field[usize::from(bytes[at])] {
                    at += 1;
                }
                self.fields.push(Field {
                    start,
                    end: at,
                    kind: FieldKind::Bare,
                });
            }
            let rest = &bytes[at..];
            match rest {
                [b'\n', ..] => {
                    return Ok(Scan::Whole {
                        end: at,
                        next: at + 1,
                        lines: lines + 1,
                    });
                }
                [b'\r', b'\n', ..] => {
                    return Ok(Scan::Whole {
                        end: at,
                        next: at + 2,
                        lines: lines + 1,
                    });
                }
                [b'\r'] | [] if !self.is_at_end => {
                    return Ok(Scan::NeedsMore { open_quote: None });
                }
                [] | [b'\r'] => {
                    return Ok(Scan::Whole {
                        end: at,
                        next: bytes.len(),
                        lines: lines + 1,
                    });
                }
                [b'\r', ..] => return Err(self.lone_return(self.next_line + lines)),
                _ => at += 1,
            }
        }
    }

    /// Looks for the quote that closes a field; none when it is not in the buffer.
    fn scan_quoted(&self, start: usize, lines: &mut u64) -> Option<Field> {
        let bytes = &self.buffer[..self.filled];
        let mut at = start;
        let mut kind = FieldKind::Quoted;
        loop {
            let byte = *bytes.get(at)?;
            if Some(byte) == self.dialect.escape && self.dialect.escape != self.dialect.quote {
                let hidden = *bytes.get(at + 1)?;
                *lines += u64::from(hidden == b'\n');
                kind = FieldKind::Escaped;
                at += 2;
            } else if Some(byte) == self.dialect.quote {
                let is_doubled = match bytes.get(at + 1) {
                    Some(after) => Some(*after) == self.dialect.quote,
                    None if self.is_at_end => false,
                    None => return None,
                };
                if !is_doubled {
                    return Some(Field {
                        start,
                        end: at,
                        kind,
                    });
                }
                kind = FieldKind::Escaped;
                at += 2;
            } else {
                *lines += u64::from(byte == b'\n');
                at += 1;
            }
        }
    }

    fn scan_comment(&self) -> Scan {
        let bytes = &self.buffer[self.next..self.filled];
        match bytes.iter().position(|byte| *byte == b'\n') {
            Some(length) => Scan::Whole {
                end: self.next + length,
                next: self.next + length + 1,
                lines: 1,
            },
            None if self.is_at_end => Scan::Whole {
                end: self.filled,
                next: self.filled,
                lines: 1,
            },
            None => Scan::NeedsMore { open_quote: None },
        }
    }

    /// Drops what has been read, and reads more behind what has not.
    fn fill(&mut self) -> Result<(), InputError> {
        self.buffer.copy_within(self.next..self.filled, 0);
        self.filled -= self.next;
        self.next = 0;
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        loop {
            match self.reader.read(&mut self.buffer[self.filled..]) {
                Ok(0) => self.is_at_end = true,
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(crate::files::read_error(self.name, error)),
            }
            return Ok(());
        }
    }

    fn too_long(&self, open_quote: Option<u64>) -> InputError {
        let error = InputError::invalid(format!(
            "{}:{}: the record is longer than {} bytes",
            self.name, self.next_line, self.dialect.max_line_bytes
        ));
        error.with_hint(match open_quote {
            Some(line) => format!("a quoted field opens in line {line}; is it ever closed? otherwise raise `max_line_bytes`"),
            None => "check `delimiter` and line ends, or raise `max_line_bytes`".to_owned(),
        })
    }

    fn open_quote(&self, line: Option<u64>) -> InputError {
        InputError::invalid(format!(
            "{}:{}: a quoted field opens here and is not closed before the file ends",
            self.name,
            line.unwrap_or(self.next_line)
        ))
        .with_hint("the file may be cut off; if quotes mean nothing in it, set `quote: none`")
    }

    fn text_after_quote(&self, line: u64) -> InputError {
        InputError::invalid(format!(
            "{}:{line}: text stands behind the closing quote of field {}",
            self.name,
            self.fields.len()
        ))
        .with_hint("a quote inside a quoted field is written twice; or set `escape` or `quote`")
    }

    fn lone_return(&self, line: u64) -> InputError {
        InputError::invalid(format!(
            "{}:{line}: a carriage return stands in field {} outside quotes",
            self.name,
            self.fields.len()
        ))
        .with_hint("lines end in LF or CRLF; convert the file, for example with `mac2unix`")
    }
}
