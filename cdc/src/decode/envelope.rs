//! Debezium's envelope, read in one pass over the payload.

use super::{
    cursor::Cursor,
    position::{Lead, LeadSeed, read_lead},
    row::{ReadRow, RowSeed, Symbols, read_row},
    schema::Columns,
};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// An envelope as read.
#[derive(Debug, Default)]
pub(super) struct Envelope<'de> {
    /// Raw: few readers need it.
    pub before: Option<&'de str>,
    pub after: Option<ReadRow>,
    pub source: Option<Lead<'de>>,
    /// Raw JSON of `op`; without it the record is no row event.
    pub op: Option<&'de str>,
    pub read_ms: Option<&'de str>,
    pub read_us: Option<&'de str>,
}

/// Reads an envelope whose rows have these columns.
pub(super) struct EnvelopeSeed<'c> {
    pub columns: &'c Columns,
    pub symbols: &'c mut Symbols,
}

#[derive(Clone, Copy)]
enum Field {
    Before,
    After,
    Source,
    Transaction,
    Op,
    TsMs,
    TsUs,
    Other,
}

impl Field {
    fn of(name: &str) -> Self {
        match name {
            "before" => Self::Before,
            "after" => Self::After,
            "source" => Self::Source,
            "transaction" => Self::Transaction,
            "op" => Self::Op,
            "ts_ms" => Self::TsMs,
            "ts_us" => Self::TsUs,
            _ => Self::Other,
        }
    }
}

/// Whether a payload that starts with this field may be an envelope.
pub(super) fn may_start(name: &str) -> bool {
    !matches!(Field::of(name), Field::Other) || name == "ts_ns"
}

impl<'de> DeserializeSeed<'de> for EnvelopeSeed<'_> {
    type Value = Envelope<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EnvelopeSeed<'_> {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an envelope")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut envelope = Envelope::default();
        let mut transaction = None;
        let mut seen = 0_u32;
        while let Some(field) = fields.next_key_seed(FieldSeed)? {
            let bit = 1 << field as u32;
            if seen & bit != 0 && !matches!(field, Field::Other) {
                return Err(A::Error::custom("duplicate field in the envelope"));
            }
            seen |= bit;
            match field {
                Field::Before => {
                    let raw: &'de RawValue = fields.next_value()?;
                    envelope.before = (raw.get() != "null").then_some(raw.get());
                }
                Field::After => {
                    let row = RowSeed { columns: self.columns, symbols: &mut *self.symbols, meta: None };
                    envelope.after = fields.next_value_seed(row)?;
                }
                Field::Source => envelope.source = fields.next_value_seed(LeadSeed)?,
                Field::Transaction => transaction = fields.next_value_seed(LeadSeed)?,
                Field::Op => envelope.op = Some(fields.next_value::<&RawValue>()?.get()),
                Field::TsMs => envelope.read_ms = Some(fields.next_value::<&RawValue>()?.get()),
                Field::TsUs => envelope.read_us = Some(fields.next_value::<&RawValue>()?.get()),
                Field::Other => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        if let (Some(source), Some(transaction)) = (&mut envelope.source, transaction) {
            source.join(transaction);
        }
        Ok(envelope)
    }
}

/// The same as [`EnvelopeSeed`] does, for what the cursor can read.
pub(super) fn read_envelope<'de>(payload: &'de str, seed: EnvelopeSeed<'_>) -> Option<Envelope<'de>> {
    let EnvelopeSeed { columns, symbols } = seed;
    let mut envelope = Envelope::default();
    let mut transaction = None;
    let mut seen = 0_u32;
    let mut cursor = Cursor::new(payload);
    cursor.object(|cursor, name| {
        let field = Field::of(name);
        let bit = 1 << field as u32;
        if seen & bit != 0 && !matches!(field, Field::Other) {
            return None;
        }
        seen |= bit;
        match field {
            Field::Before => envelope.before = Some(cursor.value()?).filter(|text| *text != "null"),
            Field::After => {
                let row = RowSeed { columns, symbols: &mut *symbols, meta: None };
                read_row(cursor, row, &mut envelope.after)?;
            }
            Field::Source => envelope.source = read_lead(cursor)?,
            Field::Transaction => transaction = read_lead(cursor)?,
            Field::Op => envelope.op = Some(cursor.value()?),
            Field::TsMs => envelope.read_ms = Some(cursor.value()?),
            Field::TsUs => envelope.read_us = Some(cursor.value()?),
            Field::Other => drop(cursor.value()?),
        }
        Some(())
    })?;
    if let (Some(source), Some(transaction)) = (&mut envelope.source, transaction) {
        source.join(transaction);
    }
    cursor.at_end().then_some(envelope)
}

struct FieldSeed;

impl<'de> DeserializeSeed<'de> for FieldSeed {
    type Value = Field;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldSeed {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Field::of(name))
    }
}
