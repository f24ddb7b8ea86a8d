//! Types in SQL words.

use std::fmt;

use datafusion::arrow::datatypes::DataType;

use crate::plan::plain_type;

/// A type as a rule file names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TypeName {
    /// A type without parameters, by its first name in [`NAMES`].
    Plain(&'static str),
    /// Precision and scale.
    Decimal(u8, i8),
    /// A list.
    Array(Box<Self>),
    /// Keys and values.
    Map(Box<Self>, Box<Self>),
    /// Named fields.
    Struct(Vec<(String, Self)>),
}

/// Types without parameters: the name, and other names for it.
const NAMES: &[(&str, &[&str])] = &[
    ("boolean", &["bool"]),
    ("tinyint", &["byte"]),
    ("smallint", &["short"]),
    ("int", &["integer"]),
    ("bigint", &["long"]),
    ("float", &["real"]),
    ("double", &["double precision"]),
    ("string", &["text", "varchar"]),
    ("binary", &["bytes", "varbinary"]),
    ("date", &[]),
    ("timestamp", &[]),
    ("timestamp_ntz", &[]),
];

impl TypeName {
    /// Reads a type's name; the error is a message and a hint.
    pub(crate) fn parse(text: &str) -> Result<Self, (String, Option<String>)> {
        let mut reader = Reader {
            rest: text,
            depth: 0,
        };
        let name = reader.read()?;
        if !reader.rest.trim().is_empty() {
            return Err((
                format!("`{}` follows a complete type", reader.rest.trim()),
                None,
            ));
        }
        Ok(name)
    }

    /// Whether a column of this Arrow type is of this type.
    pub(crate) fn takes(&self, data_type: &DataType) -> bool {
        match (self, plain_type(data_type)) {
            (Self::Decimal(precision, scale), found) => {
                decimal_of(found) == Some((*precision, *scale))
            }
            (
                Self::Array(item),
                DataType::List(field)
                | DataType::LargeList(field)
                | DataType::ListView(field)
                | DataType::LargeListView(field)
                | DataType::FixedSizeList(field, _),
            ) => item.takes(field.data_type()),
            (Self::Map(key, value), DataType::Map(entries, _)) => match entries.data_type() {
                DataType::Struct(fields) if fields.len() == 2 => {
                    key.takes(fields[0].data_type()) && value.takes(fields[1].data_type())
                }
                _ => false,
            },
            (Self::Struct(wanted), DataType::Struct(fields)) => {
                wanted.len() == fields.len()
                    && wanted.iter().zip(fields).all(|((name, wanted), field)| {
                        name == field.name() && wanted.takes(field.data_type())
                    })
            }
            (Self::Plain("timestamp"), DataType::Timestamp(_, _)) => true,
            (Self::Plain(name), found) => sql_type(found) == *name,
            _ => false,
        }
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(name) => f.write_str(name),
            Self::Decimal(precision, scale) => write!(f, "decimal({precision},{scale})"),
            Self::Array(item) => write!(f, "array<{item}>"),
            Self::Map(key, value) => write!(f, "map<{key},{value}>"),
            Self::Struct(fields) => {
                let fields: Vec<_> = fields.iter().map(|(n, t)| format!("{n}: {t}")).collect();
                write!(f, "struct<{}>", fields.join(", "))
            }
        }
    }
}

/// Types within types, at most. Reading nests as deep as the text does, and the stack has an end.
const MAX_DEPTH: usize = 64;

struct Reader<'t> {
    rest: &'t str,
    depth: usize,
}

type Wrong = (String, Option<String>);

impl Reader<'_> {
    fn read(&mut self) -> Result<TypeName, Wrong> {
        if self.depth > MAX_DEPTH {
            return Err((
                format!("the type is nested deeper than {MAX_DEPTH} levels"),
                None,
            ));
        }
        self.depth += 1;
        let read = self.read_at_depth();
        self.depth -= 1;
        read
    }

    fn read_at_depth(&mut self) -> Result<TypeName, Wrong> {
        let name = self.word(&['<', '>', '(', ')', ',', ':']).to_lowercase();
        match name.as_str() {
            "decimal" | "numeric" => self.decimal(),
            "array" => {
                self.expect('<')?;
                let item = self.read()?;
                self.expect('>')?;
                Ok(TypeName::Array(Box::new(item)))
            }
            "map" => {
                self.expect('<')?;
                let key = self.read()?;
                self.expect(',')?;
                let value = self.read()?;
                self.expect('>')?;
                Ok(TypeName::Map(Box::new(key), Box::new(value)))
            }
            "struct" => {
                self.expect('<')?;
                let mut fields = Vec::new();
                loop {
                    let field = self.word(&[':', '<', '>']).to_owned();
                    self.expect(':')?;
                    fields.push((field, self.read()?));
                    if !self.take(',') {
                        break;
                    }
                }
                self.expect('>')?;
                Ok(TypeName::Struct(fields))
            }
            _ => NAMES
                .iter()
                .find(|(known, others)| *known == name || others.contains(&name.as_str()))
                .map(|(known, _)| TypeName::Plain(known))
                .ok_or_else(|| {
                    let known = NAMES.iter().map(|(known, _)| *known);
                    let all: Vec<_> = known.chain(["decimal", "array", "map", "struct"]).collect();
                    (
                        format!("unknown type `{name}`"),
                        crate::yaml::nearest_hint(&name, all),
                    )
                }),
        }
    }

    fn decimal(&mut self) -> Result<TypeName, Wrong> {
        let wrong = || {
            let hint = "write precision and scale, for example `decimal(12,2)`";
            (
                "a decimal without precision and scale".to_owned(),
                Some(hint.to_owned()),
            )
        };
        if !self.take('(') {
            return Err(wrong());
        }
        let precision: u8 = self.word(&[',', ')']).parse().map_err(|_| wrong())?;
        let scale: i8 = if self.take(',') {
            self.word(&[')']).parse().map_err(|_| wrong())?
        } else {
            0
        };
        self.expect(')')?;
        if precision == 0 || precision > 76 || scale.unsigned_abs() > precision {
            return Err((
                format!("there is no decimal({precision},{scale})"),
                Some("the precision is 1 to 76, the scale not above it".to_owned()),
            ));
        }
        Ok(TypeName::Decimal(precision, scale))
    }

    fn word(&mut self, ends: &[char]) -> &str {
        let rest = self.rest.trim_start();
        let end = rest.find(ends).unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        self.rest = rest;
        word.trim_end()
    }

    fn take(&mut self, sign: char) -> bool {
        match self.rest.trim_start().strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, sign: char) -> Result<(), Wrong> {
        if self.take(sign) {
            return Ok(());
        }
        let found = match self.rest.trim_start().chars().next() {
            Some(found) => format!("`{found}`"),
            None => "the end".to_owned(),
        };
        Err((format!("the type has {found} where `{sign}` belongs"), None))
    }
}

