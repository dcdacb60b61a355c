//! Connect's schema block, read once into the logical types of a row's columns.

use serde::Deserialize;
use std::collections::BTreeMap;

/// What a column's JSON stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Logical {
    /// No schema says: the value's own form decides.
    #[default]
    Unknown,
    Integer,
    Float,
    Text,
    /// Base64 without a meaning of its own: BLOB, BIT.
    Bytes,
    /// Base64 of an unscaled integer.
    Decimal {
        scale: i32,
    },
    /// `{"scale": …, "value": base64}`.
    VariableDecimal,
    /// Days since the epoch.
    Days,
    /// A time of day in this fraction of a second.
    TimeOfDay(Fraction),
    /// An instant in this fraction of a second since the epoch.
    Instant(Fraction),
    List(Box<Logical>),
    /// Booleans, nested structs and maps: as they are.
    Other,
}

/// The unit of a time stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fraction {
    Millis,
    Micros,
    Nanos,
}

/// The logical types of one row's columns, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Columns {
    /// In the order of [`super::row::NAMES`].
    stock: [Logical; super::row::NAMES.len()],
    others: BTreeMap<String, Logical>,
}

/// Columns of which nothing is known.
pub(super) static UNKNOWN: Columns =
    Columns { stock: [const { Logical::Unknown }; super::row::NAMES.len()], others: BTreeMap::new() };

impl Columns {
    /// The type of one of the stock columns, by its place in [`super::row::NAMES`].
    pub fn stock(&self, index: usize) -> &Logical {
        &self.stock[index]
    }

    /// The type of any column.
    pub fn logical(&self, name: &str) -> &Logical {
        match super::row::NAMES.iter().position(|known| *known == name) {
            Some(index) => &self.stock[index],
            None => self.others.get(name).unwrap_or(&Logical::Unknown),
        }
    }
}

/// What a schema says of its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Envelope {
        before: Columns,
        after: Columns,
    },
    /// A row, a key, or a control record.
    Flat(Columns),
}

/// A schema as the JSON converter writes it; what is not needed is left out.
#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    field: Option<String>,
    name: Option<String>,
    parameters: Option<BTreeMap<String, serde_json::Value>>,
    fields: Option<Vec<Block>>,
    items: Option<Box<Block>>,
}

/// Reads a schema block.
pub(super) fn parse(text: &str) -> Result<Shape, serde_json::Error> {
    let block: Block = serde_json::from_str(text)?;
    let fields = block.fields.as_deref().unwrap_or_default();
    let named = |name: &str| fields.iter().find(|field| field.field.as_deref() == Some(name));
    match (named("op"), named("after"), named("source")) {
        (Some(_), Some(after), Some(_)) if after.kind == "struct" => {
            let before = named("before").map(columns).unwrap_or_default();
            Ok(Shape::Envelope { before, after: columns(after) })
        }
        _ => Ok(Shape::Flat(columns(&block))),
    }
}

fn columns(block: &Block) -> Columns {
    let mut columns = Columns::default();
    for field in block.fields.iter().flatten() {
        let Some(name) = &field.field else { continue };
        match super::row::NAMES.iter().position(|known| known == name) {
            Some(index) => columns.stock[index] = logical(field),
            None => {
                columns.others.insert(name.clone(), logical(field));
            }
        }
    }
    columns
}

fn logical(block: &Block) -> Logical {
    match block.name.as_deref() {
        Some("org.apache.kafka.connect.data.Decimal") => {
            let scale = block.parameters.as_ref().and_then(|parameters| parameters.get("scale"));
            let scale = scale.and_then(|scale| scale.as_str()).and_then(|scale| scale.parse().ok());
            return scale.map_or(Logical::Unknown, |scale| Logical::Decimal { scale });
        }
        Some("io.debezium.data.VariableScaleDecimal") => return Logical::VariableDecimal,
        Some("io.debezium.time.Date" | "org.apache.kafka.connect.data.Date") => return Logical::Days,
        Some("io.debezium.time.Time" | "org.apache.kafka.connect.data.Time") => {
            return Logical::TimeOfDay(Fraction::Millis);
        }
        Some("io.debezium.time.MicroTime") => return Logical::TimeOfDay(Fraction::Micros),
        Some("io.debezium.time.NanoTime") => return Logical::TimeOfDay(Fraction::Nanos),
        Some("io.debezium.time.Timestamp" | "org.apache.kafka.connect.data.Timestamp") => {
            return Logical::Instant(Fraction::Millis);
        }
        Some("io.debezium.time.MicroTimestamp") => return Logical::Instant(Fraction::Micros),
        Some("io.debezium.time.NanoTimestamp") => return Logical::Instant(Fraction::Nanos),
        _ => {}
    }
    match block.kind.as_str() {
        "int8" | "int16" | "int32" | "int64" => Logical::Integer,
        "float" | "double" | "float32" | "float64" => Logical::Float,
        "string" => Logical::Text,
        "bytes" => Logical::Bytes,
        "array" => Logical::List(Box::new(block.items.as_deref().map_or(Logical::Unknown, logical))),
        _ => Logical::Other,
    }
}