const fn decimal_of(data_type: &DataType) -> Option<(u8, i8)> {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => Some((*precision, *scale)),
        _ => None,
    }
}

/// The SQL word for an Arrow type.
pub fn sql_type(data_type: &DataType) -> String {
    if let Some((precision, scale)) = decimal_of(data_type) {
        return format!("decimal({precision},{scale})");
    }
    match data_type {
        DataType::Null => "null".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int8 => "tinyint".to_owned(),
        DataType::Int16 => "smallint".to_owned(),
        DataType::Int32 => "int".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::UInt8 => "unsigned tinyint".to_owned(),
        DataType::UInt16 => "unsigned smallint".to_owned(),
        DataType::UInt32 => "unsigned int".to_owned(),
        DataType::UInt64 => "unsigned bigint".to_owned(),
        DataType::Float16 => "half float".to_owned(),
        DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".to_owned(),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => "binary".to_owned(),
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamp".to_owned(),
        DataType::Timestamp(_, None) => "timestamp_ntz".to_owned(),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _) => format!("array<{}>", sql_type(field.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|f| format!("{}: {}", f.name(), sql_type(f.data_type())))
                .collect();
            format!("struct<{}>", fields.join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => format!(
                "map<{},{}>",
                sql_type(fields[0].data_type()),
                sql_type(fields[1].data_type())
            ),
            _ => "map".to_owned(),
        },
        DataType::Dictionary(_, value) => sql_type(value),
        other => other.to_string().to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_types_are_read_back() {
        for text in [
            "bigint",
            "decimal(12,2)",
            "array<struct<a: int, größe: decimal(38,0)>>",
            "map<string,array<double>>",
            "timestamp_ntz",
        ] {
            assert_eq!(TypeName::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            TypeName::parse(" INTEGER ").unwrap(),
            TypeName::Plain("int")
        );
        assert_eq!(
            TypeName::parse("numeric(5)").unwrap(),
            TypeName::Decimal(5, 0)
        );
    }

    #[test]
    fn wrong_types_are_named() {
        for (text, message) in [
            ("bigin", "unknown type `bigin`"),
            ("", "unknown type ``"),
            ("decimal", "a decimal without precision and scale"),
            ("decimal(0,0)", "there is no decimal(0,0)"),
            ("decimal(4,5)", "there is no decimal(4,5)"),
            ("array<int", "the type has the end where `>` belongs"),
            ("int int", "unknown type `int int`"),
            ("array<int>>", "`>` follows a complete type"),
        ] {
            assert_eq!(TypeName::parse(text).unwrap_err().0, message, "{text}");
        }
    }

    #[test]
    fn deep_types_are_refused_and_not_followed() {
        let nested = |depth| format!("{}int{}", "array<".repeat(depth), ">".repeat(depth));
        TypeName::parse(&nested(MAX_DEPTH)).unwrap();
        for depth in [MAX_DEPTH + 1, 1_000_000] {
            let (message, _) = TypeName::parse(&nested(depth)).unwrap_err();
            assert_eq!(message, "the type is nested deeper than 64 levels");
        }
        TypeName::parse(&"struct<a:".repeat(1_000_000)).unwrap_err();
        TypeName::parse(&"map<int,".repeat(1_000_000)).unwrap_err();
    }

    #[test]
    fn timestamps_with_and_without_zone_are_told_apart() {
        use datafusion::arrow::datatypes::TimeUnit;
        let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let naive = DataType::Timestamp(TimeUnit::Nanosecond, None);
        let timestamp = TypeName::parse("timestamp").unwrap();
        let naive_name = TypeName::parse("timestamp_ntz").unwrap();
        assert!(timestamp.takes(&zoned) && timestamp.takes(&naive));
        assert!(naive_name.takes(&naive) && !naive_name.takes(&zoned));
    }
}
